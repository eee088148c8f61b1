"""Names that lead to a parent folder, and what is no file in the place of one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from runner.cli.main import main
from runner.sweep.fake_sweep import CONFIG


@pytest.mark.parametrize("name", ["...yml", "..yml"])
@pytest.mark.parametrize("command", [["sweep"], ["sweep", "--dry-run"], ["train", "-c"]])
def test_a_file_whose_runs_would_lie_in_a_parent_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, command: list[str]
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    Path("config.yml").write_text(yaml.safe_dump(dict(CONFIG)))
    Path(name).write_text(
        yaml.safe_dump({"config": "config.yml", "vary": {"parameters.lr": [0.1]}} if command[0] == "sweep" else dict(CONFIG))
    )
    assert main([*command, name]) == 2
    assert f"{name}" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.rglob("*")) == sorted(["work", "config.yml", name])


@pytest.mark.parametrize("folder", ["..", ".", "runs/../.."])
def test_a_sweep_is_not_put_into_the_current_folder_or_one_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: str
) -> None:
    work = tmp_path / "work"
    (work / "runs").mkdir(parents=True)
    monkeypatch.chdir(work)
    Path("config.yml").write_text(yaml.safe_dump(dict(CONFIG)))
    Path("sweep.yml").write_text(yaml.safe_dump({"config": "config.yml", "vary": {"parameters.lr": [0.1]}}))
    assert main(["sweep", "sweep.yml", "--dir", folder]) == 2
    assert "the current folder or one above it" in capsys.readouterr().err
    assert not (tmp_path / "plan.json").exists() and not Path("plan.json").exists()


@pytest.mark.parametrize("name", ["x" * 201, "板" * 67])
def test_a_sweep_whose_name_leaves_no_room_for_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.yml").write_text(yaml.safe_dump(dict(CONFIG)))
    for words in ([f"{name}.yml"], ["sweep.yml", "--dir", name]):
        Path(words[0]).write_text(yaml.safe_dump({"config": "config.yml", "vary": {"parameters.lr": [0.1]}}))
        assert main(["sweep", *words]) == 2
        assert "the name is too long; expected at most 200 bytes in UTF-8" in capsys.readouterr().err
    assert not any(path.is_dir() for path in tmp_path.iterdir())


@pytest.mark.parametrize(
    "command", [["train", "-c"], ["sweep"], ["config", "show", "-c"], ["data", "prepare"], ["data", "prepare", "yolo", "--source"]]
)
def test_a_fifo_in_the_place_of_an_input_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUNNER_DATA", str(tmp_path / "data"))
    os.mkfifo("fifo.yml")
    assert main([*command, "fifo.yml"]) == 2
    assert "FIFO" in capsys.readouterr().err


@pytest.mark.parametrize(
    "path", ["x" * 300, "ü" * 150, f"runs/{'x' * 256}/run", "/".join(["x" * 200] * 25)], ids=["name", "bytes", "part", "path"]
)
@pytest.mark.parametrize(
    "command",
    [
        ["status"],
        ["ls"],
        ["compare"],
        ["stop"],
        ["pause"],
        ["resume"],
        ["retry", "--failed"],
        ["sweep"],
        ["verify"],
        ["train", "-c"],
        ["train", "-r"],
        ["eval"],
        ["dashboard"],
        ["config", "check", "-c"],
        ["data", "check"],
        ["data", "stats"],
        ["data", "prepare"],
        ["data", "prepare", "yolo", "--source"],
    ],
    ids=" ".join,
)
def test_a_path_that_is_too_long_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str], path: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUNNER_DATA", str(tmp_path / "data"))
    assert main([*command, path]) == 2
    error = capsys.readouterr().err
    assert path[:20] in error and error.count("\nrunner: ") == 0
