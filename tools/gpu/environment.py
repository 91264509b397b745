"""The device, and the versions of everything that the package requires; imports nothing of the package itself.

    python -m tools.gpu.environment ENV_JSON

Runs in the root of the repository.
"""

import importlib.metadata
import json
import os
import platform
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import torch


def versions(project: Path) -> dict[str, str]:
    """The installed version of each package that a ``pyproject.toml`` requires; "missing" where there is none."""
    found = {}
    for requirement in tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"]:
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "missing"
    return found


def machine() -> dict[str, Any]:
    """Python, CUDA, processors and, if there is one, the GPU."""
    facts = {
        "python": platform.python_version(),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }
    if torch.cuda.is_available():
        gpu = torch.cuda.get_device_properties(0)
        facts |= {"gpu": gpu.name, "memory_gb": round(gpu.total_memory / 1e9), "sms": gpu.multi_processor_count}
    return facts


def main(path: Path) -> None:
    """Write all of it."""
    path.write_text(json.dumps(machine() | versions(Path("pyproject.toml")), indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
