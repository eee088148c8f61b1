"""`runner resume` and `runner pause`: sweeps with and without a driver, and runs, from any folder."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from runner.cli.main import main
from runner.cli.resume import recorded_request
from runner.core.errors import InputError
from runner.store.lock import hold
from runner.store.run_dir import RunDir
from runner.sweep.session_plan import SweepRequest
from runner.sweep.sweep_dir import SweepDir

CONFIG = {"backend": "fake", "max_iters": 4, "parameters": {"lr": 0.02}, "metrics": {"bbox/AP": "0.3 + parameters.lr"}}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a sweep file, and this process in it."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "fake.yml").write_text(yaml.safe_dump(CONFIG))
    (tmp_path / "in" / "rates.yml").write_text("{config: fake.yml, vary: {parameters.lr: [0.2]}}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lose(run: RunDir) -> None:
    """Delete a run, as if it had never been started."""
    shutil.rmtree(run.path)
    journal = run.path.parent.parent / "journal.jsonl"
    journal.write_text("".join(line for line in journal.read_text().splitlines(keepends=True) if run.name not in line))


def test_a_sweep_without_a_driver_continues_from_another_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["sweep", "in/rates.yml", "-o", "max_iters=5", "--set", "seeds=[0, 1]", "--launcher", "inline"]
    assert main(given) == 0
    plan = json.loads(Path("runs/rates/plan.json").read_text())
    assert plan["command"] == given and plan["cwd"] == str(folder)
    shutil.move("runs/rates", "moved here")
    lose(RunDir("moved here/runs/0001-lr=0.2-s1"))
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    capsys.readouterr()
    assert main(["resume", "../moved here"]) == 0
    out, err = capsys.readouterr()
    assert "4 of 4 runs done" in out and f"note: in {folder}, where the sweep was started" in err
    assert RunDir(folder / "moved here" / "runs" / "0001-lr=0.2-s1").status().step == 5 and not (folder / "runs" / "rates").exists()


def test_a_run_continues(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-c", "in/fake.yml", "--run-dir", "a run", "--launcher", "inline"]) == 0
    assert main(["resume", "a run"]) == 0
    out, err = capsys.readouterr()
    assert out.count("run: a run") == 2 and "this run had ended already" in err


def test_a_driver_is_asked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = made_by(folder / "runs" / "rates", "sweep", "in/rates.yml")
    with hold(sweep.lock):
        assert main(["pause", "runs/rates"]) == 0
        assert main(["pause", "runs/rates", "--save"]) == 0
        assert main(["resume", "runs/rates"]) == 0
    out = capsys.readouterr().out
    assert "nothing new starts, active runs finish; continue: runner resume runs/rates" in out and "active runs save and end" in out
    assert f"resumed: process {os.getpid()} on " in out
    asked = [json.loads(line) for line in sweep.control.read_text().splitlines()]
    assert [(line["action"], line["save"]) for line in asked] == [("pause", False), ("pause", True), ("resume", False)]
    assert main(["pause", "runs/rates"]) == 2
    assert "no driver is working on this sweep" in capsys.readouterr().err


def made_by(folder: Path, *command: str, **plan: Any) -> SweepDir:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plan.json").write_text(json.dumps({"command": list(command), **plan}))
    return SweepDir(folder)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["sweep", "in/rates.yml"], SweepRequest(Path("in/rates.yml"))),
        (["sweep", "in/rates.yml", "--dir=y", "--retry-failed"], SweepRequest(Path("in/rates.yml"), folder=Path("y"))),
        (
            ["sweep", "in/rates.yml", "-o", "a=1", "b='x y'", "--set", "seeds=[0, 1]", "--launcher", "inline", "-o", "c=2"],
            SweepRequest(Path("in/rates.yml"), ("a=1", "b='x y'", "c=2"), ("seeds=[0, 1]",), None, "inline"),
        ),
    ],
)
def test_the_recorded_command_is_read(folder: Path, command: list[str], expected: SweepRequest) -> None:
    assert recorded_request(made_by(Path("runs/rates"), *command, cwd=str(folder))) == expected
    assert recorded_request(made_by(Path("runs/rates"), *expected.command(), cwd=str(folder))) == expected


@pytest.mark.parametrize("command", [[], ["-k", "something"], ["compare", "x"], ["sweep"], ["sweep", "--help"]])
def test_without_a_command_the_error_says_what_to_do(folder: Path, capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    with pytest.raises(InputError, match="runner sweep SWEEP.yml --dir 'runs/the rates'"):
        recorded_request(made_by(Path("runs/the rates"), *command))
    assert capsys.readouterr() == ("", "")


def test_a_sweep_file_that_is_gone_is_named(folder: Path, cli: Callable[..., Any]) -> None:
    made_by(folder / "runs" / "rates", "sweep", "in/gone.yml", cwd=str(folder))
    assert main(["resume", "runs/rates"]) == 2
    with pytest.raises(InputError, match=r"in/gone\.yml: the sweep file is missing"):
        recorded_request(SweepDir("runs/rates"))


def test_what_is_neither_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["resume", "nowhere"]) == 2 and main(["resume", "in"]) == 2 and main(["resume", "in/rates.yml"]) == 2
    assert capsys.readouterr().err.count("\n") == 3
