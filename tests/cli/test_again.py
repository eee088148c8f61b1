"""Commands that are printed for the user: they name the sweep where it is now, and can be pasted into a shell."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

import pytest

from runner.cli.again import again
from runner.sweep.sweep_dir import SweepDir


def made_by(folder: Path, *command: str, cwd: Path | None = None) -> SweepDir:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plan.json").write_text(json.dumps({"command": list(command)} | ({} if cwd is None else {"cwd": str(cwd)})))
    return SweepDir(folder)


@pytest.mark.parametrize(
    ("folder", "command", "expected"),
    [
        ("runs/cr", ["sweep", "in/cr.yml"], "runner sweep in/cr.yml"),
        ("runs/moved here", ["sweep", "in/cr.yml"], "runner sweep in/cr.yml --dir 'runs/moved here'"),
        ("runs/cr", ["sweep", "in/cr.yml", "--dir", "elsewhere"], "runner sweep in/cr.yml"),
        ("-x", ["sweep", "./a b.yml", "--dir=y", "--retry-failed"], "runner sweep 'a b.yml' --dir ./-x"),
        (
            "runs/cr",
            ["sweep", "cr.yml", "-o", "a=1", "b='x y'", "--set", "seeds=[0, 1]", "--launcher", "inline", "-o", "c=2"],
            """runner sweep cr.yml -o a=1 'b='"'"'x y'"'"'' c=2 --set 'seeds=[0, 1]' --launcher inline""",
        ),
        ("runs/cr", ["-k", "something"], "runner sweep SWEEP.yml --dir runs/cr"),
        ("runs/cr", ["compare", "x"], "runner sweep SWEEP.yml --dir runs/cr"),
        ("runs/cr", [], "runner sweep SWEEP.yml --dir runs/cr"),
    ],
)
def test_the_command_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: str, command: list[str], expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = again(made_by(Path(folder), *command, cwd=tmp_path))
    assert shown == expected and shlex.split(shown) and capsys.readouterr() == ("", "")


def test_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "cr.yml").touch()
    sweep = made_by(tmp_path / "runs" / "cr", "sweep", "in/cr.yml", cwd=tmp_path)
    monkeypatch.chdir(tmp_path / "in")
    assert again(SweepDir("../runs/cr")) == "runner sweep cr.yml --dir ../runs/cr"
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    assert again(SweepDir("../runs/cr")) == f"runner sweep {tmp_path}/in/cr.yml --dir ../runs/cr"
    monkeypatch.chdir(tmp_path.parent)
    name = tmp_path.name
    assert again(SweepDir(f"{name}/runs/cr")) == f"runner sweep {name}/in/cr.yml --dir {name}/runs/cr"
    os.remove(tmp_path / "in" / "cr.yml")
    assert again(sweep) == f"runner sweep in/cr.yml --dir {sweep.path}"
