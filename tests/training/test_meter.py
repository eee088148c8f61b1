"""The meter: means over steps, a clock that counts training only, and a state that comes back."""

from __future__ import annotations

import pytest

from runner.training import meter as module
from runner.training.meter import Meter


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The present time, in a list to be changed."""
    now = [100.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    return now


def test_means_and_pace(clock: list[float]) -> None:
    meter = Meter()
    meter.start()
    meter.add({"loss": 2.0})
    meter.add({"loss": 4.0, "grad_norm": 1.0})
    meter.images, meter.rate = 8, 0.1
    clock[0] += 2
    meter.pause()
    clock[0] += 100  # an evaluation
    meter.start()
    clock[0] += 2
    assert meter.values() == {"train/loss": 3.0, "train/grad_norm": 0.5, "train/lr": 0.1, "train/images_per_s": 2.0}
    clock[0] += 100  # `values` has stopped the clock
    assert meter.values()["train/images_per_s"] == 2.0


def test_a_state_comes_back_with_the_clock_stopped(clock: list[float]) -> None:
    meter, other = Meter(), Meter()
    meter.start()
    meter.add({"loss": 2.0})
    clock[0] += 3
    meter.pause()
    other.load_state_dict(meter.state_dict())
    clock[0] += 3
    assert other.state_dict() == meter.state_dict() == {"sums": {"loss": 2.0}, "steps": 1, "images": 0, "rate": 0.0, "seconds": 3.0}
