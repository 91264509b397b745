"""What a result may depend on besides code and data: versions, machine, device, threads, commit."""

import os
import platform
import re
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from bench.training.layout import layout_name


def environment(device: torch.device) -> dict[str, Any]:
    """The environment of this process, as JSON types; ``bench.records.machine`` is the part that decides bits."""
    facts = {**_software_and_machine(), "threads": torch.get_num_threads(), "device_name": device_name(device)}
    facts["layout"] = layout_name(device)
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        facts["device_memory_bytes"] = properties.total_memory
        facts["device_capability"] = f"{properties.major}.{properties.minor}"
    return facts


def device_name(device: torch.device) -> str:
    """The model of the device, as its maker calls it."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else _cpu_name()


@cache
def _software_and_machine() -> dict[str, Any]:
    in_checkout = _git("ls-files", "--error-unmatch", Path(__file__).name) is not None
    return {
        "node": platform.node(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {
            name: _package_version(name)
            for name in ("torch", "torchvision", "numpy", "pandas", "scikit-learn", "pytest", "pytest-benchmark")
        },
        "cuda": torch.version.cuda,
        # Asking loads its libraries, 50 MB that a run on a CPU has no use for.
        "cudnn": torch.backends.cudnn.version() if torch.cuda.is_available() else None,
        "cpu": _cpu_name(),
        "cpu_count": os.cpu_count(),
        "commit": _git("rev-parse", "HEAD") if in_checkout else None,
        "dirty": in_checkout and bool(_git("status", "--porcelain", "--untracked-files=no")),
    }


def _package_version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text(encoding="utf-8") if cpuinfo.is_file() else ""
    model = re.search(r"^model name\s*:\s*(.*\S)", text, re.MULTILINE)
    return model[1] if model else platform.processor() or platform.machine()


def _git(*arguments: str) -> str | None:
    """The output of git in the folder of this file; None where git fails, as it does outside of a checkout."""
    command = ["git", "-C", str(Path(__file__).resolve().parent), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return None
