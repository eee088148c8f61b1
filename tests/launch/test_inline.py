"""The inline launcher: the task really runs here, and what would harm this process is turned away."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runner.launch.base import Task
from runner.launch.inline import InlineLauncher
from runner.testing.launchers import collect, task


def test_it_runs_in_this_process(tmp_path: Path) -> None:
    launcher = InlineLauncher()
    launcher.submit(task("one", tmp_path, "die-with-parent", "pid", tmp_path / "pid"))
    assert not (tmp_path / "pid").exists()  # submit never waits
    collect(launcher, 1)
    assert int((tmp_path / "pid").read_text()) == os.getpid()


def test_output_is_shown_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    launcher = InlineLauncher()
    launcher.submit(task("one", tmp_path, "print", "hello", "warn", "careful"))
    collect(launcher, 1)
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("hello\n", "careful\n")
    assert (tmp_path / "one.log").read_text() == "hello\ncareful\n"


def test_another_kind_of_command_is_answered_with_the_reason(tmp_path: Path) -> None:
    launcher = InlineLauncher()
    launcher.submit(Task("one", ["ls", "-l"], tmp_path, tmp_path / "log"))
    (ended,) = collect(launcher, 1)
    assert ended.returncode == 127 and "python -m MODULE" in ended.error


def test_options_before_the_module_are_allowed(tmp_path: Path) -> None:
    launcher = InlineLauncher()
    given = task("one", tmp_path, "exit", "5")
    launcher.submit(Task("one", [given.argv[0], "-u", *given.argv[1:]], tmp_path, tmp_path / "log"))
    assert collect(launcher, 1)[0].returncode == 5


def test_a_module_that_does_not_exist_is_status_one(tmp_path: Path) -> None:
    launcher = InlineLauncher()
    launcher.submit(Task("one", ["python", "-m", "runner.no_such_module"], tmp_path, tmp_path / "log"))
    assert collect(launcher, 1)[0].returncode == 1
    assert "no_such_module" in (tmp_path / "log").read_text()
