"""Limits by a clock of their own: time-outs, budgets, a full disk, failures in a row, pauses."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from support.fake_launcher import FakeClock

import runner.sweep.limits
from runner.core.errors import Cause, RunnerError
from runner.launch.base import TaskResources
from runner.store.events import Event, SweepPaused, SweepResumed, SweepStopped
from runner.store.run_dir import State, Status
from runner.sweep.limits import DiskSpace, EarlyEnd, Limits, overdue
from runner.sweep.policy import Policy

FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.mark.parametrize(
    ("policy", "elapsed_s", "silent_s", "expected"),
    [
        (Policy(), 1e9, 1e9, None),
        (Policy(timeout_s=10), 10, 0, None),
        (Policy(timeout_s=10), 10.1, 0, ("failed", "timeout", "took longer than resources.timeout (10 s); it was at step 7")),
        (Policy(stall_s=5), 100, 5, None),
        (
            Policy(stall_s=5),
            100,
            5.1,
            ("interrupted", "hung", "no sign of life for 5 s (resources.stall) at step 7; a stack trace is in log"),
        ),
        (Policy(timeout_s=10, stall_s=5), 11, 6, ("failed", "timeout", "took longer than resources.timeout (10 s); it was at step 7")),
    ],
)
def test_overdue(policy: Policy, elapsed_s: float, silent_s: float, expected: tuple[State, Cause, str] | None) -> None:
    found = overdue(policy, elapsed_s=elapsed_s, silent_s=silent_s, step=7, log=Path("log"))
    assert found == (EarlyEnd(*expected) if expected else None)


def test_hours_count_those_of_earlier_drivers(clock: FakeClock) -> None:
    limits = Limits(Policy(hours=2), None, clock, lambda event: None)
    clock.sleep(3600)
    assert limits.why() == "" and limits.budget.spent_s() == 3600
    limits.budget.add_earlier(3599, 0.0)
    assert limits.why() == ""
    clock.sleep(1)
    assert limits.why() == "budget.hours is used up (2.00 of 2)"
    limits.budget.is_closing = True
    assert limits.why() == ""


def test_gpu_hours_count_gpus(clock: FakeClock) -> None:
    limits = Limits(Policy(gpu_hours=1, resources=TaskResources(gpus=2)), None, clock, lambda event: None)
    limits.budget.add_attempt(1799)
    assert limits.why() == ""
    limits.budget.add_attempt(1)
    assert limits.why() == "budget.gpu_hours is used up (1.00 of 1)" and limits.budget.gpu_s == 3600


def test_a_full_disk(clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[Event] = []
    disk = DiskSpace(tmp_path, clock, events.append)
    answers = iter([True, False])
    monkeypatch.setattr(runner.sweep.limits, "disk_is_full", lambda folder: next(answers))
    disk.report_full(FULL)
    disk.report_full(FULL)
    assert "No space left" in disk.full
    disk.check()  # too early to look
    clock.sleep(5)
    disk.check()
    assert disk.full
    clock.sleep(5)
    disk.check()
    assert disk.full == "" and [type(event) for event in events] == [SweepPaused, SweepResumed]
    with pytest.raises(PermissionError):
        disk.report_full(PermissionError(errno.EACCES, "no"))


def fail(reason: str, cause: Cause | None = "crash") -> Status:
    return Status("failed", reason, cause=cause)


def test_failures_in_a_row(clock: FakeClock) -> None:
    events: list[Event] = []
    limits = Limits(Policy(failures_in_a_row=3), None, clock, events.append)
    limits.count(1, fail("a"))
    limits.count(2, fail("b"))
    limits.count(3, Status("done"))
    limits.count(4, fail("KeyError in step 3; log: /x/1"))
    limits.count(4, fail("KeyError in step 3; log: /x/1"))
    limits.count(4, fail("KeyError in step 3; log: /x/1"))
    assert limits.error is None  # one trial says nothing of the others
    limits.count(5, fail("the loss is not finite", "not_finite"))  # speaks of that trial's values
    limits.count(6, fail("other"))
    limits.count(7, fail("KeyError in step 3; log: /x/1"))
    limits.count_refused(8, "KeyError in step 17; log: /x/2")
    assert isinstance(limits.error, RunnerError) and "3 runs failed in a row" in str(limits.error)
    assert "2 of them for this reason: KeyError in step 3" in str(limits.error)
    assert events == [SweepStopped(str(limits.error))] and limits.why() == str(limits.error)


def test_no_limit_of_failures(clock: FakeClock) -> None:
    limits = Limits(Policy(), None, clock, lambda event: None)
    for trial in range(20):
        limits.count(trial, fail("x"))
    assert limits.error is None


def test_a_pause(clock: FakeClock) -> None:
    events: list[Event] = []
    limits = Limits(Policy(), None, clock, events.append)
    for paused in (True, True, False, False):
        limits.pause(paused=paused)
        assert limits.why() == ("paused on request" if paused else "")
    assert events == [SweepPaused("on request"), SweepResumed("on request")]
