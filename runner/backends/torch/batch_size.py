"""Measurement behind ``TrainReader.batch_size: auto``: real training steps with batches of 1, 2, 4, … images of the run's own data.

On a GPU the largest batch that fits is taken, since a larger one uses it better; on a CPU the smallest of those that train about as many
images per second as any, since a larger one costs memory and steps and gives nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import psutil
import torch

from runner.backends.base import BatchSizeChoice
from runner.backends.torch.device import is_out_of_memory, prepare
from runner.backends.torch.models.base import build_model
from runner.backends.torch.reader import load_training_data, training_steps
from runner.backends.torch.samples import PackedBatch
from runner.backends.torch.schema import TorchConfig
from runner.backends.torch.step import TrainStep
from runner.core.errors import OutOfMemory
from runner.core.values import GIB

LARGEST = 256
MARGIN = 0.9
"""Share of the memory that a batch may fill: other images of the run may be larger."""
NEARLY = 0.97
"""A CPU's batch size counts as the fastest if it trains this share of the most images per second."""
FALLING = 0.9
"""A CPU is tried with no larger batches once one trains less than this share of the most images per second."""
BUDGET_S = 90.0
_STEPS = 3
"""Steps of each size; the first one warms up."""


def choose(config: TorchConfig, *, gpu_share: float = 1.0, memory_gib: float | None = None) -> BatchSizeChoice:
    """Choose the batch size, see `runner.backends.base.MeasuresBatchSize`.

    Raises:
        OutOfMemory: not even one image fits.
        InputError: the data cannot be read.
    """
    device = prepare(config)
    step = TrainStep(build_model(config), config, device)
    tried = _tried(config, step, _room(device, gpu_share, memory_gib))
    if not tried:
        raise OutOfMemory("TrainReader.batch_size: auto: not even one image fits into memory; use smaller images")
    if device.type == "cuda":
        size, held_gib = list(tried)[-1], list(tried.values())[-1][1]
        return BatchSizeChoice(size, f"the largest power of two that fits: it holds {held_gib:.1f} GiB of the GPU's memory")
    return fastest({size: size / seconds for size, (seconds, _) in tried.items()})


def fastest(speeds: dict[int, float]) -> BatchSizeChoice:
    """Choose the smallest batch size that is about as fast as any. `speeds`: batch size to images per second."""
    best = max(speeds.values())
    size = min(size for size, speed in speeds.items() if speed >= NEARLY * best)
    shown = ", ".join(f"{size}: {speed:.3g}" for size, speed in speeds.items())
    return BatchSizeChoice(size, f"images per second on this CPU by batch size: {shown}")


def _tried(config: TorchConfig, step: TrainStep, room_gib: float) -> dict[int, tuple[float, float]]:
    """Return batch size to (seconds per step, memory held in GiB), for the sizes that fit, in rising order."""
    tried: dict[int, tuple[float, float]] = {}
    started, most = time.perf_counter(), 0.0
    for size in _sizes(config):
        try:
            seconds, held_gib = _measure(config, step, size)
        except (MemoryError, RuntimeError) as error:  # torch.OutOfMemoryError is a RuntimeError
            if not is_out_of_memory(error):
                raise
            break
        if held_gib > room_gib:
            break
        tried[size] = seconds, held_gib
        most = max(most, size / seconds)
        if step.device.type == "cpu" and (size / seconds < FALLING * most or time.perf_counter() - started > BUDGET_S):
            break
    step.optimizer.zero_grad()
    return tried


def _sizes(config: TorchConfig) -> Iterator[int]:
    """Yield 1, 2, 4, … as far as an epoch has a step of as many images."""
    one = replace(config, train_reader=replace(config.train_reader, batch_size=1, drop_last=False))
    images = load_training_data(one).images_per_epoch * config.train_dataset.repeat // config.gradient_accumulation
    size = 1
    while size <= min(images, LARGEST):
        yield size
        size *= 2


def _measure(config: TorchConfig, step: TrainStep, size: int) -> tuple[float, float]:
    """Make some steps of `size` images; return (seconds of the fastest, memory held in GiB). The rate is 0: the weights stay."""
    sized = replace(config, train_reader=replace(config.train_reader, batch_size=size), worker_num=0, gradient_accumulation=1)
    data = load_training_data(sized)
    with training_steps(replace(sized, max_iters=_STEPS, epoch=None), replace(data, total_steps=_STEPS), 0) as steps:
        batches = list(steps)
    if step.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(step.device)
    taken = [_seconds(step, batch) for batch in batches]
    return min(taken[1:] or taken), _held_gib(step.device)


def _seconds(step: TrainStep, batches: Sequence[PackedBatch]) -> float:
    start = time.perf_counter()
    step(batches, 0.0)
    if step.device.type == "cuda":
        torch.cuda.synchronize(step.device)
    return time.perf_counter() - start


def _held_gib(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device) / GIB
    return float(psutil.Process().memory_info().rss) / GIB


def _room(device: torch.device, gpu_share: float, memory_gib: float | None) -> float:
    """Return the memory that a batch may fill, in GiB: of the GPU, or of this machine beside what is used already."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return MARGIN * min(total * gpu_share, free + torch.cuda.memory_reserved(device)) / GIB
    own = psutil.Process().memory_info().rss
    return MARGIN * min((psutil.virtual_memory().available + own) / GIB, memory_gib or float("inf"))
