"""The unit of all runs: one model and one seed, under one protocol of a study."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.analysis.formats import counted
from bench.config import DEFAULT_STUDY, FIRST_SEED, RunConfig
from bench.records import ProbeRecord, RunRecord
from bench.records.run import without_changes
from bench.study import Study
from fusion_models.zoo import ModelSpec
from fusiongauge import some

_SHOWN = 5
"""How many names a message lists."""


def cell_name(study: str, variant: str, model: str, seed: int) -> str:
    """A cell's test id: the model, with everything that is not the default around it."""
    study = "" if study == DEFAULT_STUDY else study
    return ":".join(filter(None, (study, variant, model if seed == FIRST_SEED else f"{model}-seed{seed}")))


def name_of(record: RunRecord | ProbeRecord) -> str:
    """The test id of the cell that a record is of."""
    return cell_name(record.study, record.variant, record.model, record.seed)


def listed(names: Sequence[str]) -> str:
    """The number of cells, and the names of the first ones, for a message."""
    return f"{counted(len(names), 'cell')}: {some(names, _SHOWN)}"


@dataclass(frozen=True, eq=False)
class Cell:
    """One model and one seed, under one protocol of a study.

    Attributes:
        study: What it is run for.
        config: The settings of its run; ``config.variant`` tells which of the study's protocols it is, with the
            settings that ``--set`` changed.
        spec: Of the model.
        seed: Of all random streams.
    """

    study: Study
    config: RunConfig
    spec: ModelSpec
    seed: int

    @property
    def source(self) -> tuple[str, str]:
        """The study, and which of its protocols, without the settings that were changed: as claims name it."""
        return self.study.name, without_changes(self.config.variant, self.config.changed)

    @property
    def name(self) -> str:
        """The cell's test id."""
        return cell_name(self.study.name, self.config.variant, self.spec.name, self.seed)
