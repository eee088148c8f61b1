"""Runs observed by their status files: pace, time left, silence, and how little is read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.finished import make_run

from runner.monitor.sweep_monitor import SweepMonitor
from runner.store.records import Record, RecordWriter
from runner.store.run_dir import RunDir, State, Status


class Clock:
    def __init__(self) -> None:
        self.now = 1_780_000_000.0

    def __call__(self) -> float:
        return self.now


def put(run: RunDir, clock: Clock, step: int, state: State = "running", phase: str = "training", attempt: int = 1, **more: Any) -> None:
    run.write_status(replace(Status(state, None, attempt, step, 300, step / 50, clock.now, 1, {}, phase), **more))


@pytest.fixture
def runs(tmp_path: Path) -> list[RunDir]:
    return [make_run(tmp_path, trial, state="pending", label=f"t{trial}") for trial in range(3)]


def test_a_resumed_run_has_a_new_pace(runs: list[RunDir]) -> None:
    clock = Clock()
    monitor = SweepMonitor(runs[:1], clock)
    for step in range(1, 100):
        put(runs[0], clock, step)
        list(monitor.look())
        clock.now += 1
    assert monitor.runs[0].live(clock.now).left_s == pytest.approx(201)
    clock.now += 10_000
    put(runs[0], clock, 50, attempt=2)
    list(monitor.look())
    assert monitor.runs[0].live(clock.now).left_s is None


def test_many_runs_cost_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a driver that names them, a few runs are read at a time, all of them in turn."""
    read: list[str] = []
    original = RunDir.status
    monkeypatch.setattr(RunDir, "status", lambda self: (read.append(self.name), original(self))[1])
    monitor = SweepMonitor([RunDir(tmp_path / f"run{index}") for index in range(5000)])
    for _ in range(10):
        list(monitor.look())
    assert len(read) == len(set(read)) == 500
    (tmp_path / "run4999").mkdir()
    put(RunDir(tmp_path / "run4999"), Clock(), 5)
    for _ in range(101):
        list(monitor.look())
    assert [run.name for run in monitor.running()] == ["run4999"]


def test_a_run_that_is_silent_since_the_clock_was_set_is_pointed_out_in_time(runs: list[RunDir]) -> None:
    clock, machine = Clock(), Clock()
    monitor = SweepMonitor(runs, clock, known={})
    machine.now += 3600
    put(runs[0], machine, 10)
    list(monitor.look(runs[:1]))
    for passed, expected in ((29, None), (31, 31.0)):
        clock.now = 1_780_000_000.0 + passed
        list(monitor.look(runs[:1]))
        assert monitor.runs[0].live(clock.now).silent_s == expected


def test_a_run_that_was_cut_off_is_not_running(runs: list[RunDir]) -> None:
    monitor = SweepMonitor(runs, Clock(), known={runs[0].name: "running", runs[1].name: "interrupted"})
    assert monitor.counts() == {"waiting": 1, "interrupted": 2} and monitor.running() == []
    put(runs[0], Clock(), 5, attempt=2)
    list(monitor.look(runs[:1]))
    assert monitor.counts() == {"running": 1, "waiting": 1, "interrupted": 1}


def test_time_left_follows_the_runs_that_have_ended(runs: list[RunDir], tmp_path: Path) -> None:
    clock = Clock()
    monitor = SweepMonitor([*runs, *(RunDir(tmp_path / f"later{index}") for index in range(7))], clock, known={})
    assert monitor.time_left_s() is None
    put(runs[0], clock, 0)
    list(monitor.look(runs[:1]))
    clock.now += 100
    put(runs[0], clock, 300, "done")
    list(monitor.look(runs[1:3], runs[:1]))
    clock.now += 20
    list(monitor.look(runs[1:3]))
    assert monitor.time_left_s(slots=2) == pytest.approx((80 + 80 + 7 * 100) / 2)
    assert monitor.time_left_s(slots=2, more=2) == pytest.approx((80 + 80 + 9 * 100) / 2)


def test_the_metric_so_far_is_read_as_it_comes(runs: list[RunDir]) -> None:
    clock = Clock()
    monitor = SweepMonitor(runs[:1], clock, known={})
    run = monitor.runs[0]
    assert run.live(clock.now, "bbox/AP").value is None
    writer = RecordWriter(runs[0].metrics)
    for step, value in ((50, 0.1), (100, 0.2)):
        writer.write(Record(1, step, 1.0, clock.now, {"bbox/AP": value}, kind="evaluation"))
        assert run.live(clock.now, "bbox/AP").value == value
    with open(runs[0].metrics, "ab") as file:
        file.write(b'{"attempt": 1, "step": 150, "epo')
    assert run.live(clock.now, "bbox/AP").value == 0.2
    writer.close()
    writer = RecordWriter(runs[0].metrics)
    writer.write(Record(2, 60, 1.0, clock.now, resumed=True))
    writer.close()
    assert run.live(clock.now, "bbox/AP").value == 0.1  # what came after step 60 does not count any more
    runs[0].metrics.write_text("")
    assert run.live(clock.now, "bbox/AP").value is None
