"""What else may happen to a sweep: a second driver, a full disk, a hang, late results, a clock that is set, numbers that are none."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from runner.results.collect import collect
from runner.store.events import CommandReceived, LateResultIgnored, RunEnded, RunRetried, RunStarted
from runner.store.run_dir import Status
from runner.sweep.fake_sweep import FakeSweep, results_of, wait_for
from runner.sweep.verify import verify

Check = Callable[[FakeSweep], None]
RUNS = ["0000-baseline-s0", "0000-baseline-s1"]


def test_a_second_driver_is_told_who_is_there(stage: FakeSweep, check: Check) -> None:
    stage.write(config={"step_s": 0.1})
    first = stage.start()
    stage.worker(step=1)
    second = stage.finish()
    assert second.code == 2 and f"process {first.pid} on" in second.err and "Traceback" not in second.err
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert stage.sweep.lock.stat().st_size > 0
    assert any("lock" in finding.where and not finding.wrong for finding in verify(stage.sweep))
    stage.write(config={"step_s": 0.0})
    third = stage.finish()  # what the killed one left is taken over
    assert third.code == 0, third.err
    check(stage)


def test_a_late_result_of_a_pruned_trial(stage: FakeSweep) -> None:
    """The worker does not learn that its trial is pruned, and ends as done."""
    stage.write(vary={"parameters.lr": [0.01]}, seeds=[0], config={"step_s": 0.05})
    driver, run = stage.start(), stage.run(RUNS[0])
    worker = stage.worker(step=1)
    worker.suspend()
    asked = stage.finish(stage.command("stop", stage.sweep.path, "0"))
    assert asked.code == 0, asked.err
    wait_for(lambda: stage.events(CommandReceived), "the command is obeyed")
    wait_for(run.control.exists, "the run is asked to end")
    run.control.unlink()
    worker.resume()
    stage.finish(driver)
    assert run.status().state == "pruned"
    assert json.loads(run.status_file.read_text())["state"] == "done" and [event.run for event in stage.events(LateResultIgnored)] == [
        run.name
    ]
    assert not any(result.metrics for result in collect([run.path]) if result.state == "done")
    assert any("its trial had been pruned" in finding.what for finding in verify(stage.sweep))
    runs = len(stage.events(RunStarted))
    stage.finish()
    assert len(stage.events(RunStarted)) == runs and run.status().state == "pruned"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[FakeSweep, int], None]]:
    """Sets the largest file that the processes of a sweep may write, in bytes; -1: any size."""
    if not sys.platform.startswith("linux"):
        pytest.skip("limits of another process can be set on Linux only")

    def limit(stage: FakeSweep, size: int) -> None:
        driver = psutil.Process(stage.drivers[-1].pid)
        for process in [driver, *driver.children(recursive=True)]:
            try:
                _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (hard if size < 0 else size, hard))
            except (ProcessLookupError, PermissionError):
                continue

    yield limit


def test_a_full_disk_is_waited_for(stage: FakeSweep, undisturbed: FakeSweep, check: Check, small_disk: Callable[..., None]) -> None:
    stage.write()
    driver = stage.start()
    stage.worker(RUNS[1], step=3)
    small_disk(stage, 1500)
    wait_for(lambda: any(stage.run(name).status().cause == "disk_full" for name in stage.sweep.run_names()), "a worker finds no room")
    time.sleep(1.0)
    assert driver.poll() is None
    started = len([name for name in stage.sweep.run_names() if stage.run(name).status().attempt])
    small_disk(stage, -1)
    ended = stage.finish(driver)
    assert ended.code == 0 and "the disk is full" in ended.err, ended.err
    assert started <= 3
    found = verify(stage.sweep, repair=True)  # the journal could not be written either
    assert all(finding.repaired for finding in found if finding.wrong), found
    check(stage)
    assert results_of(stage.sweep) == results_of(undisturbed.sweep)


def test_a_full_disk_before_the_start(stage: FakeSweep) -> None:
    stage.write()
    folder = stage.folder / "runs" / "sweep"
    folder.mkdir(parents=True)
    (folder / "runs").write_text("a file in the place of a folder")
    ended = stage.finish()
    assert ended.code == 2 and "cannot be written" in ended.err and "Traceback" not in ended.err, ended.err


@pytest.mark.parametrize(("limit", "cause"), [("stall", "hung"), pytest.param("timeout", "timeout", marks=pytest.mark.exhaustive)])
def test_a_hung_run_is_ended_and_says_where(stage: FakeSweep, limit: str, cause: str) -> None:
    resources = {"concurrency": 2, "retries": 1, limit: "3s"}
    faults = {"hang_at": 12, "only_attempt": 1}
    stage.write(config={"faults": faults}, vary={"parameters.lr": [0.01]}, seeds=[0], resources=resources)
    ended = stage.finish()
    states = set(stage.states().values())
    log = stage.run(RUNS[0]).log.read_text()
    assert "Current thread" in log and "_go_wrong" in log, log
    if limit == "stall":
        assert ended.code == 0 and states == {"done"} and [event.cause for event in stage.events(RunEnded)] == [None, None]
        assert all("no sign of life" in event.reason for event in stage.events(RunRetried))
    else:
        assert ended.code == 1 and states == {"failed"} and {event.cause for event in stage.events(RunEnded)} == {cause}


CLOCK = """
import os, time
_true, _file = time.time, os.environ["SHIFT_FILE"]
def _shifted():
    try:
        with open(_file) as file:
            return _true() + float(file.read() or 0)
    except (OSError, ValueError):
        return _true()
time.time = _shifted
"""


def test_a_clock_that_is_set_changes_nothing(stage: FakeSweep, undisturbed: FakeSweep, check: Check, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(CLOCK)
    shift = tmp_path / "shift"
    stage.env = {"SHIFT_FILE": str(shift), "PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), str(Path.cwd())])}
    resources = {"concurrency": 2, "stall": "20s", "timeout": "10m"}
    stage.write(config={"step_s": 0.05}, resources=resources)
    driver = stage.start()
    stage.worker(RUNS[1], step=3)
    for hours in (1, -1):
        before = {name: stage.run(name).status().step for name in stage.sweep.run_names()}
        shift.write_text(str(hours * 3600))
        wait_for(lambda: any(stage.run(name).status().step > step for name, step in before.items()), "steps go on")  # noqa: B023
    driver.kill()  # in the past
    driver.communicate()
    shift.write_text("3600")
    stage.write(config={"step_s": 0.0}, resources=resources)
    ended = stage.finish()
    assert ended.code == 0, ended.err
    check(stage)
    assert {event.cause for event in stage.events(RunEnded)} == {None} and stage.events(RunRetried) == []
    assert results_of(stage.sweep) == results_of(undisturbed.sweep)


def test_a_live_worker_is_told_from_a_process_with_its_number(copied: FakeSweep) -> None:
    """Whatever the clock says: the heartbeat is from the future, from the past, or the number is another process's by now."""
    from runner.core.process import process_mark
    from runner.monitor.progress import is_alive

    mark = process_mark(os.getpid())
    if not mark:
        pytest.skip("this system does not tell processes apart")
    for heartbeat in (0.0, time.time() - 3600, time.time() + 3600):
        status = Status("running", attempt=1, pid=os.getpid(), heartbeat=heartbeat, process=mark)
        assert is_alive(status) and not is_alive(replace(status, pid=1))
        assert not is_alive(replace(status, process=mark[:-1] + ("0" if mark[-1] != "0" else "1")))


NAMES = [
    'it\'s "quoted"',
    "ünïcödé 漢字 🙂",
    "--help",
    pytest.param("with spaces", marks=pytest.mark.exhaustive),
    pytest.param("-o", marks=pytest.mark.exhaustive),
]


@pytest.mark.parametrize("name", NAMES)
def test_directories_with_difficult_names(stage: FakeSweep, name: str, check: Check) -> None:
    stage.write(vary={"parameters.lr": [0.01]}, seeds=[0], config={"max_iters": 10, "step_s": 0})
    ended = stage.finish(stage.command("sweep", "sweep.yml", f"--dir={name}/sweep"))
    assert ended.code == 0, ended.err
    elsewhere = FakeSweep(stage.folder / "other")
    (elsewhere.folder / "runs").mkdir(parents=True)
    (stage.folder / name / "sweep").rename(elsewhere.sweep.path)
    check(elsewhere)
    assert "nothing is wrong" in stage.finish(stage.command("verify", elsewhere.sweep.path)).out


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes into a read-only directory")
def test_a_read_only_directory(stage: FakeSweep) -> None:
    stage.write()
    folder = stage.folder / "runs" / "sweep"
    folder.mkdir(parents=True)
    folder.chmod(0o500)
    try:
        ended = stage.finish()
    finally:
        folder.chmod(0o700)
    assert ended.code == 2 and "cannot be written" in ended.err and "Traceback" not in ended.err


def test_numbers_that_are_none(stage: FakeSweep) -> None:
    """The loss is NaN in one trial, the metric is not finite in another: the sweep goes on and neither has a value."""
    stage.write(
        vary={"faults.nan_at": [5], "parameters.lr": [100.0]},
        seeds=[0],
        config={"faults": {"only_attempt": 1}, "metrics": {"bbox/AP": "parameters.lr * 1e307 * step"}, "max_iters": 10},
    )
    ended = stage.finish()
    assert ended.code == 1 and "Traceback" not in ended.err, ended.err
    states = {name[:4]: state for name, state in stage.states().items()}
    assert states == {"0000": "done", "0001": "failed", "0002": "done"}
    assert [event.cause for event in stage.events(RunEnded) if event.trial == 1] == ["not_finite"] and not stage.events(RunRetried)
    results = {result.trial: result for result in collect([stage.sweep.path])}
    assert results[0].metrics == {"bbox/AP": pytest.approx(2e306)} and results[2].metrics == {} == results[1].metrics
    assert results[2].undefined == ("bbox/AP",)
    assert [finding.where[-9:] for finding in verify(stage.sweep)] == ["eval.json"]  # a note that it has no number
    compared = stage.finish(stage.command("compare", stage.sweep.path))
    assert compared.code == 0, compared.err


def test_a_metric_that_no_evaluation_has(stage: FakeSweep) -> None:
    stage.write(metric={"name": "bbox/AP75", "goal": "maximize"})
    ended = stage.finish()
    assert ended.code == 2 and "bbox/AP75" in ended.err and not stage.sweep.run_names()
