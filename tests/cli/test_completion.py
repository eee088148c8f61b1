"""Completion scripts: what a shell offers after some words."""

from __future__ import annotations

import builtins
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from runner.cli.main import main

_ASK = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
_shtab_runner runner "${COMP_WORDS[COMP_CWORD]}"
printf '%s\n' "${COMPREPLY[@]}"
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["tr"], ["train"]),
        (["data", "p"], ["prepare"]),
        (["train", "--run"], ["--run-dir"]),
        (["train", "-c", "blo"], ["blood.yml"]),
        (["sweep", "blo"], ["blood.yml"]),
        (["train", "-r", "blo"], ["blood runs"]),
        (["completion", ""], ["bash", "fish", "zsh"]),
    ],
    ids=" ".join,
)
def test_bash_completes(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], offered: list[str]) -> None:
    pytest.importorskip("shtab")
    assert main(["completion", "bash"]) == 0
    script = tmp_path / "script"
    script.write_text(capsys.readouterr().out)
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "blood.yml").touch()
    (folder / "blood runs").mkdir()
    done = subprocess.run(
        ["bash", "-c", _ASK, "ask", str(script), "runner", *words], cwd=folder, capture_output=True, text=True, check=True, timeout=60
    )
    found = set(done.stdout.splitlines())
    assert set(offered) <= found and not done.stderr
    if "-r" in words:
        assert "blood.yml" not in found


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_scripts_of_other_shells_name_every_command(capsys: pytest.CaptureFixture[str], shell: str) -> None:
    pytest.importorskip("shtab")
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(name in script for name in ("dashboard", "prepare", "retry-failed"))


def test_without_shtab_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **options: Any) -> Any:
        if name == "shtab":
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    assert main(["completion", "bash"]) == 2
    assert "pip install '.[completion]' in a checkout of runner" in capsys.readouterr().err
