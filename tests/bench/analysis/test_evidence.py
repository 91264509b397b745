"""Which models a study's evidence compares."""

from typing import Any

from bench.analysis.evidence import evidence
from bench.records import RunRecord
from tests.bench.analysis.samples import around, foreign, seeds
from tests.bench.samples import record

LATE, CONCAT = "compact-late-concat-maxpool", "compact-intermediate-concat-maxpool"
STRIDED = "compact-late-concat-strided"


def pairs(*records: RunRecord) -> list[tuple[str, str]]:
    """What is compared, once for all metrics."""
    return list(dict.fromkeys((verdict.pairing.a, verdict.pairing.b) for verdict in evidence(records)))


def test_models_are_compared_with_their_paired_variant_and_with_concatenation_in_the_middle() -> None:
    assert pairs(record(LATE), record(CONCAT), record(STRIDED)) == [
        (LATE, "strided"),
        (LATE, "intermediate-concat"),
    ]


def mine(embedder: str, **changes: Any) -> RunRecord:
    return foreign(model=f"mine-late-gated-{embedder}", embedder=embedder, **changes)


def test_each_other_embedder_is_compared_with_the_reference_of_the_records() -> None:
    models = [mine("blur"), mine("sharp"), mine("soft")]
    assert pairs(*models) == [("mine-late-gated-sharp", "blur"), ("mine-late-gated-sharp", "soft")]
    assert pairs(*(mine(embedder, reference="soft") for embedder in ("blur", "sharp", "soft"))) == [
        ("mine-late-gated-soft", "blur"),
        ("mine-late-gated-soft", "sharp"),
    ]
    assert pairs(mine("blur"), mine("soft")) == []  # without the reference


def test_models_without_an_embedder_have_no_paired_variant() -> None:
    custom = foreign(model="mine-late-gated", embedder="", family="custom", stage="custom", operator="")
    assert pairs(custom, mine("sharp")) == []


def test_variants_are_compared_with_the_first() -> None:
    runs = [record(LATE, study="input-scaling", variant=variant) for variant in ("raw", "normalized", "other")]
    assert pairs(*runs) == [(f"normalized {LATE}", "raw"), (f"other {LATE}", "raw")]
    assert pairs(record(LATE), record(LATE, variant="epochs=9")) == [(f"epochs=9 {LATE}", "as declared")]


def test_paired_variants_are_of_one_variant_of_the_protocol() -> None:
    assert pairs(record(LATE, variant="raw"), record(STRIDED, variant="normalized")) == []


def test_what_no_record_holds_is_not_compared() -> None:
    metrics = [verdict.pairing.metric.name for verdict in evidence([mine("sharp"), mine("blur")])]
    assert metrics == ["best_valid_loss", "valid_accuracy", "valid_brier"]
    without = [mine(embedder, valid_metrics=None) for embedder in ("sharp", "blur")]
    assert [v.pairing.metric.name for v in evidence(without)] == ["best_valid_loss", "valid_accuracy"]


def test_of_several_records_of_a_cell_the_last_counts() -> None:
    runs = [run for model in (LATE, STRIDED) for run in seeds(model, "standard", losses=around(0.1, 10))]
    again = seeds(STRIDED, "standard", losses=around(0.5, 10))
    (loss, _) = evidence([*runs, *again])
    assert loss.words == "A superior"
