"""Preparation of run directories that another machine may be working on."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import replace
from pathlib import Path

import pytest

from runner.resolve import resolve
from runner.store.lock import RunHeld
from runner.store.run_dir import RunDir, Status
from runner.sweep.plan import PlannedRun, plan_single
from runner.sweep.runs import prepare_run_dir


@pytest.fixture
def planned(tmp_path: Path) -> PlannedRun:
    """Make a run of the scripted trainer."""
    (tmp_path / "config.yml").write_text("{backend: fake, max_iters: 4, trackers: []}")
    planned = plan_single(resolve(tmp_path / "config.yml"), RunDir(tmp_path / "run"))
    assert prepare_run_dir(planned) == 0
    return planned


def test_a_run_that_shows_life_on_another_host_is_left_alone(planned: PlannedRun) -> None:
    host = f"not {platform.node()}"
    there = Status("running", attempt=2, heartbeat=time.time(), pid=os.getpid(), process="another-boot:5", host=host)
    planned.run_dir.write_status(there)
    with pytest.raises(RunHeld, match=f"process {os.getpid()} on {host} is working on this run right now; wait for it$"):
        prepare_run_dir(planned)
    planned.run_dir.write_status(replace(there, heartbeat=time.time() - 300))
    assert prepare_run_dir(planned) == 2
