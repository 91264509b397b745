"""Devices that this machine need not have."""

import pytest
import torch


def cuda(monkeypatch: pytest.MonkeyPatch, *, devices: int) -> None:
    """Let torch report this number of CUDA devices."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: devices > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: devices)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"Accelerator {device.index or 0}")
