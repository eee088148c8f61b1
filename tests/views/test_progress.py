"""The live display: what it says, when, and that it reads directories alone."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from support.finished import make_run

from runner.monitor.sweep_monitor import SweepMonitor
from runner.store.commands import Situation
from runner.store.run_dir import Override, RunDir, State, Status
from runner.views.progress import ProgressDisplay

VALUES = {"train/loss": 1.234, "train/lr": 0.002, "train/images_per_s": 12.3, "resource/memory_gib": 1.2}


class Clock:
    def __init__(self) -> None:
        self.now = 1_780_000_000.0

    def __call__(self) -> float:
        return self.now


def put(run: RunDir, clock: Clock, step: int, state: State = "running", phase: str = "training", attempt: int = 1, **more: Any) -> None:
    run.write_status(replace(Status(state, None, attempt, step, 300, step / 50, clock.now, 1, VALUES, phase), **more))


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
    with ProgressDisplay(runs[:1], target, clock=clock) as display:
        display.update()
        for step in range(0, 200):  # a step every 0.2 s
            put(runs[0], clock, step)
            display.update()
            clock.now += 0.2
        make_run(runs[0].path.parents[1], 0, ap=0.412, state="done", name="x").evaluation.rename(runs[0].evaluation)
        put(runs[0], clock, 300, "done", "ended")
    lines = shown(target).splitlines()
    assert lines[0] == "0000-t0-s0: started"
    assert lines[1].startswith("0000-t0-s0: step 50/300 (16 %), epoch 1.00, loss 1.234, lr 0.002, 12.3 images/s, 1.2 GiB, 0:50 left")
    assert lines[-1] == "0000-t0-s0: done, bbox/AP 0.412, bbox/AP50 0.712"
    assert len(lines) == 5  # 40 seconds: a line every ten
    assert all("\x1b" not in line for line in lines)


def test_piped_sweep(runs: list[RunDir]) -> None:
    clock, target = Clock(), console()
    put(runs[0], clock, 300, "done", "ended")
    display = ProgressDisplay(runs, target, title="batchsize", clock=clock)
    put(runs[1], clock, 3)
    display.update()
    runs[1].write_override(Override("failed", "killed by SIGKILL; log: worker.log", 1, clock.now))
    display.update()
    put(runs[1], clock, 3, attempt=2)
    display.update()
    display.close()
    display.close()
    assert shown(target).splitlines() == [
        "batchsize: 3 runs, 1 of them done already",
        "0001-t1-s0: started",
        "0001-t1-s0: failed after step 3: killed by SIGKILL; log: worker.log",
        "0001-t1-s0: resumed, attempt 2",
    ]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_terminal_sweep(runs: list[RunDir], width: int) -> None:
    clock, target = Clock(), console(width, terminal=True)
    with ProgressDisplay(runs, target, title="batchsize", clock=clock) as display:
        for step in range(0, 100, 10):
            put(runs[0], clock, step)
            put(runs[1], clock, step, phase="evaluating")
            display.update()
            clock.now += 1
    text = shown(target)
    assert "── batchsize ──" in text and "3 runs · 2 running · 1 waiting" in text and "so far · about 0:" in text
    assert " 30 %" in text and "loss 1.234" in text and "0:21 left" in text and "evaluating" in text
    assert "\x1b[?25h" in text  # the cursor is shown again


def test_terminal_single_run(runs: list[RunDir]) -> None:
    clock, target = Clock(), console(terminal=True)
    with ProgressDisplay(runs[:1], target, clock=clock) as display:
        display.update()
        for step in range(0, 100, 10):
            put(runs[0], clock, step)
            display.update()
            clock.now += 1
    text = shown(target)
    assert "0000-t0-s0: waiting" in text and "step 90/300" in text
    assert "epoch 1.80, loss 1.234, lr 0.002, 12.3 images/s, 1.2 GiB, 0:21 left" in text


def test_a_silent_run_is_pointed_out(runs: list[RunDir]) -> None:
    clock, target = Clock(), console(terminal=True)
    put(runs[0], clock, 10)
    with ProgressDisplay(runs, target, clock=clock) as display:
        clock.now += 45
        display.update()
    assert "silent for 0:45" in shown(target)


def test_half_written_files_are_no_problem(runs: list[RunDir]) -> None:
    clock, target = Clock(), console()
    with ProgressDisplay(runs, target, clock=clock) as display:
        for text in ("", "{", '{"state": "running"', '{"state": "running", "values": {"train/loss": "oops"}}', "[]"):
            runs[0].status_file.write_text(text)
            display.update()
    assert "started" in shown(target)


def test_an_added_run_is_watched(runs: list[RunDir]) -> None:
    clock, target = Clock(), console()
    display = ProgressDisplay(runs[:1], target, clock=clock)
    display.add(runs[1])
    display.add(runs[1])
    put(runs[1], clock, 1)
    display.update()
    assert shown(target).splitlines().count("0001-t1-s0: started") == 1


def told(running: list[RunDir], ended: list[RunDir] | None = None, **more: Any) -> Situation:
    return Situation(slots=2, used=len(running), running=running, ended=ended or [], **more)


def test_piped_lines_of_what_a_driver_says(runs: list[RunDir]) -> None:
    clock, target = Clock(), console()
    with ProgressDisplay(runs, target, title="sizes", clock=clock, known={}) as display:
        put(runs[0], clock, 5)
        put(runs[1], clock, 7)
        display.update(told(runs[:2]))
        runs[0].write_override(Override("interrupted", "killed by SIGKILL; started again (1 of 2)", 1, clock.now, "crash", 1, final=True))
        put(runs[1], clock, 9, "failed", "ended", reason="8 GiB are not enough", cause="out_of_memory")
        clock.now += 0.1  # within the interval: what has ended is looked at all the same
        display.update(told([], runs[:2]))
        put(runs[0], clock, 5, attempt=2)
        put(runs[2], clock, 60, "pruned", "ended", reason="below the median at step 60")
        clock.now += 1
        display.update(told(runs[:1], runs[2:], paused="paused by hand"))
        clock.now += 1
        display.update(told(runs[:1]))
    assert shown(target).splitlines() == [
        "sizes: 3 runs",
        "0000-t0-s0: started",
        "0001-t1-s0: started",
        "0000-t0-s0: interrupted after step 5: killed by SIGKILL; started again (1 of 2)",
        "0001-t1-s0: infeasible after step 9: 8 GiB are not enough",
        "nothing new starts: paused by hand",
        "0002-t2-s0: pruned after step 60: below the median at step 60",
        "0000-t0-s0: resumed, attempt 2",
        "new runs start again",
    ]


def test_why_it_goes_on_is_told_where_its_end_was_missed(runs: list[RunDir]) -> None:
    clock, target = Clock(), console()
    with ProgressDisplay(runs, target, clock=clock, known={}) as display:
        put(runs[0], clock, 5)
        display.update(told(runs[:1]))
        runs[0].write_override(Override("interrupted", "no sign of life for 600 s", 1, clock.now, "hung", 1, final=True))
        put(runs[0], clock, 5, attempt=2)
        clock.now += 1
        display.update(told(runs[:1]))
    assert shown(target).splitlines()[-1] == "0000-t0-s0: resumed, attempt 2 (no sign of life for 600 s)"


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0])
def test_a_clock_that_is_set_changes_nothing(runs: list[RunDir], jump_s: float) -> None:
    """The machine's clock, which the heartbeats are of, jumps; the watcher's own goes on."""
    clock, machine, target = Clock(), Clock(), console(terminal=True)
    with ProgressDisplay(runs, target, title="sizes", clock=clock, known={}) as display:
        for step in range(10, 100, 10):
            machine.now += jump_s if step == 50 else 1
            clock.now += 1
            put(runs[0], machine, step)
            display.update(told(runs[:1]))
    text = shown(target)
    assert "silent" not in text
    assert " 30 %" in text and "0:21 left" in text.rpartition("── sizes")[2]


def test_only_runs_with_a_slot_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """10,000 runs, most of them there already: nothing but those that go, and those that ended, is read."""
    runs = [RunDir(tmp_path / "runs" / f"{index:05d}") for index in range(10_000)]
    for run in runs[:50]:
        run.path.mkdir(parents=True)
        put(run, Clock(), 300, "done")
    read: list[str] = []
    original = RunDir.status
    monkeypatch.setattr(RunDir, "status", lambda self: (read.append(self.name), original(self))[1])
    clock, target = Clock(), console()
    with ProgressDisplay(runs, target, title="many", clock=clock, known={run.name: "done" for run in runs[:50]}) as display:
        assert read == []
        put(runs[40], clock, 5)
        for _ in range(10):
            clock.now += 1
            display.update(told(runs[40:41], runs[:40]))  # a driver that found them done says so
        assert set(read) == {"00040"} and len(read) <= 11
        display.update(told([], runs[40:41]))
    assert set(read) == {"00040"}
    assert "many: 10000 runs, 50 of them done already" in shown(target)
    assert display._monitor.counts() == {"done": 49, "waiting": 9950, "interrupted": 1}


def test_a_terminal_that_changes_its_size_is_drawn_anew(runs: list[RunDir]) -> None:
    clock, target = Clock(), console(terminal=True)
    put(runs[0], clock, 10)
    with ProgressDisplay(runs, target, title="sizes", clock=clock, known={}) as display:
        display.update(told(runs[:1]))
        put(runs[0], clock, 300, "done", "ended")
        clock.now += 1
        display.update(told([], runs[:1]))
        target.size = (50, 15)  # type: ignore[assignment]
        clock.now += 1
        display.update(told([]))
    after = shown(target).rpartition("\x1b[2J")[2]
    assert "0000-t0-s0: done" in after  # the last endings are said again
    assert "─" * 30 in after and all(len(line) <= 50 for line in after.splitlines() if "\x1b" not in line)


def test_what_the_attempt_warns_of_is_told_once_and_at_the_end(runs: list[RunDir]) -> None:
    clock, target = Clock(), console(200)
    with ProgressDisplay(runs[:1], target, clock=clock) as display:
        for step in range(0, 300, 50):
            put(runs[0], clock, step, warning="hardly learned: loss_box 0.8 → 0.7" if step >= 150 else "")
            display.update()
            clock.now += 2
        put(runs[0], clock, 300, "done", "ended", warning="hardly learned: loss_box 0.8 → 0.62")
    lines = shown(target).splitlines()
    assert [line for line in lines if "learned" in line] == [
        "0000-t0-s0: warning: hardly learned: loss_box 0.8 → 0.7",
        "0000-t0-s0: done, hardly learned: loss_box 0.8 → 0.62",
    ]


def test_what_the_attempt_found_at_its_start_is_told_once(runs: list[RunDir]) -> None:
    clock, target = Clock(), console(200)
    with ProgressDisplay(runs[:1], target, clock=clock) as display:
        for step in range(0, 100, 20):
            put(runs[0], clock, step, note="90 of 93 tensors loaded" if step else "")
            display.update()
            clock.now += 2
    assert shown(target).count("0000-t0-s0: 90 of 93 tensors loaded") == 1


def test_it_is_told_of_a_run_that_ended_before_the_next_look(runs: list[RunDir]) -> None:
    clock, target = Clock(), console(200)
    with ProgressDisplay(runs[:1], target, clock=clock):
        put(runs[0], clock, 300, "done", "ended", note="90 of 93 tensors loaded")
    lines = shown(target).splitlines()
    assert [line.partition(": ")[2][:4] for line in lines] == ["90 o", "done"]


@pytest.mark.parametrize("state", ["interrupted", "failed"])
def test_how_an_earlier_driver_left_a_run_is_not_said_again(runs: list[RunDir], state: State) -> None:
    clock, target = Clock(), console()
    put(runs[0], clock, 20, state, "ended", reason="asked to stop (SIGTERM)")
    with ProgressDisplay(runs, target, title="t", clock=clock, known={runs[0].name: state}) as display:
        display.update(Situation(running=runs[:1]))
        clock.now += 1
        put(runs[0], clock, 21, attempt=2)
        display.update(Situation(running=runs[:1]))
        clock.now += 1
        put(runs[0], clock, 22, "interrupted", "ended", attempt=2, reason="asked to stop (SIGTERM)")
        display.update(Situation(running=[], ended=runs[:1]))
    assert shown(target).splitlines()[1:] == [
        "0000-t0-s0: resumed, attempt 2",
        "0000-t0-s0: interrupted after step 22: asked to stop (SIGTERM)",
    ]


def test_a_run_that_is_pruned_without_a_directory_does_not_wait(tmp_path: Path) -> None:
    monitor = SweepMonitor([RunDir(tmp_path / name) for name in ("a", "b")], known={})
    monitor.mark_pruned([RunDir(tmp_path / "b")])
    assert list(monitor.look([], [RunDir(tmp_path / "b")])) == [] and monitor.counts() == {"waiting": 1, "pruned": 1}
