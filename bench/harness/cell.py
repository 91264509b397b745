"""The unit of all runs: one model and one seed, under one protocol of a study."""

from dataclasses import dataclass

from bench.config import FIRST_SEED
from bench.studies import DEFAULT_STUDY, Study
from fusion_models import ModelSpec


@dataclass(frozen=True, eq=False)
class Cell:
    """One model and one seed, under one protocol of a study."""

    study: Study
    variant: str
    spec: ModelSpec
    seed: int

    @property
    def name(self) -> str:
        """The cell's test id: the model, with what is not the default around it."""
        study = "" if self.study.name == DEFAULT_STUDY else self.study.name
        model = self.spec.name if self.seed == FIRST_SEED else f"{self.spec.name}-seed{self.seed}"
        return ":".join(filter(None, (study, self.variant, model)))
