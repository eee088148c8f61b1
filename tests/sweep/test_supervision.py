"""Supervision of a sweep's runs: retries, limits, pruning, commands, budgets, a full disk. Most workers are scripted in this process."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest
from support.fake_launcher import FakeClock, FakeLauncher, fake_task

import runner.sweep.limits
import runner.sweep.runs
from runner.core.errors import InputError, RunnerError
from runner.launch.base import Launcher, Task, TaskResources
from runner.launch.local import LocalLauncher
from runner.search.base import FixedSearch, IntermediateResult, Trial, TrialResult
from runner.search.spec import Metric
from runner.store.commands import Command, Situation
from runner.store.control import send
from runner.store.events import (
    BudgetSpent,
    CommandIgnored,
    CommandReceived,
    Event,
    LateResultIgnored,
    ReuseRefused,
    RunRetried,
    RunSaved,
    SweepPaused,
    SweepResumed,
    TrialPruned,
)
from runner.store.journal import read_journal
from runner.store.records import Record, RecordWriter
from runner.store.run_dir import Identity, RunDir, Status
from runner.sweep.clock import SystemClock
from runner.sweep.history import read_history
from runner.sweep.loop import run_loop
from runner.sweep.plan import PlannedRun
from runner.sweep.policy import Policy
from runner.sweep.setup import DrivenSweep, LoopOptions, RunOutcome, Workload
from runner.sweep.sweep_dir import SweepDir

WORKER = """
import faulthandler, os, signal, sys, time
from runner.store.run_dir import RunDir, Status
faulthandler.register(signal.SIGUSR1)
run, act = RunDir(sys.argv[1]), sys.argv[2]
number = run.status().attempt + 1
def say(state, reason=None, step=0):
    run.write_status(Status(state, reason, number, step, 10, pid=os.getpid(), heartbeat=time.time(), phase="training"))
say("running")
if act == "hang" and number == 1:
    def wait_here():
        time.sleep(120)
    wait_here()
stop = []
signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
for step in range(1, 200):
    say("running", step=step)
    time.sleep(0.02)
    if stop: say("interrupted", "asked to stop (SIGTERM)"); sys.exit(130)
    if act == "hang": break
run.evaluation.write_text('{"step": 10, "metrics": {"bbox/AP": 0.25}}')
say("done", step=10)
"""
"""A worker that is a process: it hangs at its first attempt, or runs for four seconds."""

E = TypeVar("E", bound=Event)
NO_LIMITS = Policy()


class Search(FixedSearch):
    """A fixed design that keeps the results it is given, and prunes trials by a function."""

    def __init__(self, trials: Sequence[Trial], prune_if: Callable[[Trial, IntermediateResult], str | None] | None = None) -> None:
        super().__init__(trials)
        self.told: dict[int, TrialResult] = {}
        self.resumed: list[int] = []
        self.reports: list[tuple[int, int, int]] = []
        self._prune_if = prune_if
        self.wants_reports = prune_if is not None

    def tell(self, trial: Trial, result: TrialResult) -> None:
        self.told[trial.number] = result
        super().tell(trial, result)

    def resume(self, trial: Trial) -> None:
        self.resumed.append(trial.number)
        super().resume(trial)

    def report(self, trial: Trial, report: IntermediateResult) -> str | None:
        self.reports.append((trial.number, report.seed, report.step))
        return self._prune_if(trial, report) if self._prune_if else None


class Stage:
    """A sweep of scripted workers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sweep = SweepDir(folder / "sweep -ü '")
        self.sweep.runs.mkdir(parents=True)
        self.trials, self.seeds = 2, (0,)
        self.prefix = ""
        self.clock = FakeClock()
        self.launchers: list[FakeLauncher] = []
        self.real_act = ""
        """Act of `WORKER`, where workers are processes."""
        self.seen: list[Situation] = []
        self.watch: Callable[[Situation], None] = self.seen.append
        self.acts()

    def acts(self, **acts: list[str]) -> None:
        self._acts = acts

    def started(self) -> list[str]:
        return [name for launcher in self.launchers for name in launcher.started]

    def events(self, *kinds: type[E]) -> list[E]:
        return list(read_journal(self.sweep.journal, *kinds))

    def task(self, run: PlannedRun) -> Task:
        if not self.real_act:
            return fake_task(run.run_dir)
        (self.folder / "worker.py").write_text(WORKER)
        argv = [sys.executable, str(self.folder / "worker.py"), str(run.run_dir.path), self.real_act]
        return Task(str(run.run_dir.path), argv, Path.cwd(), run.run_dir.log, {"PYTHONPATH": str(Path(__file__).resolve().parents[2])})

    def runs(self, trial: Trial) -> list[PlannedRun]:
        runs = []
        for seed in self.seeds if trial.seeds is None else trial.seeds:
            name = f"t{trial.number}s{seed}"
            identity = Identity(name, "sweep", trial.number, seed, {}, f"{self.prefix}key of {name}", {}, trial.label)
            resolved: Any = SimpleNamespace(yaml=f"seed: {seed}\n")
            runs.append(PlannedRun(RunDir(self.sweep.runs / name), trial, seed, resolved, identity))
        return runs

    def drive(
        self,
        policy: Policy = NO_LIMITS,
        *,
        prune_if: Callable[[Trial, IntermediateResult], str | None] | None = None,
        slots: int = 2,
        **options: Any,
    ) -> dict[str, str]:
        self.search = Search([Trial(number, {}, f"trial {number}") for number in range(self.trials)], prune_if)
        launcher: Launcher
        if self.real_act:
            launcher = LocalLauncher(slots, close_grace_s=1)
        else:
            launcher = FakeLauncher(slots, self._acts, self.clock)
            self.launchers.append(launcher)
        commands = options.pop("commands", lambda: ())

        def watch(situation: Situation) -> None:
            self.watch(situation)
            for command in commands():
                send(self.sweep.control, command)

        outcomes = run_loop(
            Workload(self.search, self.runs, self.seeds, options.pop("keys", {}), (Metric(name="bbox/AP"),), self.task),
            launcher,
            LoopOptions(policy, **options),
            DrivenSweep(self.sweep, history=read_history(self.sweep)),
            watch=watch,
            clock=SystemClock() if self.real_act else self.clock,
        )
        self.outcomes: dict[str, RunOutcome] = {outcome.run.run_dir.name: outcome for outcome in outcomes}
        return {name: outcome.status.state for name, outcome in self.outcomes.items()}


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def reason(stage: Stage, name: str) -> str:
    return stage.outcomes[name].status.reason or ""


# ------------------------------------------------------------------------------------------------------------ retries
@pytest.mark.parametrize("act", ["killed", "crash"])
def test_a_run_that_dies_is_started_again_until_the_cap(stage: Stage, act: str) -> None:
    stage.acts(t0s0=[act, "done"], t1s0=[act])
    assert stage.drive(Policy(retries=2)) == {"t0s0": "done", "t1s0": "failed"}
    assert sorted(stage.started()) == ["t0s0 1", "t0s0 2", "t1s0 1", "t1s0 2", "t1s0 3"]
    assert "failed after 3 attempts that ended like this" in reason(stage, "t1s0")
    assert [event.run for event in stage.events(RunRetried)].count("t1s0") == 2
    assert stage.drive(Policy(retries=2)) == {} and len(stage.started()) == 5  # the cap holds for the next driver too
    assert {number: result.state for number, result in stage.search.told.items()} == {0: "done", 1: "failed"}


@pytest.mark.parametrize(("act", "cause", "state"), [("oom", "out_of_memory", "infeasible"), ("nan", "not_finite", "failed")])
def test_what_would_happen_again_is_not_tried_again(stage: Stage, act: str, cause: str, state: str) -> None:
    stage.acts(t1s0=[act])
    assert stage.drive(Policy(retries=2)) == {"t0s0": "done", "t1s0": "failed"}
    assert stage.outcomes["t1s0"].status.cause == cause and stage.search.told[1].state == state and len(stage.started()) == 2


def test_a_run_that_hangs_leaves_a_trace_and_is_started_again(stage: Stage) -> None:
    stage.trials, stage.real_act = 1, "hang"
    assert stage.drive(Policy(stall_s=1.0, retries=1)) == {"t0s0": "done"}
    assert "in wait_here" in RunDir(stage.sweep.runs / "t0s0").log.read_text()
    assert "no sign of life for 1 s" in (stage.events(RunRetried)[0].reason or "")


def test_a_run_that_hangs_is_killed_and_retried(stage: Stage) -> None:
    stage.trials = 1
    stage.acts(t0s0=["hang", "hang", "done"])
    began = stage.clock.now()
    assert stage.drive(Policy(stall_s=30.0, retries=2)) == {"t0s0": "done"}
    assert len(stage.events(RunRetried)) == 2 and 2 * 30 < stage.clock.now() - began < 2 * 40
    stage.acts(t0s0=["hang"])


def test_a_run_that_takes_too_long_has_failed(stage: Stage) -> None:
    stage.acts(t0s0=["slow"])
    assert stage.drive(Policy(timeout_s=1.0, retries=2)) == {"t0s0": "failed", "t1s0": "done"}
    assert "longer than resources.timeout (1 s)" in reason(stage, "t0s0") and stage.outcomes["t0s0"].status.cause == "timeout"
    assert stage.drive() == {}


def test_a_run_that_another_process_ends_is_told_to_the_search(stage: Stage) -> None:
    stage.trials, stage.real_act = 1, "slow"

    def watch(situation: Situation) -> None:
        status = RunDir(stage.sweep.runs / "t0s0").status()
        if status.state == "running" and status.step > 1:
            os.kill(status.pid, signal.SIGTERM)

    stage.watch = watch
    assert stage.drive() == {"t0s0": "failed"}
    assert "failed after one attempt (resources.retries is 0)" in reason(stage, "t0s0") and stage.search.told[0].state == "failed"


def test_a_run_that_is_killed_without_retries_has_failed(stage: Stage) -> None:
    stage.acts(t0s0=["killed"])
    assert stage.drive() == {"t0s0": "failed", "t1s0": "done"}
    assert "failed after one attempt (resources.retries is 0)" in reason(stage, "t0s0") and stage.search.told[0].state == "failed"


class Confirming(Search):
    """Asks for one more run when its time is up."""

    finished = False

    def finish(self) -> None:
        self.finished, self._waiting = True, {9: Trial(9, {}, "confirmation")}


def test_a_search_may_confirm_what_it_has_found_when_the_time_is_up(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "Search", Confirming)
    stage.trials = 3
    assert stage.drive(Policy(gpu_hours=1e-9, resources=TaskResources(gpus=1.0)), slots=1).keys() == {
        "t0s0",
        "t1s0",
        "t9s0",
    }  # one was handed out already


# ------------------------------------------------------------------------------------------------------------ pruning
def test_a_pruned_trial_ends_with_all_its_runs(stage: Stage) -> None:
    stage.seeds = (0, 1, 2)
    stage.acts(**{f"t1s{seed}": ["slow"] for seed in range(3)})

    def prune_if(trial: Trial, report: IntermediateResult) -> str | None:
        return "worse than the median" if trial.number == 1 and report.step >= 3 else None

    states = stage.drive(prune_if=prune_if)
    assert states == {"t0s0": "done", "t0s1": "done", "t0s2": "done"} | {f"t1s{seed}": "pruned" for seed in range(3)}
    assert stage.search.told[1].state == "pruned" and stage.search.told[1].reason == "worse than the median"
    assert any(steps for steps in stage.search.told[1].reports.values())
    assert len(stage.events(TrialPruned)) == 1 and "t1s2 1" not in stage.started()
    assert stage.drive(prune_if=prune_if) == {} and stage.search.told[1].state == "pruned" and stage.search.resumed == []


def test_a_result_that_comes_after_pruning_is_logged_and_ignored(stage: Stage) -> None:
    stage.acts(t1s0=["deaf"])
    states = stage.drive(prune_if=lambda trial, report: "no hope" if trial.number == 1 and report.step < 150 else None)
    run = RunDir(stage.sweep.runs / "t1s0")
    assert states["t1s0"] == "pruned" == run.status().state and stage.search.told[1].state == "pruned"
    assert json.loads(run.status_file.read_text())["state"] == "done" and [event.run for event in stage.events(LateResultIgnored)] == [
        "t1s0"
    ]
    assert 1 not in stage.search.told[1].values


# ------------------------------------------------------------------------------------------------- commands and budgets
def test_pause_stop_and_quit(stage: Stage) -> None:
    stage.trials = 4
    stage.acts(**{f"t{number}s0": ["slow", "done"] for number in range(4)})
    asked = iter([[Command("pause")], [Command("stop", "0")], [Command("stop", "t1s0")]])
    wishes: list[Command] = []

    def commands() -> Sequence[Command]:
        if len(stage.started()) == 2 and (more := next(asked, None)) is not None:
            return more
        states = [RunDir(stage.sweep.runs / f"t{number}s0").status().state for number in range(2)]
        if states == ["pruned", "pruned"] and not wishes:
            assert stage.seen[-1].paused == "paused on request" and len(stage.started()) == 2
            wishes.append(Command("resume"))
            return wishes
        if len(stage.started()) == 4 and len(wishes) == 1:
            wishes.append(Command("quit"))
            return wishes[1:]
        return ()

    states = stage.drive(commands=commands)
    assert states == {"t0s0": "pruned", "t1s0": "pruned", "t2s0": "interrupted", "t3s0": "interrupted"}
    assert stage.drive() == {"t2s0": "done", "t3s0": "done"}


def test_a_pause_may_save_and_end_what_is_active(stage: Stage) -> None:
    stage.trials = 3
    stage.acts(t0s0=["slow", "done"], t1s0=["slow", "5"])
    asked = {8: Command("pause", save=True), 60: Command("resume")}
    calls: list[int] = []

    def commands() -> Sequence[Command]:
        calls.append(1)
        if len(calls) == 59:
            assert stage.seen[-1].used == 0 and stage.seen[-1].by_hand and stage.seen[-1].paused == "paused on request"
            states = [RunDir(stage.sweep.runs / name).status().state for name in ("t0s0", "t1s0")]
            assert states == ["interrupted", "interrupted"] and len(stage.started()) == 2
        return [asked[len(calls)]] if len(calls) in asked else []

    assert stage.drive(commands=commands) == {"t0s0": "done", "t1s0": "done", "t2s0": "done"}
    assert sorted(stage.started()) == ["t0s0 1", "t0s0 2", "t1s0 1", "t1s0 2", "t2s0 1"]
    assert sorted(event.run for event in stage.events(RunSaved)) == ["t0s0", "t1s0"] and stage.events(RunRetried) == []
    assert [event.reason for event in stage.events(SweepPaused, SweepResumed)] == ["on request", "on request"]  # type: ignore[attr-defined]
    assert all(run.override() is None for run in map(RunDir, [stage.sweep.runs / "t0s0"]))


def test_planned_trials_and_runs_are_stopped_before_they_start(stage: Stage) -> None:
    """The trials that wait, those that the search has not handed out yet, and single runs."""
    stage.trials, stage.seeds = 6, (0, 1)
    stage.acts(t0s0=["slow", "done"])
    asked = iter([[Command("stop", "5"), Command("stop", "1"), Command("stop", "t0s1")]])
    left = stage.drive(slots=1, commands=lambda: next(asked, []))
    ended = {"t0s1", "t1s0", "t1s1", "t5s0", "t5s1"}
    assert {name for name, state in left.items() if state == "pruned"} == ended and set(left.values()) == {"done", "pruned"}
    assert not any((stage.sweep.runs / name).exists() for name in ended - {"t0s1"}) and len(stage.started()) == 7
    assert stage.events(CommandIgnored) == [] and [event.trial for event in stage.events(TrialPruned)] == [5, 1]
    assert {stage.search.told[number].state for number in (0, 1, 5)} == {"pruned"}
    assert set(stage.drive().values()) <= {"pruned"} and stage.launchers[1].started == []  # a later driver starts none of them


def test_what_was_stopped_stays_so_for_the_next_driver(stage: Stage) -> None:
    stage.trials = 4
    stage.acts(t0s0=["slow", "done"])
    asked = iter([[Command("stop", "3"), Command("stop", "t1s0")], [Command("quit")]])
    assert stage.drive(slots=1, commands=lambda: next(asked, []))["t0s0"] == "interrupted"
    assert stage.drive(slots=1) == {"t0s0": "done", "t2s0": "done", "t3s0": "pruned"} and stage.search.told[1].state == "pruned"


def test_a_paused_sweep_ends_when_the_rest_was_stopped(stage: Stage) -> None:
    stage.trials = 5
    stage.acts(t0s0=["slow", "done"])
    asked = iter([[Command("pause")], *([Command("stop", str(number))] for number in range(5))])
    states = stage.drive(slots=1, commands=lambda: next(asked, []) if stage.started() else [])
    assert states == {f"t{number}s0": "pruned" for number in range(5)} and len(stage.started()) == 1
    assert any(situation.paused for situation in stage.seen)
    assert {run.name for situation in stage.seen for run in situation.not_started} == {f"t{number}s0" for number in range(2, 5)}


def test_a_paused_sweep_waits_while_a_trial_is_left(stage: Stage) -> None:
    stage.trials = 3
    stage.acts(t0s0=["slow", "done"])
    asked = iter([[Command("pause"), Command("stop", "0"), Command("stop", "2")], *[[]] * 100, [Command("resume")]])
    assert stage.drive(slots=1, commands=lambda: next(asked, [])) == {"t0s0": "pruned", "t1s0": "done", "t2s0": "pruned"}


def test_a_request_that_cannot_be_carried_out_is_noted(stage: Stage) -> None:
    stage.trials = 1
    stage.acts(t0s0=["3"])
    asked = iter([[Command("stop", "unknown")], [Command("stop", "7")], [Command("stop")]])
    assert stage.drive(commands=lambda: next(asked, [])) == {"t0s0": "done"}
    assert [event.text for event in stage.events(CommandIgnored)] == ["stop unknown", "stop 7", "stop"]
    assert {event.reason for event in stage.events(CommandIgnored)} == {"no planned or active run or trial has this name"}


def test_another_terminal_is_heard(stage: Stage) -> None:
    stage.trials = 1
    stage.acts(t0s0=["slow", "done"])
    send(stage.sweep.control, Command("quit"))  # sent while no driver runs: it does not count
    sent: list[int] = []

    def watch(situation: Situation) -> None:
        if stage.started() and not sent:
            sent.append(1)
            with open(stage.sweep.control, "a") as file:
                file.write('{"action": "jump"}\n[1]\n{"act')
                file.write("\n")
            send(stage.sweep.control, Command("quit"))

    stage.watch = watch
    assert stage.drive() == {"t0s0": "interrupted"}
    assert [(event.text, event.reason) for event in stage.events(CommandIgnored)] == [
        ('{"action": "jump"}', "not a command"),
        ("[1]", "not a command"),
        ('{"act', "not a command"),
    ]
    assert [event.action for event in stage.events(CommandReceived)] == ["quit"] and stage.events(RunRetried) == []


def test_failed_runs_are_started_again_when_asked_also_those_of_before(stage: Stage) -> None:
    stage.trials = 3
    stage.acts(t0s0=["nan", "done"], t1s0=["nan", "done"], t2s0=["done"])
    assert stage.drive(slots=1)["t0s0"] == "failed"
    stage.trials = 4  # a later driver, which has one more trial
    stage.acts(t0s0=["nan", "done"], t1s0=["nan", "done"], t3s0=["slow", "done"])
    asked: list[int] = []

    def commands() -> Sequence[Command]:
        if not asked and "t3s0 1" in stage.started():
            asked.append(1)
            return [Command("retry")]
        return ()

    assert stage.drive(commands=commands) == {"t0s0": "done", "t1s0": "done", "t3s0": "done"}
    assert stage.drive() == {} and {number: result.state for number, result in stage.search.told.items()} == dict.fromkeys(range(4), "done")


def test_a_budget_that_is_used_up_starts_nothing_more(stage: Stage) -> None:
    stage.trials = 3
    states = stage.drive(Policy(gpu_hours=1e-9, resources=TaskResources(gpus=1.0)), slots=1)
    assert states == {"t0s0": "done"} and stage.events(BudgetSpent)[0].reason.startswith("budget.gpu_hours is used up")
    assert stage.drive(Policy(gpu_hours=1e-9, resources=TaskResources(gpus=1.0))) == {}  # what earlier drivers used counts
    assert stage.drive() == {"t1s0": "done", "t2s0": "done"}


@pytest.mark.parametrize("trials", [1, 3])
def test_a_retry_waits_for_a_larger_budget(stage: Stage, trials: int) -> None:
    stage.trials = trials
    stage.acts(t0s0=["crash", "done"])
    stage.drive(Policy(gpu_hours=1e-9, retries=1, resources=TaskResources(gpus=1.0)), slots=1)
    assert stage.started() == ["t0s0 1"] and len(stage.events(BudgetSpent)) == 1
    assert RunDir(stage.sweep.runs / "t0s0").status().state == "interrupted"
    assert stage.drive() == {f"t{number}s0": "done" for number in range(trials)}


def test_failures_in_a_row_stop_a_sweep_with_the_common_reason(stage: Stage) -> None:
    stage.trials = 6
    stage.acts(**{f"t{number}s0": ["crash"] for number in range(6)})
    with pytest.raises(RunnerError, match=r"3 runs failed in a row .* 3 of them for this reason: .*KeyError"):
        stage.drive(Policy(failures_in_a_row=3), slots=1)
    assert len(stage.started()) == 3
    stage.acts(**{f"t{number}s0": ["nan"] for number in range(6)})
    assert len(stage.drive(Policy(failures_in_a_row=3), retry_failed=True)) == 6  # these speak of their values


def test_a_full_disk_pauses_and_goes_on(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    full = iter([True, True, False])
    monkeypatch.setattr(runner.sweep.limits, "disk_is_full", lambda folder: next(full))
    stage.acts(t0s0=["full", "done"])
    assert stage.drive(Policy(retries=0)) == {"t0s0": "done", "t1s0": "done"}
    assert any("the disk is full" in situation.paused for situation in stage.seen)
    assert [type(event) for event in stage.events(SweepPaused, SweepResumed)] == [SweepPaused, SweepResumed]


# ------------------------------------------------------------------------------------------------ what was done before
def test_a_driver_goes_on_where_the_last_one_was_killed(stage: Stage) -> None:
    stage.trials, stage.seeds = 3, (0, 1)
    for trial in range(2):
        for run in stage.runs(Trial(trial, {}, f"trial {trial}")):
            runner.sweep.runs.prepare_run_dir(run)
    RunDir(stage.sweep.runs / "t0s0").write_status(Status("done", attempt=1))
    RunDir(stage.sweep.runs / "t0s1").write_status(Status("done", attempt=1))
    RunDir(stage.sweep.runs / "t1s0").write_status(Status("done", attempt=1))
    RunDir(stage.sweep.runs / "t1s1").write_status(Status("running", attempt=1, pid=2**22 - 7, heartbeat=time.time()))
    states = stage.drive()
    assert states == {"t1s0": "done", "t1s1": "done", "t2s0": "done", "t2s1": "done"} and stage.search.resumed == [1]
    assert sorted(stage.started()) == ["t1s1 2", "t2s0 1", "t2s1 1"]
    stage.seeds = (0, 1, 2)  # only what is new
    assert stage.drive().keys() >= {"t0s2", "t1s2", "t2s2"} and len(stage.started()) == 6


def test_the_journal_is_enough_and_so_are_the_run_directories(stage: Stage) -> None:
    stage.trials = 3
    stage.drive()
    told = stage.search.told
    assert told[2].values[0] == {"bbox/AP": pytest.approx(0.45), "resource/memory_gib": 0.5}
    assert stage.drive() == {} and stage.search.told == told
    assert stage.seen[-1].best == "0002 trial 2: bbox/AP 0.45"
    stage.sweep.journal.unlink()
    assert stage.drive() == {} and stage.search.told == told and len(stage.started()) == 3


def test_a_run_of_another_sweep_is_taken_over(stage: Stage) -> None:
    stage.drive()
    first = stage.sweep
    for name in ("t0s0", "t1s0"):
        record(RunDir(first.runs / name))
    RunDir(first.runs / "t1s0").checkpoints.mkdir()
    (first.runs / "t1s0" / "a link").symlink_to("/etc")
    os.mkfifo(first.runs / "t1s0" / "a pipe")
    stage.sweep = SweepDir(stage.folder / "another")
    stage.sweep.runs.mkdir(parents=True)
    assert stage.drive() == {"t0s0": "done", "t1s0": "done"} and len(stage.started()) == 2
    run = RunDir(stage.sweep.runs / "t1s0")
    assert run.status().state == "done" and "reused from" in (run.status().reason or "") and not run.checkpoints.exists()
    assert run.results() == RunDir(first.runs / "t1s0").results() and run.identity() is not None
    stage.sweep, stage.prefix = SweepDir(stage.folder / "third"), "another "
    stage.sweep.runs.mkdir(parents=True)
    assert len(stage.drive()) == 2 and len(stage.started()) == 4


def record(run: RunDir) -> None:
    """The last evaluation in metrics.jsonl, as every real worker writes it."""
    writer = RecordWriter(run.metrics)
    writer.write(Record(1, 10, 1.0, 1.0, (run.results() or {})["metrics"], kind="evaluation"))
    writer.close()


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda run: run.evaluation.write_text('{"step": 10, "metr'), "eval.json: is incomplete or damaged"),
        (lambda run: run.evaluation.unlink(), "eval.json: is missing"),
        (lambda run: run.evaluation.write_text('{"step": 10, "metrics": {"bbox/AP": 0.9}}'), "differs from metrics.jsonl"),
        (lambda run: run.config.write_text("seed: 7\n"), "config.yml has changed since the run was made"),
        (lambda run: run.write_identity(replace(run.identity(), key="another")), "has a different run key now"),
        (lambda run: run.write_status(Status("running", attempt=2)), "is not done"),
    ],
)
def test_a_run_of_another_sweep_that_is_not_whole_is_run_again(stage: Stage, harm: Callable[[RunDir], Any], reason: str) -> None:
    """Its own files count, and not what the journal beside it says."""
    stage.trials = 1
    stage.drive()
    first = RunDir(stage.sweep.runs / "t0s0")
    record(first)
    harm(first)
    stage.sweep = SweepDir(stage.folder / "another")
    stage.sweep.runs.mkdir(parents=True)
    assert stage.drive() == {"t0s0": "done"} and len(stage.started()) == 2
    assert [reason in event.reason for event in stage.events(ReuseRefused)] == [True]


def test_a_journal_does_not_lead_out_of_its_sweep(stage: Stage) -> None:
    stage.trials = 1
    stage.drive()
    record(RunDir(stage.sweep.runs / "t0s0"))
    outside = stage.folder / "elsewhere" / "deep" / "x"
    outside.parent.mkdir(parents=True)
    shutil.move(stage.sweep.runs / "t0s0", outside)
    stage.sweep.journal.write_text(stage.sweep.journal.read_text().replace('"t0s0"', '"../../elsewhere/deep/x"'))
    stage.sweep = SweepDir(stage.folder / "another")
    stage.sweep.runs.mkdir(parents=True)
    assert stage.drive() == {"t0s0": "done"} and len(stage.started()) == 2


def test_a_point_that_cannot_be_is_told_as_failed(stage: Stage) -> None:
    runs = stage.runs

    def refuse(trial: Trial) -> list[PlannedRun]:
        if trial.number == 1:
            raise InputError("expected an integer")
        return runs(trial)

    stage.runs = refuse  # type: ignore[method-assign]
    assert stage.drive() == {"t0s0": "done"}
    assert stage.search.told[1].state == "failed" and stage.search.told[1].reason == "expected an integer"
