"""`runner status` as a command: on a sweep that another process drives, on runs, on nothing."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from support.finished import make_run

from runner.cli.main import main
from runner.store.events import RunEnded, RunStarted
from runner.store.journal import Journal
from runner.store.lock import hold
from runner.store.run_dir import RunDir, Status
from runner.sweep.sweep_dir import SweepDir


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SweepDir:
    """One run done, one running for the second time, one out of memory, six that wait."""
    monkeypatch.setenv("COLUMNS", "80")
    folder = tmp_path / "sizes [ü]"
    names = [f"{number:04d}-batch_size={number}-s0" for number in range(9)]
    make_run(folder, name=names[0], ap=0.412)
    running, failed = RunDir(folder / "runs" / names[1]), RunDir(folder / "runs" / names[2])
    for run in (running, failed):
        run.path.mkdir()
    now = time.time()
    running.write_status(Status("running", None, 2, 120, 300, 1.0, now, os.getpid(), {}, "training"))
    failed.write_status(Status("failed", "the GPU is [full]", 1, 3, 300, 1.0, now, 1, {}, "ended", "out_of_memory"))
    runs = [{"id": name, "trial": index} for index, name in enumerate(names)]
    (folder / "plan.json").write_text(json.dumps({"spec": {"metric": {"name": "bbox/AP", "goal": "maximize"}}, "runs": runs}))
    journal = Journal(folder / "journal.jsonl")
    journal.append(RunStarted(names[1], 1, 0, "key", 2))
    journal.append(RunEnded(names[2], 2, 0, "key", "failed", reason="the GPU is [full]"))
    journal.close()
    return SweepDir(folder)


def test_a_sweep_that_is_driven(sweep: SweepDir, capsys: pytest.CaptureFixture[str]) -> None:
    with hold(sweep.lock):
        assert main(["status", str(sweep.path)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "sizes [ü] 9 runs: 1 done, 1 running, 6 waiting, 1 infeasible" in out
    assert f"driver: process {os.getpid()} on " in out
    assert "best so far: 0000-batch_size=0: bbox/AP 0.412" in out
    assert "0001-batch_size=1-s0 step 120/300 40 % attempt 2" in out
    assert "waiting: 0003-batch_size=3-s0, 0004-batch_size=4-s0, 0005-batch_size=5-s0 and 3 more" in out
    assert "1 × infeasible: out of memory: the GPU is [full] (0002-batch_size=2-s0)" in out
    assert "0001-batch_size=1-s0 started: attempt 2" in out and "0002-batch_size=2-s0 ended: failed: the GPU is [full]" in out


def test_a_sweep_without_a_driver(sweep: SweepDir, capsys: pytest.CaptureFixture[str]) -> None:
    with hold(sweep.lock):
        pass
    assert main(["status", str(sweep.path)]) == 0
    assert "driver: none; continue: runner resume " in capsys.readouterr().out


def test_json(sweep: SweepDir, capsys: pytest.CaptureFixture[str]) -> None:
    with hold(sweep.lock):
        assert main(["status", "--json", str(sweep.path)]) == 0
    answer = json.loads(capsys.readouterr().out)
    (place,) = answer["places"]
    assert answer["format"] == 1 and place["driver"]["pid"] == os.getpid() and place["is_sweep"] is True
    assert place["runs"] == {"done": 1, "running": 1, "waiting": 6, "infeasible": 1}
    assert place["best"] == {"trial": "0000-batch_size=0", "value": 0.412, "runs": 1}
    (running,) = place["running"]
    assert (running["run"], running["attempt"], running["step"]) == ("0001-batch_size=1-s0", 2, 120)
    assert place["failures"][0]["cause"] == "out_of_memory" and len(place["waiting"]) == 6 and len(place["journal"]) == 2


def test_a_run_by_itself_and_a_folder_of_several(sweep: SweepDir, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(sweep.path.parent / "alone", name="0001-baseline-s0", state="interrupted", reason="asked to stop")
    assert main(["status", str(run.path)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "1 run: 1 interrupted" in out and "asked to stop" in out and "driver" not in out
    assert main(["status", str(sweep.path.parent)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "9 runs: 1 done" in out and "1 run: 1 interrupted" in out and "last events" not in out


def test_what_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(tmp_path / "nothing")]) == 2
    assert main(["status", str(tmp_path)]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert (
        first.endswith(
            "nothing: no such directory; `runner ls` lists the runs; a sweep makes its directory when it starts: start the sweep first"
        )
        and "neither a sweep nor a run" in second
    )
