"""`runner backend`: its arguments, and what it says where nothing is installed."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]


@pytest.fixture
def place(tmp_path: Path) -> dict[str, str]:
    """Variables that keep environments in a folder of the test."""
    return {"RUNNER_ENVIRONMENTS": str(tmp_path / "some 'place' ü")}


def test_list_without_any(cli: Cli, place: dict[str, str], tmp_path: Path) -> None:
    out = cli("backend", "list", env=place).fine()
    assert re.search(r"^ *paddle +(not installed|this interpreter)", out, re.MULTILINE)
    assert re.search(r"^ *torch +this interpreter +torch \d", out, re.MULTILINE)
    assert list(tmp_path.iterdir()) == [], "looking writes nothing"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["install", "padle"], "no environment to install for 'padle'; did you mean 'paddle'?"),
        (["install", "torch"], "the backend torch runs in this interpreter's environment: pip install '.[torch]' in a checkout of runner"),
        (["install", "paddle", "--index", "file:///nowhere"], "--index needs --gpu: it names the index of a newer GPU build"),
        (["install", "paddle", "--python", "/no/such/python"], "the backend paddle needs Python 3.11 (paddledet 2.6.0 needs numpy<1.24"),
        (["install", "paddle", "--python", "/bin/true"], "/bin/true is not a working Python interpreter"),
        (["remove", "paddle"], "no environment of paddle to remove (looked in "),
        (["remove", "torch"], "the backend torch runs in this interpreter's environment"),
    ],
)
def test_what_cannot_be_done(cli: Cli, place: dict[str, str], arguments: list[str], said: str) -> None:
    assert said in cli("backend", *arguments, env=place).refused()


def test_a_broken_one_is_told_by_list_and_doctor(cli: Cli, place: dict[str, str]) -> None:
    folder = Path(place["RUNNER_ENVIRONMENTS"])
    folder.mkdir()
    (folder / "paddle.json").write_text("{", encoding="utf-8")
    out = cli("backend", "list", env=place).fine()
    if "this interpreter" in next(line for line in out.splitlines() if "paddle" in line):
        pytest.skip("Paddle is in this interpreter's environment")
    assert re.search(r"^ *paddle +broken", out, re.MULTILINE)
    assert f"paddle: {folder}/paddle.json is damaged; runner backend install paddle makes it anew" in out
    assert "removed" in cli("backend", "remove", "paddle", env=place).fine()
    assert not (folder / "paddle.json").exists()


@pytest.mark.slow
def test_doctor_tells_of_paddle(cli: Cli, place: dict[str, str]) -> None:
    out = cli("doctor", env=place).out
    assert re.search(r"^ok +backend paddle +(not installed \(optional\): runner backend install paddle|paddle)", out, re.MULTILINE)
