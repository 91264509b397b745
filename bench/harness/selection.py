"""What to say where ``-k`` selects nothing."""

from collections.abc import Collection

from _pytest.mark.expression import Expression

from bench.registry import STUDIES, find_study
from bench.study import Study
from fusion_models.zoo import MODELS
from fusiongauge import FusionGaugeError


def no_match(keyword: str, selected: Collection[Study]) -> list[str]:
    """Lines for an expression of ``-k`` that matches no id of the selected studies.

    They name the other studies with ids that match, or, without any, the models.
    """
    chosen = [study.name for study in selected]
    others = [name for name in STUDIES if name not in chosen and _matches(keyword, name)]
    if others:
        names = ", ".join(others)
        return [f"-k {keyword!r} matches no id of --study {','.join(chosen)}; studies with a match: {names}"]
    return [f"-k {keyword!r} matches no id; benchmarks are named after their models:", ", ".join(MODELS)]


def _matches(keyword: str, name: str) -> bool:
    try:
        study = find_study(name)
    except FusionGaugeError:  # is reported where the study is selected
        return False
    expression = Expression.compile(keyword)
    ids = [
        f"bench/test_training.py::test_training[{name}:{variant}:{model}]".lower()
        for variant in study.protocols
        for model in study.models
    ]
    return any(expression.evaluate(lambda word, /, **_: word.lower() in cell) for cell in ids)  # noqa: B023
