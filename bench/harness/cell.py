"""The unit of all runs: one model and one seed, under one protocol of a study."""

from dataclasses import dataclass

from bench.config import DEFAULT_STUDY, FIRST_SEED, RunConfig
from bench.study import Study
from fusion_models.zoo import ModelSpec


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
    def name(self) -> str:
        """The cell's test id: the model, with everything that is not the default around it."""
        study = "" if self.study.name == DEFAULT_STUDY else self.study.name
        model = self.spec.name if self.seed == FIRST_SEED else f"{self.spec.name}-seed{self.seed}"
        return ":".join(filter(None, (study, self.config.variant, model)))
