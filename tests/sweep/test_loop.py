"""The driver: which runs it starts, what it writes down of those that could not say it themselves, how it stops.

Workers are scripted: small processes that act as they are told.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from runner.core.errors import InputError
from runner.launch.base import Exit, Task
from runner.launch.local import LocalLauncher
from runner.search.base import FixedSearch, Trial, TrialResult
from runner.store.run_dir import Identity, Override, RunDir, Status
from runner.sweep.loop import run_loop
from runner.sweep.plan import PlannedRun
from runner.sweep.runs import conclude, prepare_run_dir
from runner.sweep.setup import LoopOptions, RunOutcome, Workload

WORKER = """
import json, os, signal, sys, time
from pathlib import Path
from runner.store.run_dir import RunDir, Status
run = RunDir(sys.argv[1])
number = run.status().attempt + 1
acts = json.loads(Path(sys.argv[2]).read_text()).get(run.name, ["done"])
act = acts[min(number, len(acts)) - 1]
with open(Path(sys.argv[2]).with_name("started"), "a") as file:
    file.write(f"{run.name} {number}\\n")
def say(state, reason=None, step=0):
    run.write_status(Status(state, reason, number, step, 10, pid=os.getpid(), heartbeat=time.time()))
if act == "killed at start":
    os.kill(os.getpid(), signal.SIGKILL)
if act == "crash at start":
    sys.exit(1)
stop = []
if act == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
say("running", step=3)
if act == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
if act == "crash":
    sys.exit(1)
if act == "fail":
    say("failed", "the loss of step 4 is not finite"); sys.exit(1)
if act == "bad input":
    say("failed", "the image x.png is cut off"); sys.exit(2)
if act in ("wait", "deaf"):
    deadline = time.time() + 60
    while not stop and time.time() < deadline:
        time.sleep(0.02)
    say("interrupted", "asked to stop (SIGTERM)", 4); sys.exit(130)
say("done", step=10)
"""


class Remembering(FixedSearch):
    """A fixed design that keeps what it was told."""

    def __init__(self, trials: Sequence[Trial]) -> None:
        super().__init__(trials)
        self.told: list[tuple[int, TrialResult]] = []

    def tell(self, trial: Trial, result: TrialResult) -> None:
        self.told.append((trial.number, result))
        super().tell(trial, result)


class Stage:
    """Runs in a folder, and workers that act as told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "worker.py").write_text(WORKER)
        self.acts()

    def acts(self, **acts: list[str]) -> None:
        (self.folder / "acts.json").write_text(json.dumps(acts))

    def started(self) -> list[str]:
        file = self.folder / "started"
        return file.read_text().splitlines() if file.exists() else []

    def task(self, run: PlannedRun) -> Task:
        run_dir = run.run_dir
        argv = [sys.executable, str(self.folder / "worker.py"), str(run_dir.path), str(self.folder / "acts.json")]
        return Task(str(run_dir.path), argv, Path.cwd(), run_dir.log, {"PYTHONPATH": str(Path(__file__).resolve().parents[2])})

    def plan(self, name: str, trial: int = 0, seed: int = 0, key: str = "") -> PlannedRun:
        run_dir = RunDir(self.folder / "runs ü" / name)
        identity = Identity(name, "sweep", trial, seed, {}, key or f"key of {name}")
        resolved: Any = SimpleNamespace(yaml="seed: 1\n")
        return PlannedRun(run_dir, Trial(trial, {}, name), seed, resolved, identity)

    def drive(self, *runs: PlannedRun, slots: int = 2, **options: Any) -> list[RunOutcome]:
        self.search = Remembering(list({run.trial.number: run.trial for run in runs}.values()))
        watch = options.pop("watch", lambda situation: None)
        work = Workload(self.search, lambda trial: [run for run in runs if run.trial.number == trial.number], task_of=self.task)
        return run_loop(work, LocalLauncher(slots, close_grace_s=1), LoopOptions(**options), watch=watch)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def states(outcomes: Sequence[RunOutcome]) -> dict[str, str]:
    return {outcome.run.run_dir.name: outcome.status.state for outcome in outcomes}


def test_runs_a_sweep_and_tells_the_search(stage: Stage) -> None:
    runs = [stage.plan(f"t{trial}s{seed}", trial, seed) for trial in range(2) for seed in range(2)]
    watched: list[int] = []
    outcomes = stage.drive(*runs, watch=lambda situation: watched.append(situation.slots))
    assert states(outcomes) == dict.fromkeys(["t0s0", "t0s1", "t1s0", "t1s1"], "done")
    assert [(number, result.state) for number, result in stage.search.told] in ([(0, "done"), (1, "done")], [(1, "done"), (0, "done")])
    assert len(watched) >= 2 and [outcome.exit_code for outcome in outcomes] == [0] * 4
    for run in runs:
        assert run.run_dir.identity() == run.identity and "seed: 1" in run.run_dir.config.read_text()


def test_finished_runs_are_not_run_again(stage: Stage) -> None:
    stage.acts(b=["fail"])
    runs = [stage.plan("a", 0), stage.plan("b", 1), stage.plan("c", 2)]
    assert states(stage.drive(*runs)) == {"a": "done", "b": "failed", "c": "done"}
    before = {run.run_dir.name: run.run_dir.status_file.stat().st_mtime_ns for run in runs}
    again = stage.drive(*runs)
    assert states(again) == {"a": "done", "b": "failed", "c": "done"} and all(outcome.reused for outcome in again)
    assert len(stage.started()) == 3
    assert {run.run_dir.name: run.run_dir.status_file.stat().st_mtime_ns for run in runs} == before
    assert dict(stage.search.told)[1].state == "failed" and "not finite" in dict(stage.search.told)[1].reason


def test_failed_runs_are_retried_when_asked(stage: Stage) -> None:
    stage.acts(b=["fail", "done"])
    runs = [stage.plan("a", 0), stage.plan("b", 1)]
    stage.drive(*runs)
    assert states(stage.drive(*runs, retry_failed=True)) == {"a": "done", "b": "done"}
    assert sorted(stage.started()) == ["a 1", "b 1", "b 2"]


@pytest.mark.parametrize(
    ("act", "state", "words"),
    [
        ("killed", "interrupted", "the worker was killed by SIGKILL after step 3"),
        ("killed at start", "interrupted", "the worker was killed by SIGKILL; log:"),
        ("crash", "failed", "the worker ended with exit status 1 after step 3"),
        ("crash at start", "failed", "the worker ended with exit status 1; log:"),
    ],
)
def test_what_a_worker_could_not_say_is_written_down(stage: Stage, act: str, state: str, words: str) -> None:
    stage.acts(a=[act, act, "done"])
    (outcome,) = stage.drive(stage.plan("a"))
    override = outcome.run.run_dir.override()
    assert override is not None and outcome.status.state == state == override.state == outcome.run.run_dir.status().state
    assert words in override.reason and str(outcome.run.run_dir.log) in override.reason
    assert ("dmesg" in override.reason) == ("kill" in act)
    (outcome,) = stage.drive(stage.plan("a"), retry_failed=True)  # a second death is an attempt of its own
    assert outcome.status.attempt == 2
    (outcome,) = stage.drive(stage.plan("a"), retry_failed=True)
    assert (outcome.status.state, outcome.status.attempt) == ("done", 3)
    assert outcome.run.run_dir.status() == outcome.status


def test_a_killed_run_goes_on_without_being_asked_twice(stage: Stage) -> None:
    stage.acts(a=["killed", "done"])
    stage.drive(stage.plan("a"))
    assert states(stage.drive(stage.plan("a"))) == {"a": "done"}


def test_bad_input_found_by_the_worker_keeps_its_exit_code(stage: Stage) -> None:
    stage.acts(a=["bad input"])
    (outcome,) = stage.drive(stage.plan("a"))
    assert (outcome.status.state, outcome.status.reason, outcome.exit_code) == ("failed", "the image x.png is cut off", 2)


def test_a_worker_that_cannot_be_started(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def task(run: PlannedRun) -> Task:
        run_dir = run.run_dir
        return Task(str(run_dir.path), ["/no/such/python"], Path.cwd(), run_dir.log)

    monkeypatch.setattr(stage, "task", task)
    (outcome,) = stage.drive(stage.plan("a"))
    assert outcome.status.state == "failed" and "could not be started" in (outcome.status.reason or "")


def signal_after(condition: Callable[[], bool], *delays_s: float, number: int = signal.SIGINT) -> threading.Thread:
    """Sends this process a signal, each delay after the one before, once the condition holds."""

    def send() -> None:
        deadline = time.monotonic() + 30
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.02)
        for delay in delays_s:
            time.sleep(delay)
            os.kill(os.getpid(), number)

    thread = threading.Thread(target=send)
    thread.start()
    return thread


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_asks_every_worker_to_save_and_starts_no_other(stage: Stage, number: int) -> None:
    stage.acts(a=["wait", "done"], b=["wait", "done"])
    runs = [stage.plan(name, index) for index, name in enumerate("abc")]
    before = signal.getsignal(number)
    thread = signal_after(lambda: all(run.run_dir.status().state == "running" for run in runs[:2]), 0.1, number=number)
    outcomes = stage.drive(*runs, slots=2)
    thread.join()
    assert states(outcomes) == {"a": "interrupted", "b": "interrupted"} and len(stage.started()) == 2
    assert all(outcome.run.run_dir.override() is None for outcome in outcomes)  # the workers said it themselves
    assert signal.getsignal(number) == before
    assert states(stage.drive(*runs)) == dict.fromkeys("abc", "done")


def test_two_signals_end_it_at_once(stage: Stage) -> None:
    stage.acts(a=["deaf", "done"])
    run = stage.plan("a")
    thread = signal_after(lambda: run.run_dir.status().state == "running", 0.1, 0.5)
    started = time.monotonic()
    (outcome,) = stage.drive(run)
    thread.join()
    assert time.monotonic() - started < 15
    assert outcome.status.state == "interrupted" and "SIGKILL" in (outcome.status.reason or "")
    assert states(stage.drive(run)) == {"a": "done"}


# ----------------------------------------------------------------------------------------------------- the directories
def test_a_directory_that_holds_something_else_is_left_alone(stage: Stage) -> None:
    run = stage.plan("a")
    run.run_dir.path.mkdir(parents=True)
    (run.run_dir.path / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match="exists and is not empty"):
        prepare_run_dir(run)
    assert os.listdir(run.run_dir.path) == ["thesis.tex"]


def test_a_directory_of_another_run_is_left_alone(stage: Stage) -> None:
    prepare_run_dir(stage.plan("a"))
    before = stage.plan("a").run_dir.config.read_text()
    with pytest.raises(InputError, match="holds another run"):
        prepare_run_dir(stage.plan("a", key="another"))
    assert stage.plan("a").run_dir.config.read_text() == before
    prepare_run_dir(stage.plan("a"))


def test_a_driver_killed_between_its_first_files_leaves_no_obstacle(stage: Stage) -> None:
    run = stage.plan("a")
    run.run_dir.path.mkdir(parents=True)
    prepare_run_dir(run)
    run.run_dir.identity_file.unlink()
    (run.run_dir.path / ".run.json.x1.tmp").write_text("{")
    prepare_run_dir(run)
    assert run.run_dir.identity() == run.identity


def test_a_run_another_process_works_on_is_left_alone(stage: Stage) -> None:
    run = stage.plan("a")
    prepare_run_dir(run)
    run.run_dir.write_status(Status("running", attempt=1, pid=os.getpid(), heartbeat=time.time()))
    with pytest.raises(InputError, match=f"process {os.getpid()} is working on this run right now"):
        prepare_run_dir(run)
    run.run_dir.write_status(Status("running", attempt=1, pid=os.getppid(), heartbeat=psutil.Process(os.getppid()).create_time() + 5))
    with pytest.raises(InputError, match="is working on this run"):
        prepare_run_dir(run)  # however long a step of it takes
    run.run_dir.write_status(Status("running", attempt=1, pid=os.getpid(), heartbeat=time.time() - 360000))
    prepare_run_dir(run)  # a process that was given the number later
    run.run_dir.write_status(Status("running", attempt=1, pid=2**22 - 7, heartbeat=time.time()))
    prepare_run_dir(run)


@pytest.mark.parametrize("where", ["runs ü", "runs ü/a"])
def test_a_file_in_the_place_of_a_directory(stage: Stage, where: str) -> None:
    file = stage.folder / where
    file.parent.mkdir(exist_ok=True)
    file.write_text("mine")
    with pytest.raises(InputError, match="cannot be written"):
        stage.drive(stage.plan("a"))
    assert file.read_text() == "mine" and stage.started() == []


def test_an_override_that_cannot_be_written_ends_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_run: RunDir, _override: Override) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RunDir, "write_override", full)
    stage.acts(a=["killed"])
    outcomes = stage.drive(stage.plan("a", 0), stage.plan("b", 1), slots=1)
    assert states(outcomes) == {"a": "interrupted", "b": "done"}
    assert "cannot be recorded: No space left on device" in (outcomes[0].status.reason or "")


def test_conclude_believes_a_worker_that_said_how_it_ended(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    run.write_status(Status("done", attempt=1, step=10))
    assert conclude(run, Exit("x", -9, 9), 0).state == "done"  # killed while it was going
    assert run.override() is None
    assert conclude(run, Exit("x", 1), 1).attempt == 2  # an attempt of which there is no word
