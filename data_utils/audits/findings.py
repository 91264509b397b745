"""The results of audits, as data and as text. Loads no torch."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One problem that makes results wrong.

    Attributes:
        audit: The name of the audit that found it.
        subject: What it concerns: a data set, a modality, models.
        message: What is wrong and what to do about it.
        stops: Whether a run on these data stops because of it; otherwise it runs, and its results are doubtful.
    """

    audit: str
    subject: str
    message: str
    stops: bool = False


@dataclass(frozen=True)
class Outcome:
    """The result of one audit.

    Attributes:
        audit: Its name.
        looked_at: What it examined; an audit of nothing finds nothing.
        findings: Every problem that it found.
    """

    audit: str
    looked_at: str
    findings: Sequence[Finding]

    def __str__(self) -> str:
        verdict = "FOUND" if self.findings else "ok"
        effect = {True: "A run stops here.", False: "A run still works."}
        messages = [f"         {f.subject}: {f.message} {effect[f.stops]}" for f in self.findings]
        return "\n".join([f"  {verdict:<5}  {self.audit}: {self.looked_at}", *messages])
