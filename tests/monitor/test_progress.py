"""Liveness of runs: by lock, process and heartbeat."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

import pytest

from runner.core.lock import take
from runner.core.process import process_mark
from runner.monitor.progress import CUT_OFF, is_worked_on, run_status, shows_life
from runner.store.run_dir import RunDir, Status

ELSEWHERE = f"not {platform.node()}"


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    (tmp_path / "run").mkdir()
    return RunDir(tmp_path / "run")


def status(*, host: str = "", age_s: float = 0.0, pid: int | None = None) -> Status:
    """A run that says it is running."""
    number = os.getpid() if pid is None else pid
    mark = process_mark(number) if host in ("", platform.node()) else "another-boot:5"
    return Status("running", attempt=1, step=5, heartbeat=time.time() - age_s, pid=number, process=mark, host=host)


@pytest.mark.parametrize(("age_s", "working"), [(0.0, True), (30.0, True), (300.0, False), (-300.0, False)])
def test_on_another_host_the_heartbeat_counts(run: RunDir, age_s: float, working: bool) -> None:
    """Neither a local process of the same number nor a lock that a local process has held since counts."""
    there = status(host=ELSEWHERE, age_s=age_s)
    take(run.lock).release()
    run.write_status(there)
    assert is_worked_on(run, there) == shows_life(there) == working
    shown = run_status(run)
    assert (shown.state, shown.reason) == (("running", None) if working else ("interrupted", CUT_OFF))


@pytest.mark.parametrize("host", ["", platform.node()])
def test_on_this_host_the_process_counts(run: RunDir, host: str) -> None:
    mine, gone = status(host=host, age_s=300.0), status(host=host, pid=2**22 + 1)
    assert shows_life(mine) and not shows_life(gone)
    assert is_worked_on(run, mine) and not is_worked_on(run, gone)  # no lock file: an older version's


def test_on_this_host_a_free_lock_counts(run: RunDir) -> None:
    take(run.lock).release()
    assert not is_worked_on(run, status(host=platform.node()))


def test_in_a_container_of_another_name_the_kernel_tells(run: RunDir) -> None:
    inside = Status("running", heartbeat=0.0, pid=os.getpid(), process=process_mark(os.getpid()), host=ELSEWHERE)
    assert shows_life(inside) == (process_mark(os.getpid()) != "")
