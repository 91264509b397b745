from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import pytest
import torch

from bench.config import BF16, FP32, Precision
from bench.costs import inference
from bench.costs.inference import ForwardPass, random_batch, rounds_within, warm_up
from bench.training import graphs
from bench.training.precision import forward
from bench.training.seeding import deterministic
from data_utils import PairedDataset
from fusion_models import FusionNet, find_model
from tests.bench.samples import MODEL


def test_a_random_batch_has_the_shapes_of_the_data_and_never_changes(dataset: PairedDataset) -> None:
    before = torch.get_rng_state()
    first, second = random_batch(dataset.info, 5, "cpu"), random_batch(dataset.info, 5, "cpu")
    assert torch.equal(torch.get_rng_state(), before)
    for modality, values in first.inputs.items():
        assert values.shape == (5, dataset.info.channels[modality], *dataset.info.image_size)
        assert values.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(values, second.inputs[modality])
    assert first.labels.tolist() == [0, 1, 0, 1, 0]


def test_a_forward_pass_is_of_the_whole_batch_and_without_gradients(
    dataset: PairedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    logits: list[torch.Tensor] = []
    modes: list[bool] = []
    original = FusionNet.forward

    def forward(network: FusionNet, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        modes.append(network.training)
        logits.append(original(network, inputs))
        return logits[-1]

    monkeypatch.setattr(FusionNet, "forward", forward)
    forward_pass = ForwardPass(find_model(MODEL), dataset, 3, "cpu")
    forward_pass()
    assert modes == [False]
    assert (logits[0].shape, logits[0].is_inference()) == ((3, 1), True)
    assert forward_pass.parameters == 215_051  # as test_runs.py counts


def test_a_record_holds_the_times_of_the_calls_and_what_they_were_measured_on(dataset: PairedDataset) -> None:
    record = ForwardPass(find_model(MODEL), dataset, 8, "cpu").record([0.1, 0.2], "quick")
    assert (record.model, record.parameters, record.batch_size, record.seconds) == (MODEL, 215_051, 8, [0.1, 0.2])
    assert record.inputs == "rgb of 4 channels, lidar of 4 channels, 16x16"
    assert (record.profile, record.device) == ("quick", "cpu")
    assert record.environment["threads"] == torch.get_num_threads()
    assert (record.conditions, record.graph) == ([], False)


@pytest.mark.parametrize(("precision", "conditions"), [(FP32, []), (BF16, ["precision: bf16"])])
def test_a_pass_is_in_the_precision_that_its_record_names(
    precision: Precision, conditions: list[str], dataset: PairedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forward(_: FusionNet, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        products.append((inputs["rgb"][:, 0] @ inputs["rgb"][:, 0].mT).dtype)
        return inputs["rgb"]

    products: list[torch.dtype] = []
    monkeypatch.setattr(FusionNet, "forward", forward)
    forward_pass = ForwardPass(find_model(MODEL), dataset, 1, "cpu", precision)
    forward_pass()
    assert products == [torch.bfloat16 if precision == BF16 else torch.float32]
    assert forward_pass.record([0.1], "quick").conditions == conditions


def test_further_calls_can_replay_a_graph(dataset: PairedDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    def record(work: Callable[[], None], undo: Callable[[], None], device: torch.device) -> Callable[[], None]:
        work()
        undo()
        recorded.append(device)
        return lambda: replays.append(torch.is_inference_mode_enabled())

    recorded: list[torch.device] = []
    replays: list[bool] = []
    monkeypatch.setattr(graphs, "record", record)

    def side_by_side(model: torch.nn.Module) -> AbstractContextManager[None]:
        beside.append(model)
        return nullcontext()

    beside: list[torch.nn.Module] = []
    monkeypatch.setattr(inference, "side_by_side", side_by_side)
    forward_pass = ForwardPass(find_model(MODEL), dataset, 1, "cpu")
    forward_pass.record_graph()
    forward_pass()
    assert (recorded, len(replays)) == ([torch.device("cpu")], 1)
    assert [type(model) for model in beside] == [FusionNet]
    assert forward_pass.record([0.1], "quick").graph


@pytest.mark.needs_cuda
@pytest.mark.parametrize("name", [MODEL, "experts-late-logits-maxpool", "field-intermediate-cen-maxpool"])
def test_a_replay_computes_what_an_eager_pass_does(
    name: str, dataset: PairedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    logits: list[torch.Tensor] = []
    monkeypatch.setattr(inference, "forward", lambda *arguments: logits.append(forward(*arguments)))
    with deterministic(), torch.inference_mode():
        forward_pass = ForwardPass(find_model(name), dataset, 4, "cuda")
        forward_pass()
        expected = logits[-1].clone()
        forward_pass.record_graph()
        logits[-1].zero_()
        forward_pass()
        assert torch.equal(logits[-1], expected)


@pytest.mark.parametrize(
    ("durations", "rounds"),
    [
        ([0.5, 0.1], 10),  # the first call warms up, the second counts
        ([2.0], 3),  # too long for a second call, and for more than the least
        ([0.5, 0.001], 50),  # no more than the most
    ],
)
def test_rounds_fill_the_time(durations: list[float], rounds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([tick for seconds in durations for tick in (0.0, seconds)])
    calls: list[None] = []
    monkeypatch.setattr("time.perf_counter", lambda: next(ticks))
    assert rounds_within(1.0, lambda: calls.append(None), least=3, most=50) == rounds
    assert len(calls) == len(durations)


@pytest.mark.parametrize(("device", "calls"), [("cuda:1", 4), ("cpu", 0)])
def test_a_gpu_is_kept_busy_before_it_is_timed(device: str, calls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0.0, 0.0, 0.1, 0.2, 0.29, 0.31])
    work: list[None] = []
    monkeypatch.setattr("time.perf_counter", lambda: next(ticks))
    warm_up(lambda: work.append(None), torch.device(device))
    assert len(work) == calls
