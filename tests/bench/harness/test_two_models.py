from pathlib import Path

import pytest

from bench.config import OptionError
from bench.harness.options import resolve
from bench.harness.two_models import looks_within

A, B = (f"compact-intermediate-{operator}-maxpool" for operator in ("concat", "add"))


def test_two_models_compared(tmp_path: Path) -> None:
    found = resolve(root=tmp_path, device="cpu", compare_models=(A, B), until_decided=True, max_seeds="12")
    assert {cell.spec.name for cell in found.cells()} == {A, B}
    accuracy, loss = found.claims.claims
    assert accuracy.looks == loss.looks == looks_within(12) == (10, 12)
    assert accuracy.settings == {"standard": (("standard", ""),)}
    assert accuracy.models == {A, B}
    assert accuracy.sha256 != loss.sha256
    assert f"--compare-models {A} {B}" in found.command(found.cells()[0], threads=1)
    with pytest.raises(OptionError, match="different models"):
        resolve(root=tmp_path, device="cpu", compare_models=(A, A))


def test_looks_of_few_seeds_end_with_the_last() -> None:
    assert [looks_within(n) for n in (1, 10, 11, 20, 30)] == [
        (6,),  # fewer decide nothing
        (10,),
        (10, 11),
        (10, 15, 20),
        (10, 15, 20, 30),
    ]
