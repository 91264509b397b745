import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import product

import pytest
import torch
from torch import nn

from bench.config import BF16, FP32, TF32, Precision
from bench.training.fingerprint import ROOT
from bench.training.seeding import deterministic, epoch_order, seeded, stream
from tests.bench.toys import toy


def test_streams_differ_by_name_and_by_seed() -> None:
    names, seeds = ("split", "initialization", "order/1", "order/11"), (0, 1, 51, 511)
    streams = {stream(seed, name) for seed, name in product(seeds, names)}
    assert len(streams) == len(names) * len(seeds)


def test_a_stream_is_a_seed_that_torch_accepts() -> None:
    assert all(0 <= stream(seed, "split") < 2**63 for seed in range(100))


def test_a_stream_is_the_same_in_every_process() -> None:
    # The first 8 bytes of `printf 51/split | sha256sum`, shifted right by one bit: python's own hash() would
    # differ from process to process.
    assert stream(51, "split") == 0x4D7F362AF431A461 >> 1


def test_generators_are_forked_of_named_devices() -> None:
    call = "fork_rng" + "()"  # which warns where there are two GPUs
    files = [
        path for package in ("bench", "data_utils", "tests", "tools") for path in (ROOT / package).rglob("*.py")
    ]
    assert len(files) > 300
    assert [path for path in files if call in path.read_text()] == []


def test_equal_streams_draw_equal_weights_whatever_was_drawn_before() -> None:
    with seeded(51, "initialization"):
        first = nn.Linear(3, 3).weight
    torch.rand(7)
    with seeded(51, "initialization"):
        second = nn.Linear(3, 3).weight
    with seeded(52, "initialization"):
        other = nn.Linear(3, 3).weight
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("error", [False, True])
def test_seeded_restores_the_global_generator(error: bool) -> None:
    before = torch.get_rng_state()
    with suppress(KeyError), seeded(51, "initialization"):
        torch.rand(3)
        if error:
            raise KeyError("on purpose")
    assert torch.equal(torch.get_rng_state(), before)


def test_two_gpus_are_no_reason_for_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    # torch warns where all of several devices would be forked, once per process.
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.random, "_fork_rng_warned_already", False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with seeded(51, "initialization"):
            toy()


def test_an_epochs_order_is_a_permutation_that_depends_on_its_arguments_alone() -> None:
    first = epoch_order(51, 1, 100)
    assert sorted(first.tolist()) == list(range(100))
    torch.rand(7)
    before = torch.get_rng_state()
    assert torch.equal(epoch_order(51, 1, 100), first)
    assert torch.equal(torch.get_rng_state(), before)
    for seed, epoch in ((52, 1), (51, 2)):
        assert not torch.equal(epoch_order(seed, epoch, 100), first)


BACKENDS = torch.backends
MATMUL, CONVOLUTION = BACKENDS.cuda.matmul, BACKENDS.cudnn.conv  # type: ignore[attr-defined]
PLACES = [
    (MATMUL, "cuda"),
    (BACKENDS.cudnn, "cuda"),
    (CONVOLUTION, "cuda"),
    (BACKENDS.cudnn.rnn, "cuda"),
    *((getattr(BACKENDS.mkldnn, name), "cpu") for name in ("matmul", "conv", "rnn")),
]
"""Where float32 may be computed in another format, and on which device."""


def switches() -> list[object]:
    return [
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        BACKENDS.cudnn.deterministic,
        BACKENDS.cudnn.benchmark,
        torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
    ]


def formats(device: str = "") -> list[str]:
    return [place.fp32_precision for place, on in PLACES if on == (device or on)]


def older() -> list[object]:
    """The older settings; "contradicted" for one that cannot be read, as it contradicts the newer ones."""

    def read(setting: Callable[[], object]) -> object:
        try:
            return setting()
        except RuntimeError:
            return "contradicted"

    return [read(torch.get_float32_matmul_precision), read(lambda: BACKENDS.cudnn.allow_tf32)]


def nothing() -> None:
    pass


def others_switches() -> None:
    torch.use_deterministic_algorithms(True, warn_only=True)
    BACKENDS.cudnn.deterministic, BACKENDS.cudnn.benchmark = True, True


def older_settings() -> None:
    BACKENDS.cudnn.allow_tf32 = False
    MATMUL.allow_tf32 = True


def format_of_convolutions() -> None:
    CONVOLUTION.fp32_precision = "ieee"  # from then on, reading cudnn.allow_tf32 raises


def format_of_everything() -> None:
    BACKENDS.fp32_precision = "tf32"  # type: ignore[attr-defined]


def fast_products() -> None:
    torch.set_float32_matmul_precision("medium")  # bfloat16 on a CPU


@pytest.fixture(
    params=[
        nothing,
        others_switches,
        older_settings,
        format_of_convolutions,
        format_of_everything,
        fast_products,
    ],
    ids=lambda setting: setting.__name__,
)
def before(request: pytest.FixtureRequest) -> Iterator[None]:
    """Settings made before; those of the test session are restored afterwards."""
    session, (products, convolutions) = switches(), older()
    session_formats = [(place, place.fp32_precision) for place in (BACKENDS, *(place for place, _ in PLACES))]
    request.param()
    yield
    torch.use_deterministic_algorithms(bool(session[0]), warn_only=bool(session[1]))
    BACKENDS.cudnn.deterministic, BACKENDS.cudnn.benchmark = map(bool, session[2:4])
    torch.set_float32_matmul_precision(str(products))
    BACKENDS.cudnn.allow_tf32 = bool(convolutions)
    for place, chosen in session_formats:
        place.fp32_precision = chosen


@pytest.mark.usefixtures("before")
@pytest.mark.parametrize("error", [False, True])
def test_inside_everything_is_deterministic_and_afterwards_as_it_was(error: bool) -> None:
    expected = switches(), formats(), older()
    with suppress(KeyError), deterministic():
        assert switches() == [True, False, True, False, False]
        assert set(formats()) == {"ieee"}
        if error:
            raise KeyError("on purpose")
    assert (switches(), formats(), older()) == expected


@pytest.mark.usefixtures("before")
@pytest.mark.parametrize(("precision", "on_cuda"), [(FP32, "ieee"), (TF32, "tf32"), (BF16, "ieee")])
def test_float32_is_in_the_declared_format_on_cuda_and_in_full_on_a_cpu(
    precision: Precision, on_cuda: str
) -> None:
    with deterministic(precision):
        assert set(formats("cuda")) == {on_cuda}
        assert set(formats("cpu")) == {"ieee"}


@pytest.mark.usefixtures("before")
@pytest.mark.parametrize(
    ("precision", "expected"),
    [(FP32, ["highest", False]), (TF32, ["high", True]), (BF16, ["highest", False])],
)
def test_the_older_settings_agree_as_libraries_read_them(precision: Precision, expected: list[object]) -> None:
    with deterministic(precision):
        assert older() == expected


@pytest.mark.usefixtures("before")
@pytest.mark.parametrize("precision", [FP32, TF32, BF16])
def test_a_model_may_switch_cudnn_off_for_a_while(precision: Precision) -> None:
    with deterministic(precision):
        expected = older()
        with BACKENDS.cudnn.flags(enabled=False, deterministic=True):
            assert not BACKENDS.cudnn.enabled
        assert older() == expected
        assert (TF32 in formats("cuda")) == (precision == TF32)


def test_a_product_on_a_cpu_has_the_same_bits_whatever_was_set() -> None:
    matrix = torch.rand(64, 64, generator=torch.Generator().manual_seed(0))
    with deterministic():
        expected = matrix @ matrix
    session = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with deterministic():
            assert torch.equal(matrix @ matrix, expected)
    finally:
        torch.set_float32_matmul_precision(session)


def test_cublas_is_told_before_anything_can_use_it() -> None:
    code = "import os, sys, bench; print(os.environ['CUBLAS_WORKSPACE_CONFIG'], 'torch' in sys.modules)"
    environment = {name: value for name, value in os.environ.items() if name != "CUBLAS_WORKSPACE_CONFIG"}
    for chosen, expected in (({}, ":4096:8"), ({"CUBLAS_WORKSPACE_CONFIG": ":16:8"}, ":16:8")):
        output = subprocess.check_output([sys.executable, "-c", code], env=environment | chosen, text=True)
        assert output.split() == [expected, "False"]


def test_what_has_no_deterministic_version_raises() -> None:
    # An operation that refuses under the switch on every device.
    with deterministic(), pytest.raises(RuntimeError, match="deterministic"):
        torch.zeros(3).put_(torch.tensor([0, 0]), torch.tensor([1.0, 2.0]))
