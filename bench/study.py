"""A study: which models are trained under which protocol to answer which question. Data only."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bench.config import OptionError, Protocol

PROBES = ("robustness", "features")
"""The probes of trained models that a study can request; ``bench/test_<name>.py`` runs each."""


@dataclass(frozen=True)
class Study:
    """The models and protocols that answer one question.

    Attributes:
        question: What its table answers.
        models: Names of the models, in the order of the table.
        protocols: The protocol by the name of the variant; a single one has the name "".
        dataset: A registered data set; ``--dataset`` overrides it.
        mistakes: Settings of a published protocol that are corrected in ``protocols``; ``--as-published`` restores
            them.
        probes: Which probes its trained models go through, of PROBES.
        reference: The embedder that all others are compared with.
        idle: Whether it is about times, so that the machine should be idle: other processes are looked for before
            it starts, and ``--resume`` trains again what they disturbed.
        name: As in ``--study``, test ids and records; the name it is registered under.

    Raises:
        OptionError: No models, one of them twice, no protocols, a variant whose name cannot be part of a file's
            name, or an unknown probe.
    """

    question: str
    models: tuple[str, ...]
    protocols: Mapping[str, Protocol]
    dataset: str = "shapes"
    mistakes: Mapping[str, Any] = field(default_factory=dict)
    probes: tuple[str, ...] = ()
    reference: str = "maxpool"
    idle: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        if not self.models or not self.protocols:
            raise OptionError(f"study {self.name!r} needs at least one model and one protocol")
        if not isinstance(self.protocols, Mapping):
            raise OptionError(
                f"study {self.name!r} has a {type(self.protocols).__name__} as protocols; "
                'give a mapping such as {"": STANDARD}'
            )
        if isinstance(self.models, str) or len(set(self.models)) < len(self.models):
            raise OptionError(f"study {self.name!r} needs a tuple of different models, not {self.models!r}")
        for variant in self.protocols:
            if not re.fullmatch(r"[A-Za-z0-9 ._=,+-]*", variant):  # a part of test ids and names of files
                raise OptionError(
                    f"study {self.name!r} has a variant {variant!r}; "
                    "use letters, digits, spaces and ._=,+- in names"
                )
        if isinstance(self.probes, str):
            raise OptionError(f"study {self.name!r} has probes={self.probes!r}; give a tuple, ({self.probes!r},)")
        if not set(self.probes) <= set(PROBES):
            raise OptionError(f"study {self.name!r} requests the probes {self.probes}; there are {PROBES}")

    def published_protocol(self, variant: str) -> Protocol:
        """A protocol with the mistakes of the original."""
        return replace(self.protocols[variant], **self.mistakes)
