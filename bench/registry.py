"""The registries of bench, and the decorators that add to them. Loads no torch.

Operators, embedders, backbones and models are registered in ``fusion_models``, data sets in ``data_utils``.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

from bench.config import OptionError
from bench.records.metric import Metric
from bench.records.run import RunRecord
from bench.study import Study
from fusiongauge import PluginError, Registry, source_file

if TYPE_CHECKING:
    from torch import Tensor

Function = TypeVar("Function", bound=Callable[..., Any])

Compute = Callable[["Tensor", "Tensor"], float]
"""(logits (N, L), labels (N,)) -> value; L is 1 for binary cross-entropy, otherwise the number of classes."""


@dataclass(frozen=True)
class EvaluatedMetric:
    """A metric that is computed from predictions.

    Attributes:
        declaration: How it is called, written and compared; its name is without the part of the data ("accuracy").
        compute: Computes it once, over all samples.
        every_epoch: Whether it is computed after every epoch, or for the best one alone.
    """

    declaration: Metric
    compute: Compute
    every_epoch: bool = True


_KINDS = ("image", "points", "depth", "range", "thermal", "raw")  # of modalities; see data_utils.modality


@dataclass(frozen=True)
class Corruption:
    """A fault of one modality's sensor.

    Attributes:
        name: In records, tables and plots.
        corrupt: Applies it; see ``register_corruption``.
        levels: Severities, rising from 0, which changes nothing; robustness is the area over them.
        modality: The modality it corrupts; "" for a corruption of each modality of the data in turn, named
            ``<name>-<modality>``.
        unit: Of the levels.
        kind: "points" (XYZA), "image", "depth", "range", "thermal" or "raw" for a corruption of these alone;
            modalities of another kind are left out.
        statistics: Whether the function is called as ``corrupt(values, level, generator, mean, std)`` with the
            mean and standard deviation (C,) of the training pairs.

    Raises:
        PluginError: The levels do not rise from 0, or the kind is unknown.
    """

    name: str
    corrupt: Callable[..., Any]
    levels: tuple[float, ...]
    modality: str = ""
    unit: str = ""
    kind: str = ""
    statistics: bool = False

    def __post_init__(self) -> None:
        file, name, levels, kind = source_file(self.corrupt), self.name, self.levels, self.kind
        if len(levels) < 2 or levels[0] != 0 or any(a >= b for a, b in pairwise(levels)):
            raise PluginError(f"{file}: the levels of {name!r} must rise from 0, not {levels}")
        if kind and kind not in _KINDS:
            raise PluginError(f"{file}: the kind of {name!r} is one of {', '.join(_KINDS)}, not {kind!r}")


IN_RECORDS = ("loss", "accuracy")
"""The metrics that records also hold in fields of their own."""

METRICS: Registry[EvaluatedMetric] = Registry("metric", home="bench.metrics")
CORRUPTIONS: Registry[Corruption] = Registry("corruption", home="bench.probes.corruptions")
STUDIES: Registry[Callable[[], Study]] = Registry(
    "study", home="bench.studies.shipped", reserved=("all", "claims")
)


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
    shown_if_uneven: bool = False,
    every_epoch: bool = True,
) -> Callable[[Compute], Compute]:
    """Register a metric, a function of logits (N, L) and labels (N,).

    In records it is ``valid_metrics[name]`` and ``test_metrics[name]``, in ``--fail-on`` ``valid_<name>`` and
    ``test_<name>``; tables and verdicts show that of the test pairs, if there are any. Its title is the name with
    spaces if left out. ``every_epoch=False`` is for metrics that take longer than an epoch should: on validation
    pairs they are computed for the best epoch alone. ``bench.records.Metric`` describes the
    other arguments.

    Raises:
        PluginError: The name is taken, also by something else that records tell of test or validation pairs.
    """
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
        shown_if_uneven=shown_if_uneven,
    )

    def unless_taken(compute: Compute) -> EvaluatedMetric:
        fields = {f"{part}_{name}" for part in ("test", "valid")} & {*RunRecord.__struct_fields__}
        if fields and name not in IN_RECORDS:
            raise PluginError(
                f"{source_file(compute)}: a metric cannot be named {name!r}, as records have a field "
                f"{min(fields)}; choose another name"
            )
        return EvaluatedMetric(declaration, compute, every_epoch)

    return METRICS.decorator(name, unless_taken)


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

    ``Corruption`` describes the arguments.

    Raises:
        PluginError: The name is taken, the levels do not rise from 0, or the kind is unknown.
    """
    declared = partial(
        Corruption, name, levels=levels, modality=modality, unit=unit, kind=kind, statistics=statistics
    )
    return CORRUPTIONS.decorator(name, declared)


def register_study(name: str) -> Callable[[Callable[[], Study]], Callable[[], Study]]:
    """Register a study, a function without arguments that returns a ``Study``; it is called when first selected.

    Args:
        name: As in ``--study``, test ids and records.

    Raises:
        PluginError: The name is taken.
    """
    return STUDIES.decorator(name, lambda make: make)


def find_study(name: str) -> Study:
    """The study of this name.

    Raises:
        OptionError: No study has the name; the message lists all that exist.
        PluginError: The study's function raises or returns something else, or models of plug-ins cannot be used.
    """
    if name not in STUDIES:
        raise OptionError(f"unknown study {name!r}; the studies are: {', '.join(STUDIES)}")
    try:
        return replace(STUDIES[name](), name=name)
    except OptionError as error:
        raise OptionError(f"{STUDIES.file(name)}: {error}".replace("study ''", f"study {name!r}")) from error
    except PluginError:  # of models that it names, not of the study
        raise
    except Exception as error:
        raise PluginError(
            f"{STUDIES.file(name)}: the study {name!r} is not a function that returns a Study "
            f"({type(error).__name__}: {error})"
        ) from error
