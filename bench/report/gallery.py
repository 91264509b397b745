"""Which models' sample predictions the page shows, and why there are none where there are none."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

from bench.analysis.formats import text
from bench.metrics import IN_WORDS, declarations, name_on, reported_part, value
from bench.records import COMPLETED, RecordError, RunRecord, SampleRecord, read
from bench.records.sample import samples_path


@dataclass(frozen=True)
class Samples:
    """The sample predictions of one model; none where ``reason`` tells why.

    Attributes:
        title: The model, its seed and why it was chosen.
        predictions: In the order in which the run saved them.
        reason: A sentence.
    """

    title: str
    predictions: list[SampleRecord]
    reason: str = ""


def gallery(records: Sequence[RunRecord], folders: Sequence[Path | None]) -> list[Samples]:
    """Predictions of the models with the lowest and the highest loss of the first seed.

    ``folders`` are those of the runs of comparable records; None for records without files.
    """
    metric = declarations()[name_on("loss", reported_part(records))]
    losses = [
        (loss, record, folder)
        for record, folder in zip(records, folders, strict=True)
        if record.status == COMPLETED and (loss := value(record, metric.name)) is not None
    ]
    if not losses:
        return []
    seed = min(record.seed for _, record, _ in losses)
    of_seed = sorted((entry for entry in losses if entry[1].seed == seed), key=itemgetter(0))
    chosen = {"lowest": of_seed[0], "highest": of_seed[-1]} if len(of_seed) > 1 else {"only": of_seed[0]}
    shown = []
    for which, (loss, record, folder) in chosen.items():
        which_loss = f"the {which} {IN_WORDS[metric.part]} loss of this seed"
        title = f"{record.label}, seed {seed}: {which_loss}, {text(metric, loss)}"
        try:
            shown.append(Samples(title, _read(record, folder)))
        except RecordError as error:
            shown.append(Samples(title, [], str(error)))
    return shown


def _read(record: RunRecord, folder: Path | None) -> list[SampleRecord]:
    if folder is None or record.checkpoint is None:
        raise RecordError("These records come without sample predictions; the folder of a run has them.")
    path = samples_path(folder, record.checkpoint)
    if not path.is_file():
        raise RecordError(f"{folder} has no samples of these models; a run saves them when it ends.")
    samples = read(path, SampleRecord)
    if any(sample.weights_sha256 != record.weights_sha256 for sample in samples):
        raise RecordError(f"{path} is of other weights than the record; run the cell again.")
    return samples
