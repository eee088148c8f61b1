"""`runner stop`: what it refuses, and what it asks the driver for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.finished import make_run

from runner.cli.main import main
from runner.store.commands import Command
from runner.store.control import Inbox
from runner.store.lock import hold, hold_run
from runner.store.run_dir import State
from runner.sweep.sweep_dir import SweepDir


@pytest.fixture
def sweep(tmp_path: Path) -> SweepDir:
    """A sweep of three trials, of which the first is done and the others have no directory yet."""
    make_run(tmp_path / "s", name="0000-baseline-s0", ap=0.4)
    runs = [{"id": name, "trial": number} for number, name in enumerate(["0000-baseline-s0", "0001-lr=1-s0", "0002-lr=2-s0"])]
    (tmp_path / "s" / "plan.json").write_text(json.dumps({"spec": {"seeds": [0]}, "runs": runs}))
    return SweepDir(tmp_path / "s")


@pytest.mark.parametrize("given,target", [("2", "2"), ("0001", "1"), ("0002-lr=2-s0", "0002-lr=2-s0")])
def test_a_planned_trial_or_run_without_a_directory_is_stopped(sweep: SweepDir, given: str, target: str) -> None:
    inbox = Inbox(sweep.control)
    with hold(sweep.lock):
        assert main(["stop", str(sweep.path), given]) == 0
    assert inbox.read() == [Command("stop", target)]


def test_what_is_unknown_or_has_ended_is_refused(sweep: SweepDir, capsys: pytest.CaptureFixture[str]) -> None:
    with hold(sweep.lock):
        assert [main(["stop", str(sweep.path), given]) for given in ("3", "0002-lr=3-s0", "0")] == [2, 2, 2]
    unknown, near, ended = capsys.readouterr().err.splitlines()
    assert "unknown trial or run '3': trials: 0, 1, 2" in unknown and "'0002-lr=2-s0'" in near and "0 has ended already" in ended
    assert not sweep.control.exists()


@pytest.mark.parametrize("state", ["done", "interrupted", "pending"])
def test_a_run_that_no_process_works_on_is_not_asked(tmp_path: Path, state: State, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path, state=state)
    assert main(["stop", str(run.path)]) == 2
    said = capsys.readouterr().err
    assert f"no process works on this run, which is {state}" in said and ("runner resume" in said) == (state != "done")
    assert not run.control.exists()
    with hold_run(run):
        assert main(["stop", str(run.path)]) == 0
    assert '"stop"' in run.control.read_text()
