"""The queue: it is refilled from the search, keeps blocked runs aside, and tells the search how its trials end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.fake_launcher import FakeClock

from runner.core.errors import InputError, Problem, RunnerError
from runner.search.base import WAIT, FixedSearch, Trial, TrialResult, Wait
from runner.store.events import Event, RunBlocked, RunReopened, TrialPruned, TrialQueued, TrialRefused
from runner.store.lock import RunHeld
from runner.store.run_dir import Identity, RunDir, Status
from runner.sweep.limits import Limits
from runner.sweep.listeners import BestSoFar, Listener, Listeners
from runner.sweep.plan import PlannedRun
from runner.sweep.policy import Policy
from runner.sweep.queue import BlockedRuns, CannotPlan, TrialQueue
from runner.sweep.setup import Workload
from runner.sweep.trial_result import RunEnd

SEEDS = (0, 1)
HELD = RunHeld(Problem("process 7 is working on this run right now"))


class Events(Listener):
    """Keeps the events."""

    def __init__(self) -> None:
        self.all: list[Event] = []

    def on_event(self, event: Event) -> None:
        self.all.append(event)


class Told(FixedSearch):
    """Keeps what it is told."""

    told: list[tuple[int, str]]

    def tell(self, trial: Trial, result: TrialResult) -> None:
        self.told.append((trial.number, result.state))


class Stage:
    """A queue of a fixed design with two seeds."""

    def __init__(self, folder: Path, count: int = 2) -> None:
        self.folder, self.clock, self.events = folder, FakeClock(), Events()
        self.search = Told([Trial(number, {}, f"trial {number}") for number in range(count)])
        self.search.told = []
        best = BestSoFar(None)
        self.limits = Limits(Policy(failures_in_a_row=2), None, self.clock, self.events.on_event)
        self.queue = TrialQueue(Workload(self.search, self.runs, SEEDS), self.limits, Listeners([self.events, best], best), self.clock)

    def runs(self, trial: Trial) -> Sequence[PlannedRun]:
        resolved: Any = SimpleNamespace(yaml="")
        names = [(seed, f"t{trial.number}s{seed}") for seed in (SEEDS if trial.seeds is None else trial.seeds)]
        return [
            PlannedRun(RunDir(self.folder / name), trial, seed, resolved, Identity(name, "s", trial.number, seed, {}, ""))
            for seed, name in names
        ]

    def names(self) -> list[str]:
        return [run.run_dir.name for run in self.queue.waiting]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def end(run: PlannedRun, state: Any = "done") -> RunEnd:
    return RunEnd(run.run_dir, state, values={"bbox/AP": 0.5})


def test_a_trial_is_told_when_its_last_run_has_ended(stage: Stage) -> None:
    assert stage.queue and stage.queue.refill(idle=True) and stage.names() == ["t0s0", "t0s1"]
    assert stage.queue.refill(idle=True) and not stage.queue.refill(idle=True) and stage.queue.is_exhausted
    runs = [stage.queue.waiting.popleft() for _ in range(4)]
    assert not stage.queue
    stage.queue.finish(runs[0], end(runs[0]))
    assert stage.search.told == []
    stage.queue.finish(runs[1], end(runs[1]))
    stage.queue.finish(runs[2], end(runs[2]))
    stage.queue.finish(runs[3], end(runs[3], "failed"))
    assert stage.search.told == [(0, "done"), (1, "failed")]
    assert [type(event) for event in stage.events.all] == [TrialQueued, TrialQueued]


def test_an_interrupted_run_tells_nothing(stage: Stage) -> None:
    stage.queue.refill(idle=True)
    for run in list(stage.queue.waiting):
        stage.queue.finish(run, end(run, "interrupted"))
    assert stage.search.told == []


def test_a_pruned_trial(stage: Stage) -> None:
    stage.queue.refill(idle=True)
    trial = stage.queue.trial_of(stage.queue.waiting[0])
    assert stage.queue.open_trials("0") == [trial] and stage.queue.open_trials("1") == []
    stage.queue.prune(trial, TrialPruned(0, "no hope"))
    for run in list(stage.queue.waiting):
        stage.queue.finish(run, end(run, "pruned"))
    assert stage.search.told == [(0, "pruned")] and stage.queue.open_trials("0") == []


def test_a_trial_that_cannot_be_is_refused(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(trial: Trial) -> Sequence[PlannedRun]:
        raise InputError("expected an integer")

    queue = TrialQueue(Workload(stage.search, refuse, SEEDS), stage.limits, Listeners([stage.events], BestSoFar(None)), stage.clock)
    assert queue.refill(idle=True) and queue.refill(idle=True)
    assert stage.search.told == [(0, "failed"), (1, "failed")] and stage.limits.error is not None
    assert [type(event) for event in stage.events.all][:2] == [TrialQueued, TrialRefused]


def test_a_config_that_changed_ends_the_sweep(stage: Stage) -> None:
    def changed(trial: Trial) -> Sequence[PlannedRun]:
        raise RunnerError("the config changed")

    queue = TrialQueue(Workload(stage.search, changed, SEEDS), stage.limits, Listeners([stage.events], BestSoFar(None)), stage.clock)
    with pytest.raises(CannotPlan, match="the config changed"):
        queue.refill(idle=True)
    assert stage.events.all == []


def test_a_search_that_waits_for_nothing_is_an_error(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def ask() -> Trial | Wait | None:
        return WAIT

    monkeypatch.setattr(stage.search, "ask", ask)
    assert not stage.queue.refill(idle=False) and not stage.queue.is_exhausted
    with pytest.raises(RunnerError, match="no run is active"):
        stage.queue.refill(idle=True)


def test_failed_runs_are_queued_again(stage: Stage) -> None:
    stage.queue.refill(idle=True)
    runs = list(stage.queue.waiting)
    stage.queue.waiting.clear()
    for run, state in zip(runs, ("failed", "done"), strict=True):
        run.run_dir.path.mkdir()
        run.run_dir.write_identity(run.identity)
        run.run_dir.write_status(Status(state, attempt=1))  # type: ignore[arg-type]
        stage.queue.finish(run, end(run, state))
    stage.queue.reopen_failed()
    assert stage.names() == ["t0s0"] and stage.events.all[-1] == RunReopened("t0s0")
    assert runs[0].run_dir.status().state == "interrupted" and runs[1].run_dir.status().state == "done"
    (run,) = stage.queue.waiting
    stage.queue.finish(run, end(run))
    assert stage.search.told == [(0, "failed"), (0, "done")]


def test_blocked_runs_are_tried_again_every_second(stage: Stage) -> None:
    stage.queue.refill(idle=True)
    run = stage.queue.waiting.popleft()
    stage.queue.block(run, HELD)
    stage.queue.block(run, HELD)
    assert [type(event) for event in stage.events.all] == [TrialQueued, RunBlocked]
    stage.queue.retry_blocked(idle=False)
    assert stage.names() == ["t0s1"] and stage.queue.blocked
    stage.clock.sleep(1.0)
    stage.queue.retry_blocked(idle=False)
    assert stage.names() == ["t0s1", "t0s0"] and not stage.queue.blocked


def test_when_only_blocked_runs_are_left_patience_ends(stage: Stage) -> None:
    blocked = BlockedRuns(stage.clock)
    run = stage.runs(Trial(0, {}, "x"))[0]
    for _ in range(10):
        blocked.add(run, HELD)
        stage.clock.sleep(1.0)
        assert blocked.due(is_last_work=True) == [run]
    blocked.add(run, HELD)
    stage.clock.sleep(1.0)
    with pytest.raises(RunHeld, match="process 7"):
        blocked.due(is_last_work=True)
    assert blocked.due(is_last_work=False) == [run] and blocked.why() == ""
