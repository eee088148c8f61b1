"""The choice of a batch size from what was measured, and the measurement itself in small."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from runner.backends.torch import batch_size
from runner.backends.torch.schema import TorchConfig
from runner.core.errors import OutOfMemory

Config = Callable[..., TorchConfig]


@pytest.mark.parametrize(
    ("speeds", "size"),
    [({1: 2.0, 2: 3.0, 4: 3.5, 8: 3.55}, 4), ({1: 3.0, 2: 2.9}, 1), ({1: 1.0, 2: 2.0, 4: 4.0}, 4)],
)
def test_a_cpu_takes_the_smallest_that_is_about_as_fast_as_any(speeds: dict[int, float], size: int) -> None:
    choice = batch_size.fastest(speeds)
    assert choice.value == size and choice.why.startswith("images per second on this CPU by batch size: 1: ")


def test_it_is_measured_with_the_runs_own_images(config: Config) -> None:
    here = config()
    choice = batch_size.choose(here)
    assert choice.value in (1, 2, 4, 8, 16) and "2: " in choice.why


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[int]]:
    """Replaces device, network and measurement: `fits` images fit, each holds a GiB and takes `seconds(size)`."""

    def pretend(device: str, fits: int, seconds: Callable[[int], float] = float, room_gib: float = 1000.0) -> list[int]:
        asked: list[int] = []

        def measure(config: Any, step: Any, size: int) -> tuple[float, float]:
            asked.append(size)
            if size > fits:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return seconds(size), float(size)

        step = SimpleNamespace(device=torch.device(device), optimizer=SimpleNamespace(zero_grad=lambda: None))
        monkeypatch.setattr(batch_size, "prepare", lambda config: torch.device(device))
        monkeypatch.setattr(batch_size, "build_model", lambda config: None)
        monkeypatch.setattr(batch_size, "TrainStep", lambda model, config, device: step)
        monkeypatch.setattr(batch_size, "_room", lambda device, share, memory: room_gib)
        monkeypatch.setattr(batch_size, "_measure", measure)
        return asked

    return pretend


def test_a_gpu_takes_the_largest_that_fits(config: Config, measured: Callable[..., list[int]]) -> None:
    asked = measured("cuda", 8)
    choice = batch_size.choose(config())
    assert (choice.value, asked) == (8, [1, 2, 4, 8, 16])
    assert choice.why == "the largest power of two that fits: it holds 8.0 GiB of the GPU's memory"
    measured("cuda", 100, room_gib=5.0)
    assert batch_size.choose(config()).value == 4, "beyond the margin it does not fit"


def test_sizes_end_with_the_images_and_when_speed_falls(config: Config, measured: Callable[..., list[int]]) -> None:
    asked = measured("cpu", 100)
    batch_size.choose(config())
    assert asked == [1, 2, 4, 8, 16], "23 images"
    asked = measured("cpu", 100)
    batch_size.choose(replace(config(), gradient_accumulation=4))
    assert asked == [1, 2, 4]
    asked = measured("cpu", 100, lambda size: size * (1.0 if size < 4 else 1.5))
    assert batch_size.choose(config()).value == 1 and asked == [1, 2, 4]


def test_not_even_one_fits(config: Config, measured: Callable[..., list[int]]) -> None:
    measured("cuda", 0)
    with pytest.raises(OutOfMemory, match="not even one image fits"):
        batch_size.choose(config())
