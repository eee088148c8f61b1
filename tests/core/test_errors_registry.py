"""Messages, hints, and names of plug-ins."""

from __future__ import annotations

import importlib.metadata
from typing import Any

import pytest

from runner.core.errors import InputError, Interrupted, Problem, RunnerError, TrainingFailed, nearest
from runner.core.registry import Registry
from runner.core.shipped import shipped


def test_a_problem_says_where_and_what() -> None:
    assert str(Problem("is wrong", "f.yml:3", "a.b")) == "f.yml:3: a.b: is wrong"
    assert str(Problem("is wrong", key="a.b")) == "a.b: is wrong" and str(Problem("is wrong")) == "is wrong"
    error = InputError(Problem(text) for text in ("one", "two"))
    assert [problem.message for problem in error.problems] == ["one", "two"] and str(error) == "one\ntwo"
    assert InputError("one").problems == InputError(Problem("one")).problems


def test_exit_codes() -> None:
    assert [error.exit_code for error in (RunnerError, InputError, TrainingFailed, Interrupted)] == [1, 2, 1, 130]


@pytest.mark.parametrize(
    ("name", "allowed", "hint"),
    [
        ("batchsize", ["batch_size", "shuffle"], "did you mean 'batch_size'?"),
        ("RESNET", ["ResNet", "MobileNetV3"], "did you mean 'ResNet'?"),
        ("adm", ["Adam", "AdamW", "Momentum"], "did you mean 'Adam'"),
        ("zzz", ["b", "a"], "allowed: a, b"),
        ("zzz", [f"name{n}" for n in range(20)], ""),
        ("zzz", [], ""),
    ],
)
def test_nearest(name: str, allowed: list[str], hint: str) -> None:
    assert nearest(name, allowed).startswith(hint) and bool(nearest(name, allowed)) == bool(hint)


class _Point:
    def __init__(self, name: str, thing: Any) -> None:
        self.name, self.thing = name, thing

    def load(self) -> Any:
        if isinstance(self.thing, Exception):
            raise self.thing
        return self.thing


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    points = [_Point("good", dict), _Point("broken", ImportError("no module named nothing"))]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: points if group == "runner.things" else [])
    return Registry("thing", {"own": "json:dumps"})


def test_registry(registry: Registry) -> None:
    import json

    assert registry.names() == ["broken", "good", "own"]
    assert registry.get("own") is json.dumps and registry.get("good") is dict
    with pytest.raises(InputError, match=r"there is no thing 'goood'; did you mean 'good'\?"):
        registry.get("goood")


def test_a_strangers_broken_plug_in_is_named(registry: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="the thing 'broken' cannot be loaded: no module named nothing"):
        registry.get("broken")


def test_shipped_folders() -> None:
    assert (shipped("configs") / "fcos_tiny.yml").is_file() and (shipped("sweeps") / "batchsize.yml").is_file()
