"""What files of ``--claims`` name has to exist.

A misspelt study would keep the hashes of its claims out of records, and a misspelt model would leave its claim
undecided after all trainings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from bench.registry import STUDIES, find_study
from fusion_models.zoo import SINGLE, ModelError, find_model

if TYPE_CHECKING:
    from bench.analysis.claims import Claim, Source

_LOADED = "correct it, or load its plug-in with --plugin"


def check(texts: Mapping[Path, str], models: Sequence[str] = ()) -> None:
    """Refuse claims that no run could ever decide.

    Args:
        texts: The content of each file.
        models: That are trained besides those of the studies.

    Raises:
        ClaimError: A file cannot be used, or names a study, a variant or a model that does not exist, or a model
            that none of its studies trains.
    """
    from bench.analysis.claim_files import ClaimError, with_published

    paths = {path.stem: path for path in texts}
    declared = with_published(texts)
    claims = {claim.name: claim for claim in declared.claims}
    for claim in claims.values():
        path = paths.get(claim.name.partition("/")[0])
        fault = path and (_fault_of_sources(claim) or _fault_of_models(claim, models))
        if fault:
            raise ClaimError(f"{path}, claim {claim.name}: {fault}")
    for question in declared.questions:
        path = paths.get(question.file)
        for name, part in question.parts:
            fault = path and _fault_of_models(replace(claims[name], parts=(part,)), models)
            if fault:
                raise ClaimError(f"{path}, question {question.question!r}: {fault}")


def _sources(claim: Claim) -> Iterable[Source]:
    return [source for sources in claim.settings.values() for source in sources]


def _fault_of_sources(claim: Claim) -> str:
    from bench.analysis.claims import BEST

    for study, variant in _sources(claim):
        if study not in STUDIES:
            return f"there is no study {study!r}; {_LOADED}. There are {', '.join(STUDIES)}"
        variants = list(find_study(study).protocols)
        if variant not in (*variants, BEST):
            there_are = ", ".join(repr(f"{study}/{name}" if name else study) for name in (*variants, BEST))
            return f"the study {study!r} has no variant {variant!r}; give one of {there_are}"
    return ""


def _fault_of_models(claim: Claim, models: Sequence[str]) -> str:
    studies = dict.fromkeys(study for study, _ in _sources(claim))
    trained = {*models, *(model for study in studies for model in find_study(study).models)}
    for name in sorted(claim.models):
        variant, _, model = name.rpartition(":")
        try:
            spec = find_model(model)
        except ModelError:
            like = "".join(f", or is it {close!r}?" for close in get_close_matches(model, trained, 1))
            return f"there is no model {model!r}; {_LOADED}{like}"
        if variant and not any(variant in find_study(study).protocols for study in studies):
            return f"{name!r}: none of its studies has a variant {variant!r}"
        if model not in trained and spec.stage != SINGLE:  # which of these are trained depends on the data
            return (
                f"none of its studies ({', '.join(studies)}) trains {model}; give one that does, or another model"
            )
    return ""
