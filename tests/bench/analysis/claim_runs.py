"""Hand-made runs of the models that claims compare, and a ledger of them."""

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from bench.analysis import ledger as ledgers
from bench.analysis.claim_files import published_claims
from bench.analysis.claims import Claims
from bench.records import ProbeRecord, RunRecord
from tests.bench.analysis.samples import around, seeds

MAXPOOL, STRIDED = "deep-intermediate-concat-maxpool", "deep-intermediate-concat-strided"
EXPERTS = [f"experts-intermediate-{operator}-maxpool" for operator in ("concat", "add", "hadamard")]
LATE_EXPERTS = "experts-late-logits-maxpool"


def declared(records: Iterable[RunRecord], claims: Claims | None = None) -> list[RunRecord]:
    """The records with the hashes of the claims that they are evidence for, as a session writes them."""
    claims = claims or published_claims()
    return [replace(run, claims=claims.hashes((run.study, run.variant), run.model)) for run in records]


def ledger(
    records: Sequence[RunRecord], probes: Sequence[ProbeRecord] = (), claims: Claims | None = None
) -> ledgers.Ledger:
    """The ledger of such records."""
    claims = claims or published_claims()
    return ledgers.ledger(declared(records, claims), probes, claims)


def deep(maxpool: float, strided: float, n: int = 10) -> list[RunRecord]:
    """Runs of downsampling-deep with these losses; accuracies differ the same way."""
    runs = []
    for model, loss, shift in ((MAXPOOL, maxpool, 0), (STRIDED, strided, 1)):
        for run in seeds(model, "downsampling-deep", losses=around(loss, n, shift=shift)):
            accuracy = 1 - (run.best_valid_loss or 0)
            runs.append(replace(run, valid_accuracy=accuracy, train_accuracy=accuracy))
    return runs


def experts(*losses: float) -> list[RunRecord]:
    """Runs of fusion-experts with these losses: concat, add, Hadamard, late."""
    models = (*EXPERTS, LATE_EXPERTS)
    return [
        run
        for shift, (model, loss) in enumerate(zip(models, losses, strict=False))
        for run in seeds(model, "fusion-experts", losses=around(loss, 10, shift=shift))
    ]


def compact(concat: float, late: float, late_parameters: int = 1500) -> list[RunRecord]:
    """Runs of fusion-compact with these losses of concat and late fusion; add and Hadamard are worse."""
    losses = {
        "compact-intermediate-concat-maxpool": concat,
        "compact-intermediate-add-maxpool": 0.5,
        "compact-intermediate-hadamard-maxpool": 0.4,
        "compact-late-concat-maxpool": late,
    }
    return [
        replace(run, parameters=late_parameters if "late" in model else 914)
        for shift, (model, loss) in enumerate(losses.items())
        for run in seeds(model, "fusion-compact", losses=around(loss, 10, shift=shift))
    ]


def wide(add: float, concat: float) -> list[RunRecord]:
    """Runs of fusion-wide with these losses of add (and Hadamard) and concat (and late fusion)."""
    losses = {
        "wide-intermediate-add-maxpool": (add, 100),
        "wide-intermediate-hadamard-maxpool": (add, 100),
        "wide-intermediate-concat-maxpool": (concat, 195),
        "wide-late-concat-maxpool": (concat, 195),
    }
    return [
        replace(run, parameters=parameters)
        for shift, (model, (loss, parameters)) in enumerate(losses.items())
        for run in seeds(model, "fusion-wide", losses=around(loss, 10, shift=shift), dataset="shapes-uneven")
    ]


def tuned(**losses: tuple[float, float]) -> list[RunRecord]:
    """Runs of two learning rates: the losses of the compact models with these operators at 0.001 and at 0.003."""
    runs = []
    for operator, of_rates in losses.items():
        model = f"compact-intermediate-{operator}-maxpool"
        for variant, loss in zip(("lr 0.001", "lr 0.003"), of_rates, strict=True):
            of_model = seeds(model, "tuned", losses=around(loss, 10, shift=len(model)), variant=variant)
            runs += [replace(run, seed=51 + i) for i, run in enumerate(of_model)]
    return runs
