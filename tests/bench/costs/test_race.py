import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bench.analysis.costs import EXACT_TOLERANCE, disagreements
from bench.config import BF16, FP32, SMOKE, TF32, OptionError, Precision
from bench.costs import lightning_loop, loops
from bench.costs.loops import LIGHTNING, OURS, REFERENCE, lightning_version, losses_of
from bench.costs.race import PROTOCOL, exact_differences, models, race_on, target
from bench.training.layout import LAYOUTS
from bench.training.runs import build_seeded, run
from fusion_models import find_model
from tests.bench.samples import MODEL, SMALL, TWIN, run_config, small_dataset

# Batches of 16, 80 pairs of which 64 train: 4 steps, 3 of them timed; the first of two epochs warms up.
SHORT = replace(PROTOCOL, pairs=80, epochs=2, batch_size=16)

needs_lightning = pytest.mark.skipif(lightning_version() is None, reason="needs PyTorch Lightning")


def test_models_are_those_of_three_families_in_both_embedders() -> None:
    strategies = {spec.strategy for spec in models()}
    assert len(models()) == 2 * len(strategies) == 22
    assert {spec.family for spec in models()} == {"compact", "deep", "wide"}
    assert all(len(spec.sees({"rgb": 4, "lidar": 4})) == 2 for spec in models())


def test_the_protocol_leaves_epochs_to_time_in_every_profile() -> None:
    assert SMOKE.shorten(PROTOCOL, simulated=True).epochs >= 2


@pytest.mark.slow
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.needs_cuda)])
def test_a_race_trains_one_model_after_the_other_with_all_loops_alike(device: str, tmp_path: Path) -> None:
    config = replace(run_config(tmp_path, SHORT), device=device)
    with race_on(small_dataset(), 51, config) as race:
        race(find_model(TWIN))
        record = race(find_model(MODEL))
    assert (record.model, record.precision, record.steps) == (MODEL, "fp32", 3)
    assert record.target == target(torch.device(device), FP32)
    assert len(record.reference_seconds) == len(record.engine_seconds) == 1
    assert min(*record.reference_seconds, *record.engine_seconds) > 0
    assert len(record.reference_losses) == len(record.engine_losses) == 2
    assert record.exact_difference <= 1e-9 < EXACT_TOLERANCE
    assert disagreements(record) == []
    assert record.conditions[:2] == ["data: 80 pairs of shapes in batches of 16", "precision: fp32"]
    assert record.profile == "smoke"
    assert not any(tmp_path.iterdir())
    # Ours is the loop of all trainings, whatever was trained in its process before.
    trained = run(MODEL, small_dataset(), 51, SHORT, device)
    assert record.engine_losses == trained.train_losses
    if lightning_version():
        assert record.lightning_losses == pytest.approx(record.reference_losses, rel=1e-6)  # summed in float32
        assert record.lightning_seconds is not None
        assert record.lightning_seconds[0] > 0
        assert record.conditions[2:] == [f"PyTorch Lightning {lightning_version()}"]
    else:
        assert (record.lightning_losses, record.lightning_exact_difference, record.conditions[2:]) == (
            None,
            None,
            [],
        )


@needs_lightning
@pytest.mark.filterwarnings("ignore")  # its hints for its users
@pytest.mark.parametrize(
    ("change", "tolerance"),
    [({}, 1e-6), ({"schedule": "cosine-epoch"}, 1e-6), ({"drop_last": True}, 1e-6), ({"precision": BF16}, 2e-3)],
    ids=str,
)
def test_the_loop_of_lightning_is_the_computation_of_the_reference(
    change: dict[str, object], tolerance: float
) -> None:
    protocol = replace(SHORT, batch_size=24, **change)  # type: ignore[arg-type]
    train = small_dataset().batch(torch.arange(64))
    lightning, reference = (
        losses_of(loop, build(), train, protocol, 51, "cpu") for loop in (LIGHTNING, REFERENCE)
    )
    assert lightning == pytest.approx(reference, rel=tolerance)


def build() -> torch.nn.Module:
    return build_seeded(find_model(MODEL), small_dataset().info, 51, "cpu")


@needs_lightning
@pytest.mark.filterwarnings("ignore")
def test_what_fails_in_the_loop_of_lightning_is_raised() -> None:
    with pytest.raises(ValueError, match="empty parameter list"):
        losses_of(LIGHTNING, torch.nn.Flatten(), small_dataset().batch(torch.arange(64)), SHORT, 51, "cpu")


@needs_lightning
@pytest.mark.filterwarnings("ignore")
def test_the_settings_of_lightnings_loop_end_with_its_last_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[Precision] = []

    @contextmanager
    def settings(precision: Precision) -> Iterator[None]:
        yield
        time.sleep(0.2)  # as the end of a training takes on a GPU
        ended.append(precision)

    monkeypatch.setattr(lightning_loop, "deterministic", settings)
    losses_of(LIGHTNING, build(), small_dataset().batch(torch.arange(64)), SHORT, 51, "cpu")
    assert ended == [SHORT.precision]


@pytest.mark.parametrize("precision", [FP32, BF16])
def test_both_loops_have_the_precision_of_the_protocol(precision: Precision) -> None:
    protocol = replace(SHORT, precision=precision)
    train = small_dataset().batch(torch.arange(64))
    reference, ours = (losses_of(loop, build(), train, protocol, 51, "cpu") for loop in (REFERENCE, OURS))
    assert ours[0] == pytest.approx(reference[0], rel=1e-2)
    other = losses_of(REFERENCE, build(), train, replace(protocol, precision=BF16), 51, "cpu")
    assert (other == reference) == (precision == BF16)


def test_the_reference_trains_as_a_notebook_in_deterministic_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    class Reference:
        def steps(self) -> Iterator[tuple[bool, bool]]:
            while True:
                yield torch.are_deterministic_algorithms_enabled(), torch.empty(3).isnan().all().item()  # type: ignore[misc]

    loop = loops._Reference(SHORT, 51, "cpu")
    monkeypatch.setattr(loop, "_loop", Reference(), raising=False)
    monkeypatch.setattr(loops, "timed", lambda steps, _: next(steps))
    assert loop.train_epoch() == (True, True)


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_our_loop_has_the_layout_of_its_device(
    layout: torch.memory_format, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build()  # for a CPU, as a race does
    monkeypatch.setitem(LAYOUTS, "cpu", layout)
    loop = loops._Ours(SHORT, 51, "cpu")
    loop.take(small_dataset().batch(torch.arange(64)))
    loop.start(model)
    filters = [weights for weights in loop._trainer.model.parameters() if weights.dim() == 4]
    assert len(filters) > 2
    assert all(weights.is_contiguous(memory_format=layout) for weights in filters)


@pytest.mark.parametrize(("name", "keeps"), [(OURS, [True]), (REFERENCE, [])])
def test_our_process_alone_keeps_freed_memory(
    name: str, keeps: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[bool] = []
    monkeypatch.setattr(loops, "keep_freed_memory", lambda: kept.append(True))
    monkeypatch.setattr(loops, "_loop", [])
    loops._set_up(name, SMALL, 51, "cpu")
    assert kept == keeps


@pytest.mark.parametrize("change", [{"batch_size": 64}, {"epochs": 1}])
def test_a_race_needs_a_step_to_warm_up_and_one_to_time(change: dict[str, int], tmp_path: Path) -> None:
    config = run_config(tmp_path, replace(SHORT, **change))  # type: ignore[arg-type]
    with (
        pytest.raises(OptionError, match=r"at least two epochs of two steps.*; 64 training pairs in batches of "),
        race_on(small_dataset(), 51, config),
    ):
        pass


def test_a_race_does_not_augment(tmp_path: Path) -> None:
    config = run_config(tmp_path, replace(SHORT, horizontal_flip=0.5))
    with (
        pytest.raises(OptionError, match="a race is of loops on the same pairs: leave horizontal_flip"),
        race_on(small_dataset(), 51, config),
    ):
        pass


def test_the_exact_difference_notices_another_computation(monkeypatch: pytest.MonkeyPatch) -> None:
    def differences() -> dict[str, float]:
        losses = {
            name: lambda model, train, protocol, name=name: losses_of(name, model, train, protocol, 51, "cpu")
            for name in (REFERENCE, OURS)
        }
        return exact_differences(losses, find_model(MODEL), small_dataset(), 51, SMALL)

    assert differences()[OURS] <= 1e-9
    monkeypatch.setattr("bench.costs.reference.epoch_order", lambda *_: torch.arange(20))
    assert differences()[OURS] > 100 * EXACT_TOLERANCE


@pytest.mark.parametrize(
    ("device", "precision", "least"), [("cpu", FP32, 1.7), ("cpu", BF16, None), ("cuda", TF32, None)]
)
def test_a_target_is_asserted_where_it_has_been_reached(
    device: str, precision: Precision, least: float | None
) -> None:
    assert target(torch.device(device), precision) == least
