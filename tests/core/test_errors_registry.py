"""Messages, hints, and names of plug-ins."""

from __future__ import annotations

import ast
import importlib.metadata
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, Protocol

import pytest

import runner
from runner.backends.base import BACKENDS
from runner.core.errors import InputError, Interrupted, Problem, RunnerError, TrainingFailed, nearest
from runner.core.registry import Registry
from runner.core.shipped import shipped
from runner.data.formats import FORMATS
from runner.launch.base import LAUNCHERS
from runner.search.base import DESIGNS
from runner.trackers.base import TRACKERS
from runner.views.renderers.base import RENDERERS


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


class Greeter(Protocol):
    """A kind of plug-in."""

    polite: ClassVar[bool]
    words: ClassVar[tuple[str, ...]]
    limit: ClassVar[int | None]
    answer_class: ClassVar[type[Any]]

    def greet(self, name: str) -> str:
        """Greet."""

    @classmethod
    def for_night(cls) -> Greeter:
        """Make one."""


class Good:
    polite = True
    words = ("hello",)
    limit = None
    answer_class = str

    def greet(self, name: str) -> str:
        return name

    @classmethod
    def for_night(cls) -> Good:
        return cls()


class Bad:
    polite = 1
    words = ("hello", 2)
    limit = True
    for_night = "now"


@dataclass(frozen=True)
class Distribution:
    name: str = "some-greeters"
    version: str = "1.2"


class Point:
    """An entry point."""

    def __init__(self, name: str, plugin: Any, dist: Distribution | None = Distribution()) -> None:
        self.name, self.plugin, self.value, self.dist = name, plugin, f"greeters:{name}", dist

    def load(self) -> Any:
        if isinstance(self.plugin, BaseException):
            raise self.plugin
        return self.plugin


@pytest.fixture
def greeters(monkeypatch: pytest.MonkeyPatch) -> Registry[type[Greeter]]:
    """Registry with a built-in plug-in and those of another distribution."""
    points = [
        *(Point("good", Good), Point("bad", Bad), Point("function", len), Point("broken", ImportError("no module named nothing"))),
        Point("exits", SystemExit(7)),
        *(Point("twice", Good), Point("twice", Good, Distribution("others")), Point("own", Bad)),
    ]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: points if group == "runner.greeters" else [])
    return Registry("greeter", {"own": f"{__name__}:Good"}, Greeter)


def test_names_are_found_and_nothing_is_loaded(greeters: Registry[type[Greeter]]) -> None:
    assert greeters.names() == ["bad", "broken", "exits", "function", "good", "own", "twice"]
    assert "own" in greeters and "broken" in greeters and "goood" not in greeters


def test_a_plug_in_that_fits_is_returned(greeters: Registry[type[Greeter]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.core.registry.importlib.import_module", lambda name: SimpleNamespace(Good=Good))
    assert issubclass(greeters.get("good"), Good) and greeters.get("own") is Good
    assert [name for name, _ in greeters.usable()] == ["good", "own"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "goood",
            "unknown greeter 'goood'; did you mean 'good'? Known: bad, broken, exits, function, good, own, twice; packages add others by "
            "the entry point group runner.greeters",
        ),
        (
            "broken",
            "greeter 'broken' cannot be loaded from some-greeters 1.2, entry point broken = greeters:broken: "
            "ImportError: no module named nothing",
        ),
        ("exits", "greeter 'exits' cannot be loaded from some-greeters 1.2, entry point exits = greeters:exits: SystemExit: 7"),
        (
            "bad",
            "greeter 'bad' cannot be used: polite is 1 (expected bool); words is ('hello', 2) (expected a tuple of str); limit is True "
            "(expected int or None); answer_class is missing (expected a class); for_night() is missing; greet() is missing "
            "(some-greeters 1.2, entry point bad = greeters:bad)",
        ),
        (
            "function",
            "greeter 'function' cannot be used: expected a class, found the builtin_function_or_method <built-in function len> "
            "(some-greeters 1.2, entry point function = greeters:function)",
        ),
        (
            "twice",
            "greeter 'twice' is provided twice: by some-greeters 1.2, entry point twice = greeters:twice and others 1.2, "
            "entry point twice = greeters:twice; uninstall one of them",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_message(greeters: Registry[type[Greeter]], name: str, message: str) -> None:
    with pytest.raises(InputError) as refused:
        greeters.get(name)
    assert str(refused.value) == message


def test_problems_are_listed(greeters: Registry[type[Greeter]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.core.registry.importlib.import_module", lambda name: SimpleNamespace(Good=Good))
    problems = list(greeters.problems())
    assert len(problems) == 6
    assert problems[4] == "greeter 'own' of some-greeters 1.2, entry point own = greeters:own is ignored: that name is built in"


@pytest.mark.parametrize("registry", [BACKENDS, LAUNCHERS, TRACKERS, DESIGNS, FORMATS, RENDERERS], ids=lambda registry: registry.kind)
def test_every_plug_in_of_ours_fits(registry: Registry[Any]) -> None:
    assert len(list(registry.usable())) == len(registry.names()) >= 2
    assert list(registry.problems()) == []


@pytest.mark.parametrize(("registry", "home"), [(LAUNCHERS, "launch"), (TRACKERS, "trackers")], ids=["launchers", "trackers"])
def test_no_name_is_compared_with_a_string(registry: Registry[Any], home: str) -> None:
    """Outside its package no code holds a name of the registry: what differs is a fact that the class declares."""
    package = Path(runner.__file__).parent
    files = [file for file in package.rglob("*.py") if package / home not in file.parents]
    assert len(files) > 100
    found = [
        f"{file.relative_to(package)}:{node.lineno}"
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in registry.names()
    ]
    assert found == []


def test_shipped_folders() -> None:
    assert (shipped("configs") / "fcos_tiny.yml").is_file() and (shipped("sweeps") / "batchsize.yml").is_file()
