"""`runner verify` and `runner drill`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.cli.main import main
from runner.store.events import RecordsLost
from runner.sweep.drill import Drill
from runner.sweep.fake_sweep import Ended, FakeSweep, wait_for

Verify = Callable[..., Ended]


@pytest.fixture
def verify(capsys: pytest.CaptureFixture[str]) -> Verify:
    """`runner verify` on a sweep, in this process."""

    def run(sweep: FakeSweep, *options: str) -> Ended:
        capsys.readouterr()
        code = main(["verify", str(sweep.sweep.path), *options])
        return Ended(code, *capsys.readouterr())

    return run


def test_verify_says_what_where_and_what_to_do(copied: FakeSweep, check: Callable[[FakeSweep], None], verify: Verify) -> None:
    fine = verify(copied)
    assert (fine.code, fine.out) == (0, "6 runs: nothing is wrong\n")
    run = copied.run("0001-lr=0.01-s0")
    run.status_file.write_text("{")
    (copied.sweep.path / ".plan.json.abc.tmp").write_text("half")
    found = verify(copied)
    assert found.code == 1 and f"runs/{run.name}/status.json: is incomplete or damaged; --repair fixes it" in found.out
    assert "note: .: 1 file left by killed processes" in found.out and found.out.endswith("6 runs: 1 problem, 0 repaired\n")
    mended = verify(copied, "--repair", "--json")
    assert mended.code == 0 and [(entry["where"], entry["repaired"]) for entry in json.loads(mended.out)] == [
        (f"runs/{run.name}/status.json", True),
        (".", True),
    ]
    assert run.status().step == 40
    check(copied)


@pytest.mark.parametrize(
    "damage", [lambda path: path.write_bytes(b"\0" * 99), lambda path: path.write_text("{}\n", "utf-16"), Path.mkdir, os.mkfifo]
)
def test_lost_records_are_a_note_once_a_repair_has_recorded_the_loss(
    copied: FakeSweep, damage: Callable[[Path], None], verify: Verify
) -> None:
    run = copied.run("0001-lr=0.01-s0")
    metrics = f"runs/{run.name}/metrics.jsonl"
    run.metrics.unlink()
    damage(run.metrics)
    found = verify(copied)
    assert found.code == 1 and "what is missing is lost" in found.out and "--repair notes the loss in the journal" in found.out
    for options in (["--repair"], [], ["--repair"]):
        found = verify(copied, *options)
        assert found.code == 0 and f"note: {metrics}: ends before the first record" in found.out, found
        assert "its result is in eval.json; this loss is noted in the journal" in found.out
    assert len(copied.events(RecordsLost)) == 1
    ended = copied.finish()
    assert ended.code == 0 and "6 of 6 runs done" in ended.out, ended
    copied.run("0002-lr=0.04-s1").metrics.write_text("")
    assert verify(copied).code == 1  # another loss


def test_a_sweep_file_may_have_the_name_of_a_command(stage: FakeSweep) -> None:
    stage.write(vary={"parameters.lr": [0.01]})
    (stage.folder / "verify").write_text((stage.folder / "sweep.yml").read_text())
    planned = stage.finish(stage.command("sweep", "verify", "--dry-run"))
    assert planned.code == 0 and "0001-lr=0.01-s1" in planned.out, planned.err
    for name in ("verify", "drill"):
        assert f"usage: runner {name}" in stage.finish(stage.command(name, "--help")).out
    nowhere = stage.finish(stage.command("verify", "nowhere"))
    assert nowhere.code == 2 and "nowhere: no such directory" in nowhere.err


def test_a_sweep_with_a_driver_is_not_repaired(stage: FakeSweep) -> None:
    stage.write(config={"step_s": 0.5})
    driver = stage.start()
    stage.worker(step=1)
    refused = stage.finish(stage.command("verify", stage.sweep.path, "--repair"))
    assert refused.code == 2 and f"process {driver.pid} on" in refused.err
    looked = stage.finish(stage.command("verify", stage.sweep.path))
    assert "is working on this sweep" in looked.out and "Traceback" not in looked.err


def test_requests_reach_a_run_in_the_drivers_own_process(stage: FakeSweep) -> None:
    stage.write(config={"max_iters": 400, "step_s": 0.02}, seeds=[0])
    driver = stage.start("--launcher", "inline")

    def ask(*arguments: str) -> None:
        assert stage.finish(stage.command(*arguments)).code == 0

    def wait_until(name: str, state: str) -> None:
        wait_for(lambda: stage.run(name).status().state == state and stage.run(name).status().phase == "ended", f"{name} {state}", 30)

    stage.worker(step=1)
    ask("stop", "runs/sweep", "0")
    wait_until("0000-baseline-s0", "pruned")
    stage.worker("0001-lr=0.01-s0", step=1)
    ask("pause", "runs/sweep", "--save")
    wait_until("0001-lr=0.01-s0", "interrupted")
    ask("resume", "runs/sweep")
    stage.worker("0002-lr=0.04-s0", step=1)
    ask("stop", "runs/sweep")
    ended = stage.finish(driver, 30)
    assert ended.code == 130 and ended.err.endswith(
        "runner: interrupted: 0 of 3 runs done, 1 pruned; the same command continues, or: runner resume runs/sweep\n"
    ), ended
    assert stage.states() == {"0000-baseline-s0": "pruned", "0001-lr=0.01-s0": "interrupted", "0002-lr=0.04-s0": "interrupted"}


@pytest.mark.parametrize("options", [("--minutes", "inf"), ("--minutes", "nan"), ("--minutes", "-1"), ("--kills", "0")])
def test_a_drill_without_an_end_or_a_fault_is_refused(options: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["drill", *options]) == 2 and "above 0" in capsys.readouterr().err


@pytest.mark.slow
def test_a_drill(tmp_path: Path) -> None:
    said: list[str] = []
    report = Drill(tmp_path / "drill", minutes=0.1, seed=1, say=said.append).run()
    assert report.passed, report
    assert sum(fault.times for fault in report.faults) >= 1 and len(said) >= 3
