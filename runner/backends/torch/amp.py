"""The number format of amp (automatic mixed precision): what a run uses, and what ``amp_dtype: auto`` means on this machine."""

from __future__ import annotations

import statistics
import time

import torch
from torch import nn

from runner.backends.base import AmpChoice
from runner.backends.torch.schema import TorchConfig

LEAST_SPEEDUP = 1.1
"""Least speed of bfloat16 relative to single precision at which `choose` picks it on a CPU: less is within what other programs on the
machine do to a short measurement."""
_PAIRS = 7


def amp_type(config: TorchConfig, device: torch.device) -> torch.dtype | None:
    """Return the type that autocast computes in; None without amp.

    A CPU has bfloat16 only, also for predicting with a model that a GPU trained in float16. A config of a run that began before amp_dtype
    existed has none: float16 on a GPU.
    """
    if not config.amp:
        return None
    return torch.bfloat16 if device.type == "cpu" or config.amp_dtype == "bfloat16" else torch.float16


def choose(*, gpu: bool, threads: int) -> AmpChoice:
    """Choose the number format for this machine, see `runner.backends.base.ChoosesAmp`."""
    if gpu:
        if torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False):
            return AmpChoice("bfloat16", f"{torch.cuda.get_device_name()} supports it")
        return AmpChoice("float16", "no usable GPU that supports bfloat16 was found")
    if not cpu_has_bfloat16():
        return AmpChoice(None, "this CPU has no bfloat16 instructions")
    torch.set_num_threads(threads)
    speedup = measure_speedup()
    words = f"measured {speedup:.2f} times as fast as single precision on this CPU"
    return AmpChoice("bfloat16" if speedup >= LEAST_SPEEDUP else None, words)


def cpu_has_bfloat16() -> bool:
    """Return whether this CPU multiplies in bfloat16."""
    return any(has is True and name.endswith("bf16") for name, has in torch.cpu.get_capabilities().items())


def measure_speedup() -> float:
    """Measure the time of a small convolutional network's training step in single precision relative to bfloat16, in about a second."""
    layers = [nn.Conv2d(64, 64, 3, padding=1), nn.GroupNorm(32, 64), nn.ReLU()]
    network, images = nn.Sequential(*layers, nn.Conv2d(64, 64, 3, padding=1)), torch.randn(2, 64, 64, 64)

    def seconds(*, half: bool) -> float:
        start = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
            out = network(images)
        out.float().square().mean().backward()
        return time.perf_counter() - start

    for half in (False, True):
        seconds(half=half)  # warms up
    return statistics.median(seconds(half=False) / seconds(half=True) for _ in range(_PAIRS))
