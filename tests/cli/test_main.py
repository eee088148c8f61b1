"""The whole command line: its help, and commands whose arguments are almost right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.cli.main import build_parser, main

Refused = Callable[[list[str]], str]


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refused:
    """The message of a command in a folder with a config, an image, and a sweep of one run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "blood.yml").write_text("architecture: FCOS\n")
    (tmp_path / "a.png").write_bytes(b"")
    run = tmp_path / "runs" / "blood" / "runs" / "0000-a-s0"
    run.mkdir(parents=True)
    (run / "run.json").write_text("{}")
    (tmp_path / "runs" / "blood" / "plan.json").write_text("{}")

    def call(arguments: list[str]) -> str:
        try:
            code: Any = main(arguments)
        except SystemExit as stopped:
            code = stopped.code
        found = capsys.readouterr()
        assert code == 2 and found.out == ""
        return found.err.splitlines()[-1]

    return call


RUN = "runs/blood/runs/0000-a-s0"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "blood.yml"], "did you mean: runner train -c blood.yml"),
        (["train", "-o", "max_iters=2", "--eval", "blood.yml"], "did you mean: runner train -c blood.yml"),
        (["train", "-c", "configs/fcos_tinny.yml"], "does not exist; did you mean 'configs/fcos_tiny.yml'"),
        (["sweep", "sweeps/batchsiz.yml"], "does not exist; did you mean 'sweeps/batchsize.yml'"),
        (["train", RUN], f"did you mean: runner train -r {RUN}"),
        (["config", "check", "blood.yml"], "did you mean: runner config check -c blood.yml"),
        (["config", "show", "blood.yml"], "did you mean: runner config show -c blood.yml"),
        (["sweep", "-c", "blood.yml"], "did you mean: runner sweep blood.yml (one run: runner train -c blood.yml)"),
        (
            ["compare", "blood.yml"],
            "expected directories of sweeps or runs, got blood.yml; to compare two configs: runner config diff A.yml B.yml",
        ),
        (["compare", "blood.yml", "blood.yml"], "runner config diff blood.yml blood.yml"),
        (["compare", "a.png"], "a.png: is a file; give the directory of a sweep or a run"),
        (["eval", "blood.yml"], "blood.yml: is a file, not a run directory; a config is given by -c blood.yml"),
        (["eval", "runs/blood"], "runs/blood: is a sweep, not a run directory; its runs are in runs/blood/runs: 0000-a-s0"),
        (["eval", RUN[:-1]], "does not exist; did you mean '0000-a-s0'?"),
        (["predict", "a.png", RUN], f"the run comes first; did you mean: runner predict {RUN} a.png"),
        (["predict", "runs", RUN], f"did you mean: runner predict {RUN} runs"),
        (["retry", RUN], f"is a run; did you mean: runner train -r {RUN}"),
        (["retry", RUN, "--failed"], f"is a run; did you mean: runner train -r {RUN}"),
        (["retry", "runs/blood"], "expected which runs to retry: runner retry runs/blood --failed"),
        (
            ["status", "blood.yml"],
            "blood.yml: is a file; give the directory of a sweep or a run, such as runs/NAME; did you mean runs/blood?",
        ),
        (["verify", "blood.yml"], "did you mean runs/blood?"),
        (["resume", "runs/bloat"], "runs/bloat: no such directory; did you mean 'blood'?"),
        (["dashboard", "a.png"], "a.png: is a file; give the directory"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_arguments_that_are_almost_right(refused: Refused, arguments: list[str], words: str) -> None:
    assert words in refused(arguments)


def test_a_second_config_is_not_offered_as_the_first(refused: Refused) -> None:
    last = refused(["train", "-c", "blood.yml", "other.yml"])
    assert "unrecognized arguments: other.yml" in last and "did you mean" not in last


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "-c", "blood.yml", "--evall"], "runner train: error: unrecognized arguments: --evall; did you mean '--eval'?"),
        (["train", "-c", "blood.yml", "--rundir", "x"], "unrecognized arguments: --rundir x; did you mean '--run-dir'?"),
        (["train", "--rundir", "x", "-c", "blood.yml"], "unrecognized arguments: --rundir x; did you mean '--run-dir'?"),
        (["data", "prepare", "voc", "--souce=x"], "runner data prepare: error: unrecognized arguments: --souce=x; did you mean '--source'"),
        (["stop", "a", "b", "c"], "runner stop: error: unrecognized arguments: c"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_unknown_option_leads_to_the_nearest_one(refused: Refused, arguments: list[str], words: str) -> None:
    assert words in refused(arguments)


def test_the_help_groups_every_command_by_task_in_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    parser = build_parser()
    lines = parser.format_help().splitlines()
    assert max(map(len, lines)) < 80
    headings = ["train and sweep:", "while it runs:", "compare and see:", "data, configs and weights:", "this machine:", "options:"]
    assert [line for line in lines if line.endswith(":") and not line.startswith(" ")] == headings
    shown = [line.split()[0] for line in lines if line.startswith("  ") and line[2] not in " -"]
    assert shown == list(parser.commands.choices) and len(shown) >= 19
    wrapped = [line for line in lines if line.startswith("     ")]
    assert wrapped == []  # each command's help takes one line
