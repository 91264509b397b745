"""The devices of this machine, by the names that torch gives them."""

import re

import torch

from bench.config import BF16, FP32, TF32, OptionError, Precision

_NEWER = (8, 0)
"""The compute capability from which on CUDA devices compute in TF32 and bfloat16 (Ampere).

Older ones ignore the setting for TF32 and compute in float32; torch imitates bfloat16 on them.
"""


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


def precisions_of(device: str) -> tuple[Precision, ...]:
    """The precisions of protocols that a device of this machine computes in."""
    if device == "cpu":
        return (FP32, BF16)
    return (FP32, TF32, BF16) if torch.cuda.get_device_capability(device) >= _NEWER else (FP32,)


def check_precision(device: str, precision: Precision) -> None:
    """Raise unless a device of this machine computes in a protocol's precision.

    Raises:
        OptionError: It does not.
    """
    has = precisions_of(device)
    if precision in has:
        return
    of_device = "a CPU"
    if device != "cpu":
        major, minor = torch.cuda.get_device_capability(device)
        of_device = f"{torch.cuda.get_device_name(device)} (compute capability {major}.{minor})"
    raise OptionError(
        f"precision={precision}: {of_device} does not compute in it, and CUDA devices of compute capability "
        f"{_NEWER[0]}.{_NEWER[1]} or newer do; set {' or '.join(f'precision={other}' for other in has)}"
    )
