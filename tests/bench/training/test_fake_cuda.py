"""Where every tensor lies on CUDA, tried without a GPU: fake tensors have shapes, types and devices, no numbers.

What fake tensors of a device that is not here cannot do is replaced: the backward pass, Adam's kernel, recording,
streams.
"""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode

from bench.config import BALANCED, BF16, FP32
from bench.probes.subject import Subject
from bench.training import augmentation, branches, graphs, methods
from bench.training.augmentation import AugmentedPairs
from bench.training.evaluation import predict
from bench.training.graphs import GraphSteps, fastest
from bench.training.layout import layout_of
from bench.training.methods import make_methods
from bench.training.pairs import StoredPairs
from bench.training.preparation import ready
from bench.training.steps import EagerSteps, make_optimizer, trained_with
from data_utils import Batch, ChannelStatistics, PairedDataset, Part
from data_utils.augmentation import Orientation
from fusion_models import MODELS, build_model
from fusion_models.network import in_turn
from fusion_models.zoo import FIELD_MODELS
from tests.bench.samples import MODEL, SMALL, record, small_dataset

DEVICE = torch.device("cuda:1")
PAIRS = 12
PROTOCOL = replace(SMALL, batch_size=8)
"""A batch of 8, and 4 pairs left."""


SPECS = [*MODELS.values(), *FIELD_MODELS.values()]
NAMES = dict.fromkeys(
    [
        *{(spec.family, spec.stage, spec.operator): spec.name for spec in SPECS}.values(),
        *{spec.embedder: spec.name for spec in SPECS}.values(),
    ]
)
"""Every operator at every stage of every family, and every embedder."""


@pytest.fixture(scope="module")
def data() -> PairedDataset:
    return small_dataset()


@pytest.fixture
def fake() -> Iterator[FakeTensorMode]:
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        yield mode


def on_the_cpu(data: PairedDataset, fake: FakeTensorMode) -> tuple[Batch, ChannelStatistics]:
    """Some pairs, faked, and their real statistics."""
    with torch._subclasses.fake_tensor.unset_fake_temporarily():
        measured = data.batch(torch.arange(PAIRS))
        statistics = ChannelStatistics.of(lambda: [measured])
    inputs = {modality: fake.from_tensor(values) for modality, values in measured.inputs.items()}
    return Batch(inputs, fake.from_tensor(measured.labels)), statistics


@pytest.fixture
def prepared(data: PairedDataset, fake: FakeTensorMode) -> Batch:
    """Some pairs as models get them on CUDA."""
    measured, statistics = on_the_cpu(data, fake)
    return ready(measured, statistics, ("rgb",), str(DEVICE))


def network(name: str, data: PairedDataset) -> nn.Module:
    with DEVICE:
        return build_model(name, channels=data.info.channels, image_size=data.info.image_size, classes=2)


class StubAdam(torch.optim.Adam):
    """Adam that reads no number and launches no kernel."""

    def __init__(self, parameters: list[nn.Parameter], lr: Tensor, **options: Any) -> None:
        super().__init__(parameters, lr=0.1, **options)
        self.param_groups[0]["lr"] = lr

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        assert closure is None
        for parameter in self.param_groups[0]["params"]:
            assert parameter.grad is not None
            assert parameter.grad.device == DEVICE
            self.state[parameter] = {"exp_avg": torch.zeros_like(parameter)}


@pytest.fixture
def stubs(monkeypatch: pytest.MonkeyPatch) -> list[torch.device]:
    """Replaces what fake tensors cannot do; the list gets the device of each recording."""
    recorded: list[torch.device] = []

    def record(work: Callable[[], None], undo: Callable[[], None], device: torch.device) -> Callable[[], None]:
        recorded.append(device)
        work()
        undo()
        return work

    def backward(loss: Tensor) -> None:
        assert loss.requires_grad
        assert (loss.device, loss.dtype, loss.shape) == (DEVICE, torch.float32, ())
        seen: list[Any] = [loss.grad_fn]
        for function in seen:  # the list grows: every leaf of the graph gets a gradient
            if hasattr(function, "variable"):
                function.variable.grad = torch.zeros_like(function.variable)
            seen.extend(after for after, _ in function.next_functions if after is not None and after not in seen)

    monkeypatch.setattr(graphs, "record", record)
    monkeypatch.setattr(branches, "on_streams", in_turn)
    monkeypatch.setattr(torch.optim, "Adam", StubAdam)
    monkeypatch.setattr(Tensor, "backward", backward)
    return recorded


def test_prepared_pairs_are_on_the_device_in_its_layout(prepared: Batch) -> None:
    assert prepared.labels.device == DEVICE
    for values in prepared.inputs.values():
        assert (values.device, len(values)) == (DEVICE, PAIRS)
        assert values.is_contiguous(memory_format=layout_of(DEVICE))


@pytest.mark.parametrize("name", NAMES)
def test_models_train_and_predict_on_the_device(
    name: str, data: PairedDataset, prepared: Batch, stubs: list[torch.device]
) -> None:
    model = network(name, data)
    optimizer = make_optimizer(model, PROTOCOL)
    steps = fastest(EagerSteps(model, optimizer, prepared, PROTOCOL), PAIRS)
    assert isinstance(steps, GraphSteps)
    assert stubs == [DEVICE, DEVICE]  # a graph for whole batches and one for the rest
    order = torch.arange(PAIRS, device=DEVICE)
    sums = list(steps.epoch(order, [1e-3] * 2))
    assert {(loss.device, loss.dtype) for loss in sums} == {(DEVICE, torch.float64)}
    assert len(sums) == 2
    rate = optimizer.param_groups[0]["lr"]
    assert (rate.device, rate.dtype) == (DEVICE, torch.float32)
    logits = predict(model, prepared)
    assert (logits.device, logits.dtype, len(logits)) == (torch.device("cpu"), torch.float32, PAIRS)


ALL_METHODS = {"class_weights": BALANCED, "modality_dropout": 0.2, "unimodal_loss": 0.5, "ogm_ge": 0.5}


@pytest.mark.parametrize(
    "name",
    [
        "wide-rgb-strided",
        "experts-late-logits-strided",
        "field-intermediate-cen-aps",
        "field-intermediate-embracenet-blurpool",
    ],
)
def test_training_methods_work_on_the_device_without_reading_from_it(
    name: str, data: PairedDataset, prepared: Batch, stubs: list[torch.device], monkeypatch: pytest.MonkeyPatch
) -> None:
    def moved(module: nn.Linear, device: torch.device) -> nn.Linear:
        with device:
            return nn.Linear(module.in_features, module.out_features)

    # Before anything is recorded, labels are counted and layers moved, which fake tensors cannot do.
    monkeypatch.setattr(methods, "class_weights", lambda labels: torch.ones(2, device=labels.device))
    monkeypatch.setattr(nn.Linear, "to", moved)
    protocol, model = replace(PROTOCOL, **ALL_METHODS), network(name, data)  # type: ignore[arg-type]
    made = make_methods(model, protocol, prepared, 51)
    assert made is not None
    optimizer = make_optimizer(trained_with(model, made), protocol)
    steps = fastest(EagerSteps(model, optimizer, prepared, protocol, made), PAIRS)
    made.begin(1)
    sums = list(steps.epoch(torch.arange(PAIRS, device=DEVICE), [1e-3] * 2))
    assert stubs == [DEVICE, DEVICE]
    assert {(loss.device, loss.dtype) for loss in sums} == {(DEVICE, torch.float64)}
    tensors = [made._present, *trained_with(model, made).state_dict().values()]
    assert {tensor.device for tensor in tensors} == {DEVICE}


@pytest.mark.usefixtures("stubs")
def test_bf16_is_autocast_of_the_device_without_its_cache(
    data: PairedDataset, prepared: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered: list[tuple[object, ...]] = []

    def autocast(device: str, dtype: torch.dtype, *, cache_enabled: bool) -> nullcontext[None]:
        entered.append((device, dtype, cache_enabled))
        return nullcontext()

    monkeypatch.setattr(torch, "autocast", autocast)
    model = network(MODEL, data)
    for precision, expected in ((FP32, []), (BF16, [("cuda", torch.bfloat16, False)] * 2)):
        protocol = replace(PROTOCOL, precision=precision)
        steps = EagerSteps(model, make_optimizer(model, protocol), prepared, protocol)
        steps.step(torch.arange(8, device=DEVICE))
        predict(model, prepared, precision)
        assert entered == expected


@pytest.mark.usefixtures("fake")
def test_batches_of_stored_pairs_are_made_on_the_device_without_reading_from_it(
    data: PairedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Reading a number from a fake tensor raises, and in a CUDA graph it cannot be recorded. The checks of a data
    # set read some, before anything is recorded.
    with torch._subclasses.fake_tensor.unset_fake_temporarily():
        statistics = ChannelStatistics.of(lambda: [data.batch(torch.arange(PAIRS))])
        part = Part(data, torch.arange(PAIRS))
    monkeypatch.setattr(PairedDataset, "__post_init__", lambda _: None)
    stored = StoredPairs.of(part, statistics, ("rgb",), DEVICE)
    batch = stored[torch.arange(8, device=DEVICE)]
    assert {values.device for values in (*batch.inputs.values(), batch.labels, stored.labels)} == {DEVICE}
    assert {len(values) for values in (*batch.inputs.values(), batch.labels)} == {8}
    assert stored.to("cuda:1").dataset is stored.dataset
    first = stored.to("cuda:0")
    assert first.to("cuda").dataset is first.dataset  # "cuda" is the first device
    assert all(values.is_contiguous(memory_format=layout_of(DEVICE)) for values in batch.inputs.values())


@pytest.mark.usefixtures("fake")
def test_pairs_are_augmented_on_the_device_without_reading_from_it(
    data: PairedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    with torch._subclasses.fake_tensor.unset_fake_temporarily():
        statistics = ChannelStatistics.of(lambda: [data.batch(torch.arange(PAIRS))])
        described = {modality: data.modality(modality) for modality in data.inputs}
        part = Part(data, torch.arange(PAIRS))
    monkeypatch.setattr(PairedDataset, "__post_init__", lambda _: None)
    monkeypatch.setattr(PairedDataset, "modality", lambda _, name: described[name])
    monkeypatch.setattr(augmentation, "orientation", lambda *_: Orientation(transposed=True, right=-1))
    stored = StoredPairs.of(part, statistics, ("rgb",), DEVICE)
    protocol = replace(PROTOCOL, horizontal_flip=0.5, random_crop=2, color_jitter=0.4)
    batch = AugmentedPairs(stored, protocol, 51)[torch.arange(8, device=DEVICE)]
    assert {values.device for values in batch.inputs.values()} == {DEVICE}
    assert all(values.is_contiguous(memory_format=layout_of(DEVICE)) for values in batch.inputs.values())


def test_probed_pairs_are_on_the_device(
    data: PairedDataset, fake: FakeTensorMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured, statistics = on_the_cpu(data, fake)
    monkeypatch.setattr(Subject, "measured", measured)
    monkeypatch.setattr(Subject, "statistics", statistics)
    subject = Subject(network(MODEL, data), record(), data, PROTOCOL, str(DEVICE))
    changed = subject.with_inputs({"rgb": measured.inputs["rgb"]})
    batch = subject.prepared(changed)
    assert {values.device for values in (*batch.inputs.values(), batch.labels)} == {DEVICE}
    assert subject.predict(changed).device == torch.device("cpu")
