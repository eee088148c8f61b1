"""Workers and drivers that are killed, at a chosen moment or at random ones."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from runner.core.lock import holder
from runner.store.events import RunEnded, RunRetried, RunStarted
from runner.store.records import Record
from runner.store.run_dir import RunDir
from runner.sweep.fake_sweep import FakeSweep, results_of, steps_twice, wait_for

Check = Callable[[FakeSweep], None]
KILLS = int(os.environ.get("RUNNER_TEST_KILLS", "5"))
"""Of the driver, at random moments; the whole drill has fifty: RUNNER_TEST_KILLS=50."""
OPTUNA: dict[str, Any] = {
    "design": "optuna",
    "vary": {},
    "space": {"parameters.lr": {"low": 0.001, "high": 0.1, "log": True}},
    "sampler": {"name": "TPESampler", "n_startup_trials": 3},
    "budget": {"runs": 10},
    "confirm_seeds": 2,
}


def marks(run: RunDir) -> list[Record]:
    """Where each attempt of a run went on from."""
    records = [Record.from_line(line) for line in run.metrics.read_bytes().splitlines()]
    return [record for record in records if record is not None and record.resumed]


def test_a_killed_worker_is_seen_and_goes_on_from_its_checkpoint(stage: FakeSweep, undisturbed: FakeSweep, check: Check) -> None:
    stage.write()
    driver, run = stage.start(), stage.run("0001-lr=0.01-s1")
    worker = stage.worker(run.name, step=12)
    at = run.status().step
    worker.kill()
    killed = time.time()
    (event,) = wait_for(lambda: stage.events(RunRetried), "the death is seen")
    assert event.run == run.name and event.time - killed < 5
    assert stage.finish(driver).code == 0
    check(stage)
    first, second = marks(run)
    assert (first.attempt, second.attempt) == (1, 2) and at - 5 <= second.step and steps_twice(run) == []
    assert results_of(stage.sweep) == results_of(undisturbed.sweep)


def _drives(pid: int, stage: FakeSweep) -> bool:
    there = holder(stage.sweep.lock)
    return there is not None and there.pid == pid


def kill_at_random(stage: FakeSweep, kills: int, seed: int) -> int:
    """Start drivers and kill them, until that many were killed and another one has come to the end; how many were killed."""
    numbers, killed = random.Random(seed), 0
    while True:
        driver = stage.start()
        if killed == kills:
            ended = stage.finish(driver)
            assert ended.code == 0, ended.err
            return killed
        wait_for(lambda: driver.poll() is not None or _drives(driver.pid, stage), "the driver begins")  # noqa: B023
        time.sleep(numbers.uniform(0.0, 1.6))
        if driver.poll() is None:
            workers = psutil.Process(driver.pid).children(recursive=True)
            driver.send_signal(signal.SIGKILL)
            killed += 1
            driver.communicate()
            gone, alive = psutil.wait_procs(workers, timeout=10)
            assert alive == [], "10 s after the driver died"
        else:
            assert stage.finish(driver).code == 0, "a driver that was not killed"
            return killed


def ends_once(stage: FakeSweep) -> None:
    """Every run ended once, and no step is missing or stands twice."""
    ends = [event.run for event in stage.events(RunEnded)]
    assert len(ends) == len(set(ends))  # the driver may be killed before it writes one down
    for name in stage.sweep.run_names():
        run = stage.run(name)
        assert steps_twice(run) == []
        losses = [record.step for record in run.records() if "train/loss" in record.values]
        assert losses == list(range(1, 41)), name


def test_a_driver_killed_at_random_moments(stage: FakeSweep, check: Check) -> None:
    trials = 5 if KILLS <= 8 else KILLS // 2
    vary = {"parameters.lr": [0.001 * number for number in range(1, trials)]}
    config = {"step_s": 0.02 if KILLS <= 8 else 0.06}
    whole = FakeSweep(stage.folder.parent / "whole")
    whole.write(vary=vary)  # how long a step takes changes nothing
    assert whole.finish().code == 0
    stage.write(vary=vary, config=config)
    killed = kill_at_random(stage, KILLS, seed=20261122)
    assert killed >= min(KILLS, 4)
    check(stage)
    ends_once(stage)
    assert results_of(stage.sweep) == results_of(whole.sweep)
    numbers = {int(name[:4]) for name in stage.sweep.run_names()}
    assert numbers == set(range(len(numbers))) and len(numbers) >= trials - 1  # one value may be the baseline's own
    print(f"{killed} kills")


def test_a_killed_driver_proposes_no_point_twice(stage: FakeSweep, check: Check) -> None:
    pytest.importorskip("optuna")
    stage.write(**OPTUNA, config={"step_s": 0.01 if KILLS <= 8 else 0.1})
    kill_at_random(stage, max(3, KILLS // 2), seed=1)
    check(stage)
    points = {}
    for name in stage.sweep.run_names():
        identity = stage.run(name).identity()
        assert identity is not None
        points[identity.trial] = json.dumps(dict(identity.overrides), sort_keys=True)
    assert sorted(points) == list(range(5)) and len(set(points.values())) == 5
    ends = [event.run for event in stage.events(RunEnded)]
    assert sorted(ends) == sorted(set(ends))
    for damage in (lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes()[:5000])):  # 14: rebuilt from the runs
        damage(stage.sweep.study)
        runs = stage.sweep.run_names()
        ended = stage.finish()
        assert ended.code == 0 and stage.sweep.run_names() == runs, ended.err
        with sqlite3.connect(stage.sweep.study) as database:
            assert sorted(number for (number,) in database.execute("SELECT number FROM trials")) == list(range(5))
        database.close()
    check(stage)


def test_nothing_is_left_when_the_driver_dies(stage: FakeSweep) -> None:
    stage.write(config={"step_s": 0.5})
    driver = stage.start()
    for name in ("0000-baseline-s0", "0000-baseline-s1"):
        stage.worker(name, step=1)
    processes = psutil.Process(driver.pid).children(recursive=True)
    assert len(processes) >= 2
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    _, alive = psutil.wait_procs(processes, timeout=10)
    assert alive == []


def test_retries_end_at_their_cap(stage: FakeSweep) -> None:
    stage.write(config={"faults": {"crash_at": 12}}, vary={"parameters.lr": [0.01]}, seeds=[0], resources={"concurrency": 2, "retries": 2})
    ended = stage.finish()
    assert ended.code == 1 and stage.states() == {"0000-baseline-s0": "failed", "0001-lr=0.01-s0": "failed"}
    status = stage.run("0000-baseline-s0").status()
    assert status.attempt == 3 and "failed after 3 attempts" in (status.reason or "") and "SIGKILL" in ended.err
    assert len(stage.events(RunRetried)) == 4
    assert stage.finish().code == 0 or len(stage.events(RunStarted)) == 6  # a failed run is not started again unasked
    retried = stage.finish(stage.command("retry", stage.sweep.path, "--failed"))
    assert retried.code == 0, retried.err
    stage.finish()
    assert stage.run("0000-baseline-s0").status().attempt == 6
