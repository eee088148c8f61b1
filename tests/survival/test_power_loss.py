"""Power loss: any file of a sweep cut at any byte is repaired, or said, and costs at most its last record."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import runner.sweep.verify_run
from runner.resolve import resolve
from runner.results.collect import collect
from runner.store.journal import read_journal
from runner.store.records import read_records
from runner.store.run_dir import RunDir
from runner.sweep.fake_sweep import FakeSweep, results_of
from runner.sweep.findings import VerifyFinding
from runner.sweep.history import read_history
from runner.sweep.plan import run_key
from runner.sweep.sweep_dir import SweepDir
from runner.sweep.verify import verify

RUN = "0001-lr=0.01-s1"
SMALL = [
    "plan.json",
    "sweep.yml",
    "journal.jsonl",
    "sweep.lock",
    f"runs/{RUN}/config.yml",
    f"runs/{RUN}/run.json",
    f"runs/{RUN}/status.json",
    f"runs/{RUN}/override.json",
    f"runs/{RUN}/metrics.jsonl",
    f"runs/{RUN}/eval.json",
    f"runs/{RUN}/control.jsonl",
    f"runs/{RUN}/checkpoints/index.json",
    f"runs/{RUN}/checkpoints/step-00000040.json",
]
NOT_MISSED = {"sweep.lock", f"runs/{RUN}/control.jsonl"}
"""Files whose content is not needed."""


@pytest.fixture(scope="module")
def one(undisturbed: FakeSweep, tmp_path_factory: pytest.TempPathFactory) -> SweepDir:
    """A finished sweep of one run, with every file there can be, so that looking at all of it takes milliseconds."""
    folder = tmp_path_factory.mktemp("one") / "sweep"
    sweep = SweepDir(shutil.copytree(undisturbed.sweep.path, folder))
    for name in sweep.run_names():
        if name != RUN:
            shutil.rmtree(sweep.runs / name)
    plan = sweep.plan()
    sweep.plan_file.write_text(json.dumps({**plan, "runs": [entry for entry in plan["runs"] if entry["id"] == RUN]}))
    lines = [line for line in sweep.journal.read_text().splitlines() if '"trial": 1,' in line and ('"run"' not in line or RUN in line)]
    sweep.journal.write_text("".join(f"{line}\n" for line in lines))
    run = RunDir(sweep.runs / RUN)
    lines = run.metrics.read_text().splitlines()
    run.metrics.write_text("".join(f"{line}\n" for line in lines if json.loads(line)["step"] in (0, 20, 40)))
    run.control.write_text('{"action": "stop", "reason": "x", "time": 1}\n')
    run.override_file.write_text('{"state": "interrupted", "reason": "killed", "attempt": 0, "time": 1.0}\n')
    sweep.lock.write_text('{"pid": 4194000, "host": "x", "since": 1.0}\n')
    return sweep


def wrong(sweep: SweepDir, *, repair: bool = False) -> list[VerifyFinding]:
    return [finding for finding in verify(sweep, repair=repair) if finding.wrong]


@pytest.mark.parametrize("stride", [23, pytest.param(1, marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize("file", SMALL)
def test_every_byte_of_a_small_file(one: SweepDir, file: str, stride: int, monkeypatch: pytest.MonkeyPatch) -> None:
    path, run = one.path / file, RunDir(one.runs / RUN)
    if file.endswith("config.yml"):
        key = run_key(resolve(path))
    else:  # the same config each time
        monkeypatch.setattr(runner.sweep.verify_run, "resolve", functools.cache(resolve))
    whole = path.read_bytes()
    records, events = read_records(run.metrics), list(read_journal(one.journal))
    assert wrong(one) == [] and len(records) == 4 and len(events) == 3
    try:
        for length in range(0, len(whole), stride):
            path.write_bytes(whole[:length])
            history = read_history(one)  # none of the readers minds
            assert all(past.trial.number == 1 for past in history.trials)
            found = verify(one)
            if length % (7 * stride) == 0:
                collect([one.path])
            near = f"runs/{RUN}" if file.startswith("runs/") else file
            said = any(finding.where.startswith(near) for finding in found)
            if not said and file.endswith("config.yml"):  # what it has lost are defaults
                assert run_key(resolve(path)) == key
            else:
                last_record = file.endswith("metrics.jsonl") and whole[length:].count(b"\n") == 1
                assert said or not whole[length:].strip() or last_record or file in NOT_MISSED, length
            kept = whole[:length].count(b"\n")
            if file.endswith("metrics.jsonl"):
                assert read_records(run.metrics)[: kept - 1] == records[: max(kept - 1, 0)]  # the first line is the mark of the attempt
            if file == "journal.jsonl":
                assert list(read_journal(one.journal))[:kept] == events[:kept]
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("file", [name for name in SMALL if name not in NOT_MISSED])
def test_what_is_repaired_is_right(one: SweepDir, file: str, tmp_path: Path) -> None:
    sweep = SweepDir(shutil.copytree(one.path, tmp_path / "sweep"))
    path = sweep.path / file
    size = path.stat().st_size
    left = {"plan.json", "sweep.yml", f"runs/{RUN}/config.yml", f"runs/{RUN}/metrics.jsonl"}  # the next start writes them, or it is lost
    for length in (0, 1, size // 2, size - 3):
        shutil.rmtree(sweep.path)
        shutil.copytree(one.path, sweep.path)
        sweep.lock.unlink()
        path.write_bytes(path.read_bytes()[:length])
        found = verify(sweep, repair=True)
        assert found, length
        if file not in left:
            assert all(finding.repaired for finding in found if finding.wrong), found
            assert [str(finding) for finding in verify(sweep) if "have no run" not in finding.what] == [], length


def test_a_sweep_goes_on_with_cut_files(copied: FakeSweep, undisturbed: FakeSweep, check: Callable[[FakeSweep], None]) -> None:
    """One file of each kind is cut in the middle, in a run of its own where it is a run's; then repaired, and driven again."""
    names = copied.sweep.run_names()
    cut = [
        "journal.jsonl",
        "plan.json",
        "sweep.yml",
        f"runs/{names[0]}/run.json",
        f"runs/{names[1]}/status.json",
        f"runs/{names[2]}/eval.json",
        f"runs/{names[3]}/config.yml",
        f"runs/{names[4]}/checkpoints/step-00000040.json",
        f"runs/{names[4]}/eval.json",
        f"runs/{names[5]}/checkpoints/index.json",
    ]
    for file in cut:
        path = copied.sweep.path / file
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    ended = copied.finish(copied.command("verify", copied.sweep.path, "--repair"))
    assert ended.code == 1, ended.err  # plan.json and sweep.yml are written by the next start
    assert [file for file in cut if file.replace("/step", ": step") not in ended.out] == ["sweep.yml"], ended.out  # plan.json had its hash
    again = copied.finish()
    assert again.code == 0, again.err
    check(copied)
    assert results_of(copied.sweep) == results_of(undisturbed.sweep)
