"""The benchmarks that pytest has selected: their parameters, and what to say where ``-k`` selects none."""

from collections.abc import Collection, Iterable
from typing import Any

import pytest
from _pytest.mark.expression import Expression

from bench.harness.cell import Cell
from bench.registry import STUDIES, find_study
from bench.study import Study
from fusion_models.zoo import MODELS
from fusiongauge import FusionGaugeError

_LISTINGS = ("collectonly", "help", "showfixtures", "show_fixtures_per_test", "setupplan", "markers", "cacheshow")


def lists_only(config: pytest.Config) -> bool:
    """Whether pytest shows what there is, and runs nothing."""
    return any(getattr(config.option, name, False) for name in _LISTINGS)


def parameter(item: pytest.Item, name: str) -> Any:
    """The parameter of a benchmark; None if it has none of this name."""
    return item.callspec.params.get(name) if hasattr(item, "callspec") else None


def cells_of(items: Iterable[pytest.Item]) -> list[Cell]:
    """The cells of some benchmarks, each once."""
    return list({cell.name: cell for item in items if (cell := parameter(item, "cell")) is not None}.values())


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
