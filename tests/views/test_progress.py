"""The live display: what it says, when, and that it reads directories alone."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest
from rich.console import Console

from runner.core.rundir import RunDir, State, Status, Verdict
from runner.testing.finished import make_run
from runner.views.progress import Watcher
from runner.views.watch import Watch

VALUES = {"train/loss": 1.234, "train/lr": 0.002, "train/images_per_s": 12.3, "resource/memory_gb": 1.2}


class Clock:
    def __init__(self) -> None:
        self.now = 1_780_000_000.0

    def __call__(self) -> float:
        return self.now


def put(run: RunDir, clock: Clock, step: int, state: State = "running", phase: str = "training", attempt: int = 1) -> None:
    run.write_status(Status(state, None, attempt, step, 300, step / 50, clock.now, 1, VALUES, phase))


def console(width: int = 80, *, terminal: bool = False) -> Console:
    return Console(
        file=io.StringIO(),
        width=width,
        height=24,
        force_terminal=terminal,
        color_system=None,
        _environ={"TERM": "xterm"},
    )


def shown(target: Console) -> str:
    assert isinstance(target.file, io.StringIO)
    return target.file.getvalue()


@pytest.fixture
def runs(tmp_path: Path) -> list[RunDir]:
    return [make_run(tmp_path, trial, state="pending", label=f"t{trial}") for trial in range(3)]


def test_piped_lines(runs: list[RunDir]) -> None:
    clock, target = Clock(), console()
    with Watcher(runs[:1], target, clock=clock) as watcher:
        watcher.update()
        for step in range(0, 200):  # a step every 0.2 s
            put(runs[0], clock, step)
            watcher.update()
            clock.now += 0.2
        make_run(runs[0].path.parents[1], 0, ap=0.412, state="done", name="x").evaluation.rename(runs[0].evaluation)
        put(runs[0], clock, 300, "done", "ended")
    lines = shown(target).splitlines()
    assert lines[0] == "0000-t0-s0: started"
    assert lines[1].startswith("0000-t0-s0: step 50/300 (16 %), epoch 1.00, loss 1.234, lr 0.002, 12.3 images/s, 1.2 GB, 0:50 left")
    assert lines[-1] == "0000-t0-s0: done, bbox/AP 0.412, bbox/AP50 0.712"
    assert len(lines) == 5  # 40 seconds: a line every ten
    assert all("\x1b" not in line for line in lines)


def test_piped_sweep(runs: list[RunDir]) -> None:
    clock, target = Clock(), console()
    put(runs[0], clock, 300, "done", "ended")
    watcher = Watcher(runs, target, title="batchsize", clock=clock)
    put(runs[1], clock, 3)
    watcher.update()
    runs[1].write_verdict(Verdict("failed", "killed by SIGKILL; log: worker.log", 1, clock.now))
    watcher.update()
    put(runs[1], clock, 3, attempt=2)
    watcher.update()
    watcher.close()
    watcher.close()
    assert shown(target).splitlines() == [
        "batchsize: 3 runs, 1 of them done already",
        "0001-t1-s0: started",
        "0001-t1-s0: failed after step 3: killed by SIGKILL; log: worker.log",
        "0001-t1-s0: goes on, attempt 2",
    ]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_terminal_sweep(runs: list[RunDir], width: int) -> None:
    clock, target = Clock(), console(width, terminal=True)
    with Watcher(runs, target, title="batchsize", clock=clock) as watcher:
        for step in range(0, 100, 10):
            put(runs[0], clock, step)
            put(runs[1], clock, step, phase="evaluating")
            watcher.update()
            clock.now += 1
    text = shown(target)
    assert "── batchsize ──" in text and "3 runs · 2 running · 1 waiting" in text and "so far · about 0:" in text
    assert " 30 %" in text and "loss 1.234" in text and "0:21 left" in text and "evaluating" in text
    assert "\x1b[?25h" in text  # the cursor is shown again


def test_terminal_single_run(runs: list[RunDir]) -> None:
    clock, target = Clock(), console(terminal=True)
    with Watcher(runs[:1], target, clock=clock) as watcher:
        watcher.update()
        for step in range(0, 100, 10):
            put(runs[0], clock, step)
            watcher.update()
            clock.now += 1
    text = shown(target)
    assert "0000-t0-s0: waiting" in text and "step 90/300" in text
    assert "epoch 1.80, loss 1.234, lr 0.002, 12.3 images/s, 1.2 GB, 0:21 left" in text


def test_a_silent_run_is_pointed_out(runs: list[RunDir]) -> None:
    clock, target = Clock(), console(terminal=True)
    put(runs[0], clock, 10)
    with Watcher(runs, target, clock=clock) as watcher:
        clock.now += 45
        watcher.update()
    assert "silent for 0:45" in shown(target)


def test_a_resumed_run_has_a_new_pace(runs: list[RunDir]) -> None:
    clock = Clock()
    watch = Watch(runs[:1], clock)
    for step in range(1, 100):
        put(runs[0], clock, step)
        list(watch.look())
        clock.now += 1
    assert watch.runs[0].time_left_s() == pytest.approx(201)
    clock.now += 10_000
    put(runs[0], clock, 50, attempt=2)
    list(watch.look())
    assert watch.runs[0].time_left_s() is None


def test_half_written_files_are_no_problem(runs: list[RunDir]) -> None:
    clock, target = Clock(), console()
    with Watcher(runs, target, clock=clock) as watcher:
        for text in ("", "{", '{"state": "running"', '{"state": "running", "values": {"train/loss": "oops"}}', "[]"):
            runs[0].status_file.write_text(text)
            watcher.update()
    assert "started" in shown(target)


def test_an_added_run_is_watched(runs: list[RunDir]) -> None:
    clock, target = Clock(), console()
    watcher = Watcher(runs[:1], target, clock=clock)
    watcher.add(runs[1])
    watcher.add(runs[1])
    put(runs[1], clock, 1)
    watcher.update()
    assert shown(target).splitlines().count("0001-t1-s0: started") == 1


def test_many_runs_cost_little(tmp_path: Path) -> None:
    watch = Watch([RunDir(tmp_path / f"run{index}") for index in range(5000)])
    started = time.perf_counter()
    for _ in range(10):
        list(watch.look())
    assert (time.perf_counter() - started) / 10 < 0.1
    (tmp_path / "run4999").mkdir()
    put(RunDir(tmp_path / "run4999"), Clock(), 5)
    for _ in range(101):
        list(watch.look())
    assert [run.name for run in watch.running()] == ["run4999"]
