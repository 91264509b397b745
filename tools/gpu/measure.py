"""All measurements of the check: stems at once, kernels, layouts, several seeds, fixed costs of a cell, steps.

    python -m tools.gpu.measure DEVICE FOLDER

DEVICE is "cpu" or "cuda"; of several GPUs, CUDA_VISIBLE_DEVICES chooses one.

The folder gets ``measure.json``, which ``tools.gpu.tables`` shows. The environment variable LIMIT has the seconds
for all parts; what has no time left, needs CUDA or fails is noted in the file. Exits with 1 if a part has failed,
or if steps by graph, on stored pairs, or with stems at once gave other bits than they should.
"""

import gc
import os
import statistics
import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch

from bench.config import BF16, FP32, TF32, Precision
from bench.costs.race import PROTOCOL, models
from bench.training.ceiling import ceiling
from bench.training.device import precisions_of
from bench.training.seeding import deterministic
from fusion_models import ModelSpec, find_model
from tools.gpu import fixed, kernels, seeds, steps
from tools.gpu.findings import Findings
from tools.gpu.workload import Workload

SMALL = "compact-late-concat-strided"
LARGE = "wide-intermediate-concat-maxpool"
OTHERS = ("compact-intermediate-concat-maxpool", "wide-intermediate-concat-strided")

LAYOUTS = {"nhwc": torch.channels_last, "nchw": torch.contiguous_format}

PRECISIONS: tuple[Precision, ...] = (FP32, TF32, BF16)
SECONDS_TO_WRITE = 6
"""By this much earlier than LIMIT no part is begun, as the check stops the program then."""


def measure(work: Workload, findings: Findings, folder: Path) -> None:
    """Each part in its turn, with time kept for those after it."""
    _ceilings(work, findings)
    _branches(work, findings)
    _kernels(work, findings)
    _layouts(work, findings)
    _seeds(work, findings)
    _fixed(work, findings, folder)
    _models(work, findings)
    _options(work, findings)


def _ceilings(work: Workload, findings: Findings) -> None:
    for precision in precisions_of(work.device):
        findings.add(("ceiling", precision), partial(_ceiling, work.device, precision))


def _kernels(work: Workload, findings: Findings) -> None:
    for name in (SMALL, LARGE):
        for precision in (FP32, TF32):
            for layout, memory_format in LAYOUTS.items():
                findings.add(
                    ("kernels", f"{name} {layout}+{precision}"),
                    partial(kernels.kernels_of, work, find_model(name), precision, memory_format),
                    needs=0.8,
                    needs_cuda=True,
                )


def _branches(work: Workload, findings: Findings) -> None:
    for precision in _precisions(work):
        for name in (SMALL, LARGE, *OTHERS):
            findings.add(
                ("branches", f"{name}+{precision}"),
                partial(steps.side_by_side_and_in_turn, work, find_model(name), precision),
                needs=0.8,
                needs_cuda=True,
            )


def _layouts(work: Workload, findings: Findings) -> None:
    for name in (SMALL, LARGE, *OTHERS):
        for timed in (False, True):
            for precision in PRECISIONS:
                for layout, memory_format in LAYOUTS.items():
                    findings.add(
                        ("variants", name, f"{layout}+{precision}{'+benchmark' * timed}"),
                        partial(steps.step_ms, work, find_model(name), precision, memory_format, timed),
                        needs=0.6,
                        needs_cuda=True,
                    )


def _seeds(work: Workload, findings: Findings) -> None:
    count = 8 if work.on_cuda else 2
    for precision in (FP32, TF32):
        for name in (SMALL, LARGE, "wide-intermediate-concat-strided"):
            findings.add(
                ("joint", f"{name}+{precision}"),
                partial(seeds.together, work, find_model(name), count, precision),
                needs=0.45,
                needs_cuda=True,
            )
    for precision in _precisions(work):
        for name in (SMALL, LARGE):
            findings.add(
                ("stacked", f"{name}+{precision}"),
                partial(seeds.as_one_network, work, find_model(name), count, precision),
                needs=0.4,
            )


def _fixed(work: Workload, findings: Findings, folder: Path) -> None:
    with findings.part("fixed_ms"):
        fixed.fixed_costs(
            work.device,
            find_model(SMALL),
            2000 if work.on_cuda else 400,
            folder / "fixed",
            lambda part, ms: findings.keep(("fixed_ms", part), ms),
        )
    findings.add(
        ("memory",),
        partial(fixed.step_memory, work, find_model("wide-intermediate-concat-strided")),
        needs_cuda=True,
    )


def _models(work: Workload, findings: Findings) -> None:
    for spec in _raced(work):
        for precision in _precisions(work):
            findings.add(
                ("models", f"{spec.name}+{precision}"),
                partial(steps.against_reference, work, spec, precision),
                needs=0.2,
            )
    for label, ratio in _mean_ratios(findings.values.get("models", {})).items():
        findings.keep(("mean_ratio", label), ratio)


def _options(work: Workload, findings: Findings) -> None:
    cases = [
        (name, precision)
        for name in ((SMALL, LARGE) if work.on_cuda else (SMALL,))
        for precision in _precisions(work)
    ]
    for name, precision in cases:
        findings.add(
            ("stored", f"{name}+{precision}"),
            partial(steps.stored_and_prepared, work, find_model(name), precision),
            needs=0.03,
        )
    for option in steps.OPTIONS:
        for name, precision in cases:
            findings.add(
                ("options", f"{name}+{precision}", option),
                partial(steps.with_option, work, find_model(name), precision, option),
                needs=0.03,
            )


def _precisions(work: Workload) -> tuple[Precision, ...]:
    """Those of float32: in TF32 first, whose times the aim of docs/speed.md is for."""
    return (TF32, FP32) if work.on_cuda else (FP32,)


def _ceiling(device: str, precision: Precision) -> dict[str, float]:
    """The limits of the device, in 10^12 per second."""
    return {name: round(limit / 1e12, 3) for name, limit in ceiling(device, precision).items()}


def _raced(work: Workload) -> list[ModelSpec]:
    """Every model of the race, in an order that mixes the families, should time run out; on a CPU two of them."""
    specs = models()
    return sorted(specs, key=lambda spec: specs.index(spec) % 4) if work.on_cuda else specs[-2:]


def _mean_ratios(of_models: dict[str, dict[str, float]]) -> dict[str, float]:
    """The geometric mean of reference / ours over the models of each precision."""
    ratios: dict[str, list[float]] = {}
    for label, facts in of_models.items():
        ratios.setdefault(label.rpartition("+")[2], []).append(facts["ratio"])
    return {precision: round(statistics.geometric_mean(values), 2) for precision, values in ratios.items()}


def with_other_bits(values: dict[str, Any]) -> list[str]:
    """The cases in which two trainings should have had the same bits, and had not."""
    cases = [
        (section, *case)
        for section in ("models", "stored", "branches")
        for case in values.get(section, {}).items()
    ]
    for label, of_label in values.get("options", {}).items():
        cases += [("options", f"{label} {option}", facts) for option, facts in of_label.items()]
    return [
        f"{section} {label}"
        for section, label, facts in cases
        if not (facts["equal_bits"] and facts.get("equal_weights", True))
    ]


def main(device: str, folder: Path, seconds: float) -> int:
    """Measure everything in about this time; returns the exit status."""
    if device not in ("cpu", "cuda"):  # some measurements are of torch's current device, which is the first one
        sys.stderr.write(f"device {device}: give cpu or cuda; CUDA_VISIBLE_DEVICES=1 chooses the second GPU\n")
        return 2
    on_cuda = device == "cuda"
    findings = Findings(folder / "measure.json", seconds - SECONDS_TO_WRITE, cuda=on_cuda)
    with deterministic():
        work = Workload.make(device, PROTOCOL.pairs if on_cuda else 160)  # a rehearsal takes few steps
        gc.freeze()  # what is loaded for good need not be looked at after each part
        measure(work, findings, folder)
    different = with_other_bits(findings.values)
    if different:
        sys.stderr.write(f"the bits differ: {', '.join(different)}\n")
    return bool(findings.values["errors"] or different)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), float(os.environ.get("LIMIT", "120"))))
