"""The run directories of a sweep that is driven, and a sweep's directory that is gone."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.fake_launcher import FakeClock

from runner.core.lock import Lock, take
from runner.search.base import Trial
from runner.store.events import Event, OverrideNotWritten
from runner.store.run_dir import Identity, Override, RunDir, Status
from runner.sweep.directories import RunDirectories
from runner.sweep.history import History
from runner.sweep.plan import PlannedRun
from runner.sweep.setup import DrivenSweep, RunOutcome
from runner.sweep.sweep_dir import SweepDir


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[Lock]:
    (tmp_path / "sweep" / "runs").mkdir(parents=True)
    lock = take(tmp_path / "sweep" / "sweep.lock")
    yield lock
    lock.release()


class Stage:
    """A sweep that this process drives."""

    def __init__(self, folder: Path, lock: Lock) -> None:
        self.clock, self.events = FakeClock(), list[Event]()
        self.sweep = DrivenSweep(SweepDir(folder / "sweep"), lock, History(noted=frozenset({"a"})))
        self.directories = RunDirectories(self.sweep, self.clock, self.events.append, retry_failed=False)

    def run(self, name: str) -> PlannedRun:
        resolved: Any = SimpleNamespace(yaml="seed: 1\n")
        return PlannedRun(RunDir(self.sweep.folder.runs / name), Trial(0, {}, name), 0, resolved, Identity(name, "s", 0, 0, {}, "key"))


@pytest.fixture
def stage(tmp_path: Path, lock: Lock) -> Stage:
    return Stage(tmp_path, lock)


def test_a_new_directory_is_made_and_a_second_attempt_counted(stage: Stage) -> None:
    run = stage.run("a")
    assert stage.directories.prepare(run, "") == 0 and run.run_dir.identity() == run.identity
    run.run_dir.write_status(Status("interrupted", attempt=2))
    assert stage.directories.prepare(run, "") == 2
    assert stage.directories.is_recorded(run) and not stage.directories.is_recorded(stage.run("b"))


@pytest.mark.parametrize(("state", "retry_failed", "ends"), [("done", True, True), ("failed", False, True), ("failed", True, False)])
def test_a_finished_run_is_not_started(stage: Stage, state: Any, retry_failed: bool, ends: bool) -> None:
    run = stage.run("a")
    stage.directories.prepare(run, "")
    run.run_dir.write_status(Status(state, "why", attempt=1))
    outcome = RunDirectories(stage.sweep, stage.clock, stage.events.append, retry_failed=retry_failed).prepare(run, "")
    assert isinstance(outcome, RunOutcome) == ends
    if isinstance(outcome, RunOutcome):
        assert outcome.reused and outcome.status.state == state and outcome.run.resolved is None


def test_a_pruned_run_is_marked_if_it_exists(stage: Stage) -> None:
    outcome = stage.directories.prepare(stage.run("a"), "no hope")
    assert isinstance(outcome, RunOutcome) and outcome.status.state == "pruned" and not stage.run("a").run_dir.path.exists()
    stage.directories.prepare(stage.run("b"), "")
    outcome = stage.directories.prepare(stage.run("b"), "no hope")
    assert isinstance(outcome, RunOutcome) and stage.run("b").run_dir.status().state == "pruned"


def test_an_override_that_cannot_be_written_is_an_event(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(run_dir: RunDir, override: Override) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(RunDir, "write_override", full)
    stage.directories.write_override(stage.run("a").run_dir, Override("failed", "why", 1, 0.0))
    (event,) = stage.events
    assert isinstance(event, OverrideNotWritten) and (event.run, event.state) == ("a", "failed") and "No space left" in event.reason


@pytest.mark.parametrize("how", ["moved", "deleted", "replaced", "runs deleted"])
def test_a_sweep_that_is_gone_is_noticed_within_a_second(stage: Stage, tmp_path: Path, how: str) -> None:
    assert stage.directories.is_there()
    if how == "runs deleted":
        shutil.rmtree(tmp_path / "sweep" / "runs")
    else:
        (tmp_path / "sweep").rename(tmp_path / "elsewhere")
    if how in ("deleted", "replaced"):
        shutil.rmtree(tmp_path / "elsewhere")
    if how == "replaced":
        (tmp_path / "sweep" / "runs").mkdir(parents=True)
    assert stage.directories.is_there()  # it looked a moment ago
    stage.clock.sleep(1.0)
    assert not stage.directories.is_there() and stage.directories.is_lost and not stage.directories.is_there(now=True)
    assert ("was moved to" if how == "moved" else "was deleted") in stage.directories.lost()


def test_a_run_by_itself_loses_nothing(tmp_path: Path) -> None:
    directories = RunDirectories(None, FakeClock(), lambda event: None, retry_failed=False)
    assert directories.is_there(now=True) and not directories.is_sweep
