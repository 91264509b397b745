"""The registries of bench, and the decorators that add to them. Loads no torch.

Operators, embedders, backbones and models are registered in ``fusion_models``, data sets in ``data_utils``.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

from bench.config import OptionError
from bench.records.metric import Metric
from bench.study import Study
from fusiongauge import PluginError, Registry, source_file

if TYPE_CHECKING:
    from torch import Generator, Tensor

Function = TypeVar("Function", bound=Callable[..., Any])

Compute = Callable[["Tensor", "Tensor"], float]
"""(logits (N, L), labels (N,)) -> value; L is 1 for binary cross-entropy, otherwise the number of classes."""


@dataclass(frozen=True)
class EvaluatedMetric:
    """A metric that is computed from predictions.

    Attributes:
        declaration: How it is called, written and compared; its name is without the part of the data ("accuracy").
        compute: Computes it once, over all samples.
    """

    declaration: Metric
    compute: Compute


Corrupt = Callable[["Tensor", float, "Generator"], "Tensor"]
"""(values (N, C, H, W) as the sensor measured them, level, source of all draws) -> corrupted values."""


@dataclass(frozen=True)
class Corruption:
    """A fault of one modality's sensor.

    Attributes:
        name: In records, tables and plots.
        corrupt: Applies it.
        levels: Severities, rising from 0; robustness is the area over them.
        modality: Whose; "" for each modality of the data in turn.
        unit: Of the levels.
        kind: What the modality has to hold, "image" or "points"; "" for anything.
        statistics: Whether ``corrupt`` also takes the channels' mean and standard deviation.
    """

    name: str
    corrupt: Callable[..., Any]
    levels: tuple[float, ...]
    modality: str = ""
    unit: str = ""
    kind: str = ""
    statistics: bool = False


METRICS: Registry[EvaluatedMetric] = Registry("metric", home="bench.metrics")
CORRUPTIONS: Registry[Corruption] = Registry("corruption", home="bench.probes.corruptions")
STUDIES: Registry[Callable[[], Study]] = Registry("study", home="bench.studies.shipped")


def register_metric(
    name: str,
    *,
    higher_is_better: bool,
    title: str = "",
    unit: str = "",
    decimals: int | None = 3,
    scale: float = 1.0,
    margin: float = 0.0,
    reason: str = "",
    alias: str = "",
    history: str = "",
    shown: bool = True,
) -> Callable[[Compute], Compute]:
    """Register a metric, a function of logits (N, L) and labels (N,); see ``bench.records.Metric`` for the rest.

    Args:
        name: In records: ``valid_metrics[name]``, and ``valid_<name>`` in tables, ``--fail-on`` and verdicts.
        higher_is_better: The direction.
        title: For column headings; the name with spaces if left out.
        unit: Of its values; "" for a share.
        decimals: Digits after the decimal point; None for as many significant digits as the uncertainty supports.
        scale: What one unit of the title is in the unit of its values.
        margin: The smallest difference that matters.
        reason: Why that is the smallest.
        alias: A shorter name for ``--fail-on``.
        history: The name of its series in the history of nightly runs.
        shown: Whether the main tables have a column for it.

    Raises:
        PluginError: The name is taken.
    """

    def register(compute: Compute) -> Compute:
        declaration = Metric(
            name=name,
            title=title or name.replace("_", " "),
            unit=unit,
            higher_is_better=higher_is_better,
            decimals=decimals,
            scale=scale,
            margin=margin,
            reason=reason,
            alias=alias,
            history=history,
            shown=shown,
        )
        METRICS.register(name, EvaluatedMetric(declaration, compute), compute)
        return compute

    return register


def register_corruption(
    name: str,
    *,
    levels: tuple[float, ...],
    modality: str = "",
    unit: str = "",
    kind: str = "",
    statistics: bool = False,
) -> Callable[[Function], Function]:
    """Register a corruption, a function ``f(values, level, generator)`` that returns corrupted values.

    ``values`` are float32 (N, C, H, W), as the sensor measured them: images in [0, 1], without the alpha of RGBA;
    XYZA points in meters; anything else as the data set stores it. All draws come from ``generator``.

    Args:
        name: In records, tables and plots.
        levels: Severities, rising from 0, which changes nothing.
        modality: The modality it corrupts; "" for a corruption of each modality of the data in turn, named
            ``<name>-<modality>``.
        unit: Of the levels.
        kind: "image" or "points" (XYZA) for a corruption of these alone; modalities of another kind are left out.
        statistics: Whether the function is called as ``f(values, level, generator, mean, std)`` with the mean and
            standard deviation (C,) of the training pairs.

    Raises:
        PluginError: The name is taken, the levels do not rise from 0, or there is no such kind.
    """

    def register(corrupt: Function) -> Function:
        if len(levels) < 2 or levels[0] != 0 or any(a >= b for a, b in pairwise(levels)):
            raise PluginError(f"{source_file(corrupt)}: the levels of {name!r} must rise from 0, not {levels}")
        if kind not in ("", "image", "points"):
            raise PluginError(f"{source_file(corrupt)}: the kind of {name!r} is 'image' or 'points', not {kind!r}")
        corruption = Corruption(name, corrupt, levels, modality, unit, kind, statistics)
        CORRUPTIONS.register(name, corruption, corrupt)
        return corrupt

    return register


def register_study(name: str) -> Callable[[Callable[[], Study]], Callable[[], Study]]:
    """Register a study, a function without arguments that returns a ``Study``; it is called when first selected.

    Args:
        name: As in ``--study``, test ids and records.

    Raises:
        PluginError: The name is taken.
    """

    def register(make: Callable[[], Study]) -> Callable[[], Study]:
        STUDIES.register(name, make, make)
        return make

    return register


def find_study(name: str) -> Study:
    """The study of this name.

    Raises:
        OptionError: No study has the name; the message lists all that exist.
        PluginError: The study's function raises or returns something else.
    """
    if name not in STUDIES:
        raise OptionError(f"unknown study {name!r}; the studies are: {', '.join(STUDIES)}")
    try:
        return replace(STUDIES[name](), name=name)
    except OptionError:
        raise
    except Exception as error:
        raise PluginError(
            f"{STUDIES.file(name)}: the study {name!r} is not a function that returns a Study "
            f"({type(error).__name__}: {error})"
        ) from error
