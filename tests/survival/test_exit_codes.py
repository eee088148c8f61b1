"""A driver that ends early, or whose surroundings go away: what it says, what it leaves, and that it does not end with 0."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from runner.core.lock import holder
from runner.store.events import TrialRefused
from runner.store.run_dir import RunDir
from runner.sweep.fake_sweep import FakeSweep, wait_for

SLOW = {"max_iters": 40, "step_s": 0.03}
FAST = {**SLOW, "step_s": 0.0}
"""The same runs, for what is left of them when the harm is done."""
ONE_SLOT = {"resources": {"concurrency": 1}, "seeds": [0], "vary": {"parameters.lr": [0.005, 0.08, 0.01]}}


def test_the_config_is_gone_while_the_sweep_runs(stage: FakeSweep) -> None:
    stage.write(config=SLOW, **ONE_SLOT)
    driver = stage.start()
    stage.worker(step=1)
    (stage.folder / "config.yml").unlink()
    ended = stage.finish(driver)
    assert ended.code == 1 and "runner: the config can no longer be read (" in ended.err and "config.yml" in ended.err, ended
    stage.write(config=FAST, **ONE_SLOT)
    again = stage.finish()
    assert again.code == 0 and "4 of 4 runs done" in again.out and "could not start" not in again.err, again


def test_the_config_is_changed_while_the_sweep_runs(stage: FakeSweep) -> None:
    """No run of the new config is taken for one of the old."""
    stage.write(config=SLOW, **ONE_SLOT)
    driver = stage.start()
    stage.worker(step=1)
    stage.write(config={**SLOW, "max_iters": 41}, **ONE_SLOT)
    ended = stage.finish(driver)
    assert ended.code == 1 and "changed while the sweep ran" in ended.err, ended
    stage.write(config=FAST, **ONE_SLOT)
    assert stage.finish().code == 0


def test_the_config_is_gone_while_optuna_proposes(stage: FakeSweep) -> None:
    pytest.importorskip("optuna")
    space = {"parameters.lr": {"low": 0.001, "high": 0.1, "log": True}}
    keys = {**ONE_SLOT, "design": "optuna", "vary": {}, "space": space, "budget": {"runs": 4}}
    stage.write(config=SLOW, **keys)
    driver = stage.start()
    stage.worker(step=1)
    (stage.folder / "config.yml").unlink()
    ended = stage.finish(driver)
    assert ended.code == 1 and "can no longer be read" in ended.err and stage.events(TrialRefused) == [], ended
    stage.write(config=FAST, **keys)
    again = stage.finish()
    assert again.code == 0 and "4 of 4 runs done" in again.out, again


def test_stop_of_a_trial_and_then_sigterm(stage: FakeSweep) -> None:
    stage.write(config={"max_iters": 30, "step_s": 0.1}, **ONE_SLOT)
    driver = stage.start()
    stage.worker(step=1)
    assert stage.finish(stage.command("stop", "runs/sweep", "0")).code == 0
    driver.send_signal(signal.SIGTERM)
    ended = stage.finish(driver)
    assert ended.code == 130 and ended.err.endswith(
        "interrupted: 0 of 4 runs done, 1 pruned; the same command continues, or: runner resume runs/sweep\n"
    ), ended
    stage.write(config={"max_iters": 30}, **ONE_SLOT)
    again = stage.finish()
    assert again.code == 0 and "3 of 4 runs done, 1 pruned" in again.out, again


@pytest.mark.parametrize("how,code,says", [("kill", 1, "the worker was killed by SIGKILL"), ("stop", 130, "interrupted")])
def test_a_run_whose_worker_was_killed_is_no_interruption(stage: FakeSweep, how: str, code: int, says: str) -> None:
    stage.write(config=SLOW)
    driver = stage.command("train", "-c", "config.yml", "--run-dir", "run")
    run = RunDir(stage.folder / "run")
    wait_for(lambda: run.status().step > 0, "its first step")
    if how == "kill":
        os.kill(run.status().pid, signal.SIGKILL)
    else:
        driver.send_signal(signal.SIGTERM)
    ended = stage.finish(driver)
    assert ended.code == code and f"runner: {says}" in ended.err and ended.err.endswith("; continue: runner resume run\n"), ended


def test_failures_stay_failures(stage: FakeSweep) -> None:
    """Also for the next driver, which does not try them again."""
    stage.write(config={"max_iters": 4}, trials=[{"faults.crash_at": 2}], vary={}, design="list", resources={"retries": 0}, seeds=[0])
    first = stage.finish()
    assert first.code == 1 and "1 of 2 runs done" in first.out, first
    second = stage.finish()
    assert (
        second.code == 1
        and "runner: failed before: 0001-crash_at=2-s0; let them start again: runner retry runs/sweep --failed" in second.err
    ), second


def test_a_budget_that_ends_a_fixed_design(stage: FakeSweep) -> None:
    stage.write(config=SLOW, **ONE_SLOT, budget={"hours": 1.0 / 3600})
    ended = stage.finish()
    assert ended.code == 1 and "not started: " in ended.err and "budget.hours is used up" in ended.err, ended


@pytest.mark.parametrize("how", ["moved", "deleted", "runs deleted", "replaced"])
def test_the_sweeps_directory_is_gone(stage: FakeSweep, how: str) -> None:
    stage.write(config={"max_iters": 100, "step_s": 0.03}, **ONE_SLOT)
    driver = stage.start()
    worker = stage.worker(step=12)
    old, new = stage.sweep.path, stage.folder / "moved here"
    if how == "deleted":
        while old.exists():
            shutil.rmtree(old, ignore_errors=True)
    elif how == "runs deleted":
        while stage.sweep.runs.exists():
            shutil.rmtree(stage.sweep.runs, ignore_errors=True)
    else:
        old.rename(new)
        if how == "replaced":
            old.mkdir()
    ended = stage.finish(driver, 30)
    assert ended.code == 1 and ended.err.count("the sweep's directory") == 1 and not worker.is_running(), ended
    assert (f"was moved to {new} while" in ended.err) == (how in ("moved", "replaced")), ended
    assert ended.err.count("Traceback") == 0
    left = list(old.rglob("*")) if how in ("moved", "deleted", "replaced") else list(stage.sweep.runs.rglob("*"))
    assert left == [] and old.exists() == (how in ("runs deleted", "replaced"))
    if how == "moved":
        stage.write(config={"max_iters": 100, "step_s": 0.0}, **ONE_SLOT)
        again = stage.finish(stage.start("--dir", "moved here"))
        assert again.code == 0 and "4 of 4 runs done" in again.out, again


@pytest.mark.parametrize("how", ["moved", "deleted"])
def test_a_run_directory_is_gone(stage: FakeSweep, how: str) -> None:
    stage.write(config={**SLOW, "max_iters": 400})
    driver = stage.command("train", "-c", "config.yml", "--run-dir", "r")
    run = stage.folder / "r"
    wait_for(lambda: (run / "checkpoints" / "index.json").exists(), "a checkpoint")
    if how == "moved":
        run.rename(stage.folder / "other")
    else:
        while run.exists():
            shutil.rmtree(run, ignore_errors=True)
    ended = stage.finish(driver, 30)
    assert ended.code == 1 and "its directory was moved or deleted while it ran" in ended.err and not run.exists(), ended
    if how == "moved":
        assert "interrupted" in stage.finish(stage.command("ls", "other")).out


# ------------------------------------------------------------------------------------------------------ its own output
@pytest.mark.parametrize("command", [["sweep", "sweep.yml"], ["train", "-c", "config.yml"]])
@pytest.mark.parametrize(
    "shell",
    [
        'exec "$0" "$@" > /dev/full 2>&1',
        '{ "$0" "$@" 2>&1; echo $? > code; } | head -n 0; exit $(cat code)',
        'exec "$0" "$@" >&- 2>&-',
        'exec "$0" "$@" > /dev/full 2>&-',
    ],
)
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has it")
def test_the_output_cannot_be_written(stage: FakeSweep, shell: str, command: list[str]) -> None:
    stage.write(config={"max_iters": 5}, vary={"parameters.lr": [0.01]}, seeds=[0])
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    argv = ["/bin/bash", "-c", shell, sys.executable, "-m", "runner", *command]
    done = subprocess.run(argv, cwd=stage.folder, env=env, timeout=120, check=False)
    assert done.returncode == 0
    if command[0] == "sweep":
        assert list(stage.states().values()) == ["done"] * 2
    else:
        assert [path.parent.name for path in stage.folder.rglob("eval.json")] == ["0001-baseline-s0"]


def test_an_answer_that_cannot_be_written_is_no_success(stage: FakeSweep) -> None:
    stage.write(config={"max_iters": 5})
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    argv = ["/bin/sh", "-c", 'exec "$0" -m runner config show -c config.yml > /dev/full', sys.executable]
    done = subprocess.run(argv, cwd=stage.folder, env=env, timeout=60, check=False, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and done.stderr == "runner: the output cannot be written: No space left on device\n"


@pytest.mark.parametrize("command", [["sweep", "sweep.yml"], ["train", "-c", "config.yml", "--run-dir", "r"]])
def test_the_terminal_is_closed(stage: FakeSweep, command: list[str]) -> None:
    """As when a connection breaks: the kernel sends SIGHUP, and the terminal answers with errors from then on."""
    stage.write(config={"max_iters": 30, "step_s": 0.02})
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(stage.folder)
        os.environ["PYTHONPATH"] = str(Path(__file__).resolve().parents[2])
        os.environ["TERM"] = "xterm"
        os.execv(sys.executable, [sys.executable, "-m", "runner", *command])
    lock = (stage.sweep.runs / "0000-baseline-s0" if command[0] == "sweep" else stage.folder / "r") / "run.lock"
    wait_for(lambda: holder(lock) is not None, "a run goes")
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    results = {path.parent.name for path in stage.folder.rglob("eval.json")}
    assert len(results) == (6 if command[0] == "sweep" else 1)
