"""Live status is judged by one set of rules."""

from __future__ import annotations

import pytest

from runner.monitor.live import LiveRun, live_run
from runner.store.run_dir import Status

TRAINING = Status("running", None, 1, 30, 120, 1.0, 1.0, 1, {"train/loss": 1.5, "train/lr": "oops"}, "training")


@pytest.mark.parametrize(
    ("status", "silence_s", "activity"),
    [
        (TRAINING, 30.0, "training"),
        (TRAINING, 31.0, "silent"),
        (Status("running", None, 1, 30, 120, 1.0, 1.0, 1, {}, "evaluating"), 1.0, "other"),
        (Status("running", phase="training"), 1e9, "training"),  # no heartbeat yet
        (Status("interrupted", heartbeat=1.0), 1e9, "starting"),
        (Status(), 0.0, "starting"),
    ],
)
def test_what_a_run_does(status: Status, silence_s: float, activity: str) -> None:
    assert live_run("r", status, value=None, pace_s=None, silence_s=silence_s).activity == activity


def test_progress_and_time_left() -> None:
    run = live_run("r", TRAINING, value=0.3, pace_s=0.5, silence_s=0.0)
    assert (run.percent, run.left_s, run.silent_s) == (25, 45.0, None)
    assert (run.number("train/loss"), run.number("train/lr"), run.number("train/none")) == (1.5, None, None)
    assert live_run("r", TRAINING, value=None, pace_s=None, silence_s=0.0).left_s is None
    assert LiveRun("r").percent is None
