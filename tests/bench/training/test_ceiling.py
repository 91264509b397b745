import pytest
import torch

from bench.config import BF16, FP32, Precision
from bench.training import ceiling as module
from bench.training.ceiling import ceiling
from bench.training.seeding import deterministic


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module._MATRIX_SIZE, "cpu", 64)
    monkeypatch.setitem(module._MAPS, "cpu", (2, 3, 4, 5))
    monkeypatch.setitem(module._COPIED_ELEMENTS, "cpu", 1_000)
    monkeypatch.setattr(module, "_measured", module._measured.__wrapped__)


@pytest.mark.parametrize(
    ("seconds", "fastest"), [((0.5, 2.0, 1.0), "product"), ((1.0, 2.0, 0.5), "onednn_product")]
)
def test_the_ceiling_is_the_highest_of_operations_over_the_best_time(
    seconds: tuple[float, ...], fastest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    best = iter([*seconds, 0.25])
    monkeypatch.setattr(module, "_best_seconds", lambda work, device: next(best))  # noqa: ARG005
    limits = ceiling("cpu")
    product, convolution, onednn = seconds
    assert limits["product_flops_per_second"] == 2 * 64**3 / product
    assert limits["onednn_product_flops_per_second"] == 2 * 64**3 / onednn
    # Each of 2 x 3 x 4 x 5 sums is over 3 x 3 x 3 weights.
    assert limits["convolution_flops_per_second"] == 2 * 27 * 120 / convolution
    assert limits["flops_per_second"] == limits[f"{fastest}_flops_per_second"] == 2 * 64**3 / 0.5
    assert limits["bytes_per_second"] == 2 * 4 * 1_000 / 0.25


@pytest.mark.parametrize(("precision", "number"), [(FP32, torch.float32), (BF16, torch.bfloat16)])
def test_all_operations_are_in_the_precision_of_the_trainings(precision: Precision, number: torch.dtype) -> None:
    operations = module._operations("cpu", precision)
    results = {name: work() for name, (_, work) in operations.items()}
    assert {result.dtype for result in results.values() if isinstance(result, torch.Tensor)} == {number}
    product, by_onednn = results["product"], results["onednn_product"]
    assert isinstance(product, torch.Tensor)
    assert isinstance(by_onednn, torch.Tensor)
    # oneDNN's is a linear layer: times the transpose.
    assert by_onednn.to_dense().shape == product.shape == (64, 64)


def test_the_best_repeat_counts_and_the_first_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    starts_and_ends = iter([1.0, 1.5, 2.0, 2.125, 3.0, 3.25])
    monkeypatch.setattr("time.perf_counter", lambda: next(starts_and_ends))
    calls: list[int] = []
    assert module._best_seconds(lambda: calls.append(1), "cpu") == 0.125
    assert len(calls) == 1 + 3


def test_repeats_go_on_until_they_took_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SECONDS", 0.01)
    calls: list[int] = []
    module._best_seconds(lambda: calls.append(1), "cpu")
    assert len(calls) > 1 + 3


def test_it_is_measured_with_the_settings_of_the_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    inside: list[bool] = []

    def look(*_: object) -> float:
        inside.append(torch.are_deterministic_algorithms_enabled())
        return 1.0

    monkeypatch.setattr(module, "_best_seconds", look)
    ceiling("cpu")
    assert inside == [True] * 4


def test_it_is_measured_once_for_a_device_and_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(module, "_best_seconds", lambda work, device: 1.0)  # noqa: ARG005
    first, threads = ceiling("cpu"), torch.get_num_threads()
    assert ceiling("cpu") is first
    torch.set_num_threads(threads + 1)
    try:
        assert ceiling("cpu") is not first
    finally:
        torch.set_num_threads(threads)
        module._measured.cache_clear()


def test_measuring_leaves_the_global_generator_and_the_settings_alone() -> None:
    before = torch.get_rng_state()
    with deterministic():
        ceiling("cpu")
        assert torch.are_deterministic_algorithms_enabled()
    assert torch.equal(torch.get_rng_state(), before)
