"""Two processes that want one run: one works, the other says who does and ends; nothing is recorded twice."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from runner.core.lock import holder
from runner.monitor.overview import read_runs
from runner.monitor.progress import run_status
from runner.results.collect import collect
from runner.store.events import RunBlocked
from runner.store.run_dir import RunDir
from runner.sweep.fake_sweep import FakeSweep, steps_twice, wait_for

WORKED_ON = r"process \d+ on \S+ \(since [^)]*\) is working on this run right now; wait for it, or stop it: kill \d+"


def start_run(stage: FakeSweep, *arguments: str) -> RunDir:
    """A run by itself, seen to train."""
    stage.command("train", "-c", "config.yml", "--run-dir", "a run", *arguments)
    run = RunDir(stage.folder / "a run")
    wait_for(lambda: run.status().step >= 3, "the run trains")
    return run


def test_resumed_twice(stage: FakeSweep) -> None:
    stage.write(config={"max_iters": 120, "step_s": 0.04})
    run = start_run(stage)
    second = stage.finish(stage.command("train", "-r", "a run"))
    assert second.code == 2 and re.search(WORKED_ON, second.err) and len(second.err.splitlines()) == 1, second
    stage.drivers[0].send_signal(signal.SIGTERM)
    assert stage.finish(stage.drivers[0]).code == 130
    both = [stage.command("train", "-r", "a run") for _ in range(2)]
    ended = [stage.finish(process) for process in both]
    late = ["this run had ended already; nothing was started" in each.err for each in ended]  # on a slow machine
    assert sorted(each.code for each in ended) == [0, 2] or sorted(late) == [False, True], ended
    assert run.status().state == "done" and run.status().attempt == 2 and steps_twice(run) == []


def test_begun_twice_at_once(stage: FakeSweep) -> None:
    stage.write(config={"max_iters": 80, "step_s": 0.04})
    ended = [stage.finish(each) for each in [stage.command("train", "-c", "config.yml", "--run-dir", "r") for _ in range(2)]]
    assert sorted(each.code for each in ended) == [0, 2], ended
    run = RunDir(stage.folder / "r")
    assert run.status().state == "done" and run.status().attempt == 1 and steps_twice(run) == []


def test_the_next_name_is_given_away_once(stage: FakeSweep) -> None:
    stage.write(config={"max_iters": 5})
    ended = [stage.finish(each) for each in [stage.command("train", "-c", "config.yml") for _ in range(3)]]
    assert [each.code for each in ended] == [0, 0, 0], ended
    assert sorted(run.id for run in collect([stage.folder])) == [f"000{number}-baseline-s0" for number in (1, 2, 3)]


def test_a_run_of_a_sweep_that_another_process_works_on(stage: FakeSweep) -> None:
    """The sweep leaves it, does everything else, and goes on with it when it is free."""
    config, keys = {"max_iters": 300, "step_s": 0.02}, {"vary": {"parameters.lr": [0.01]}, "seeds": [0]}
    stage.write(config=config, **keys)
    driver = stage.start()
    stage.worker(step=5)
    held = stage.finish(stage.command("train", "-r", "runs/sweep/runs/0000-baseline-s0"))
    assert held.code == 2 and re.search(WORKED_ON, held.err), held
    driver.send_signal(signal.SIGTERM)
    assert stage.finish(driver).code == 130
    other = stage.command("train", "-r", "runs/sweep/runs/0000-baseline-s0")
    stage.worker(step=5, attempt=2)
    stage.write(config={**config, "step_s": 0.0}, **keys)
    ended = stage.finish(stage.start())
    assert ended.code == 0 and "2 of 2 runs done" in ended.out, ended
    assert stage.finish(other).code == 0
    assert all(steps_twice(stage.run(name)) == [] for name in stage.sweep.run_names())
    assert [event.run for event in stage.events(RunBlocked)] == ["0000-baseline-s0"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_lock_lasts_as_long_as_the_attempt(stage: FakeSweep, number: signal.Signals) -> None:
    """Also where the driver is gone; and one answer everywhere at once: no heartbeat has to grow old."""
    stage.write(config={"max_iters": 200, "step_s": 0.05})
    run = start_run(stage)
    assert (worker := holder(run.lock)) is not None and worker.pid == run.status().pid
    assert run_status(run).state == collect([run.path])[0].state == "running" and read_runs(run.path, [run]).counts == {"running": 1}
    os.kill(worker.pid if number == signal.SIGKILL else stage.drivers[0].pid, number)
    stage.finish(stage.drivers[0])
    assert holder(run.lock) is None


def test_a_killed_run_is_interrupted_everywhere_at_once(stage: FakeSweep) -> None:
    stage.write(config={"max_iters": 60, "step_s": 0.05})
    run = start_run(stage)
    stage.drivers[0].kill()
    stage.finish(stage.drivers[0])
    wait_for(lambda: holder(run.lock) is None, "the worker has ended", 10)
    assert run.status().state == "running"  # what its file says
    for command, words in ((["ls", "a run"], "interrupted"), (["compare", "a run"], "interrupted"), (["status", "a run"], "interrupted")):
        shown = stage.finish(stage.command(*command)).out
        assert words in shown and "running" not in shown, shown
    assert stage.finish(stage.command("train", "-r", "a run")).code == 0 and steps_twice(run) == []


def test_predictions_do_not_go_into_a_run(stage: FakeSweep, tmp_path: Path) -> None:
    stage.write(config={"max_iters": 5})
    start = stage.finish(stage.command("train", "-c", "config.yml", "--run-dir", "r"))
    assert start.code == 0, start
    (stage.folder / "x.png").write_bytes(b"")
    ended = stage.finish(stage.command("predict", "r", "x.png", "--output", "r", "--force"))
    assert ended.code == 2 and "r: is the directory of a run; give another --output" in ended.err, ended
