"""The devices of this machine, by the names that torch gives them."""

import re

import torch

from bench.config import OptionError


def check_device(name: str) -> None:
    """Raise unless this machine has a device: "cpu", "cuda" (the first one) or "cuda:N".

    Raises:
        OptionError: It does not.
    """
    if name == "cpu":
        return
    if not re.fullmatch(r"cuda(:\d+)?", name):
        raise OptionError(f"device {name}: give cpu, cuda or cuda:N")
    if not torch.cuda.is_available():
        raise OptionError(
            f"device {name}: torch {torch.__version__} finds no CUDA device here; leave the option out "
            "to run on the CPU, or check the driver and that this torch was built for CUDA"
        )
    count = torch.cuda.device_count()
    if int(name.partition(":")[2] or 0) >= count:
        raise OptionError(
            f"device {name}: the only CUDA device here is cuda:0"
            if count == 1
            else f"device {name}: the CUDA devices here are cuda:0 to cuda:{count - 1}"
        )
