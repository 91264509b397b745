"""What an audit finds, and how it is said. Audits of data are in audits.py, those of models in bench."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that makes results wrong.

    Attributes:
        audit: which audit found it.
        subject: what is concerned: a data set, a modality, models.
        message: what is wrong and what to do about it.
    """

    audit: str
    subject: str
    message: str


@dataclass(frozen=True)
class Outcome:
    """What came of one audit.

    Attributes:
        audit: its name.
        looked_at: how much it has seen, since nothing is found in nothing.
        findings: none if all is well.
    """

    audit: str
    looked_at: str
    findings: Sequence[Finding]

    def __str__(self) -> str:
        verdict = "FOUND" if self.findings else "ok"
        found = [f"         {finding.subject}: {finding.message}" for finding in self.findings]
        return "\n".join([f"  {verdict:<5}  {self.audit}: {self.looked_at}", *found])


def some(names: Sequence[str], shown: int = 3) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
