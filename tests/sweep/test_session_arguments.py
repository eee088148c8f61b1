"""Arguments of the Python API: a wrong type is an InputError that names the argument, and nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import runner
from runner.sweep.session_arguments import to_path, to_settings


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "fake.yml").write_text("{backend: fake, max_iters: 4, parameters: {lr: 0.02}}")
    (tmp_path / "s.yml").write_text("{config: fake.yml, vary: {parameters.lr: [0.2]}}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


CALLS: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], str]] = [
    (runner.open_sweep, (3,), {}, "file: expected a path"),
    (runner.open_sweep, (None,), {}, "file: expected a path"),
    (runner.open_sweep, (b"s.yml",), {}, "file: expected a path"),
    (runner.open_sweep, ("",), {}, "file: expected a path that is not empty"),
    (runner.open_sweep, ("s\0.yml",), {}, "no null character"),
    (runner.open_sweep, ("s.yml",), {"set": [1]}, 'set: expected a list of strings "KEY=VALUE", got 1'),
    (runner.open_sweep, ("s.yml",), {"set": None}, "set: expected a mapping .* got None"),
    (runner.open_sweep, ("s.yml",), {"set": {1: 2}}, "set: expected dotted keys, which are strings, got 1"),
    (runner.open_sweep, ("s.yml",), {"overrides": 3}, "overrides: expected a mapping .* got 3"),
    (runner.open_sweep, ("s.yml",), {"overrides": b"a=1"}, "overrides: expected a mapping"),
    (runner.open_sweep, ("s.yml",), {"dir": 3}, "dir: expected a path"),
    (runner.open_sweep, ("s.yml",), {"dir": "fake.yml"}, "fake.yml: --dir: is not a directory"),
    (runner.open_sweep, ("s.yml",), {"dir": "fake.yml/sweep"}, "fake.yml: --dir: is not a directory"),
    (runner.open_sweep, ("s.yml",), {"launcher": None}, "launcher: expected a string, got None"),
    (runner.train, (None,), {}, "no config"),
    (runner.train, (3,), {}, "config: expected a path"),
    (runner.train, ("fake.yml", [1]), {}, "overrides: expected a list of strings"),
    (runner.train, ("fake.yml",), {"run_dir": 3}, "run_dir: expected a path"),
    (runner.train, ("fake.yml",), {"launcher": 3}, "launcher: expected a string"),
    (runner.train, ("fake.yml",), {"progress": "no"}, "progress: expected True or False, got 'no'"),
    (runner.train, (), {"resume": 3}, "resume: expected a path"),
    (runner.compare, (), {}, "no paths"),
    (runner.compare, (5,), {}, "paths: expected a path"),
    (runner.compare, (["runs"],), {}, "paths: expected a path"),
    (runner.compare, ("runs",), {"metric": 3}, "metric: expected a string or None, got 3"),
    (runner.compare, ("runs",), {"metric": ""}, "metric: expected a string or None, got ''"),
    (runner.compare, ("runs",), {"goal": 3}, "unknown goal 3"),
    (runner.compare, ("runs",), {"images": 1}, "images: expected True, False or None"),
]


@pytest.mark.parametrize(("call", "given", "named", "text"), CALLS)
def test_a_wrong_type_is_named(folder: Path, call: Callable[..., Any], given: tuple[Any, ...], named: dict[str, Any], text: str) -> None:
    with pytest.raises(runner.InputError, match=text):
        call(*given, **named)
    assert sorted(path.name for path in folder.iterdir()) == ["fake.yml", "s.yml"]


def test_wrong_flags_of_a_sweep_are_named(folder: Path) -> None:
    sweep = runner.open_sweep("s.yml")
    wrong: Any = "yes"
    for call, name in (
        (lambda: sweep.run(retry_failed=wrong), "retry_failed"),
        (lambda: sweep.run(progress=wrong), "progress"),
        (lambda: sweep.pause(save=wrong), "save"),
        (lambda: sweep.compare(images=wrong), "images"),
    ):
        with pytest.raises(runner.InputError, match=f"{name}: expected True"):
            call()
    with pytest.raises(runner.InputError, match="against: expected an integer or None, got 'yes'"):
        sweep.compare(against=wrong)
    assert not (folder / "runs").exists()


def test_what_is_right_is_taken() -> None:
    assert to_path("file", Path("a")) == to_path("file", "a") == Path("a")
    assert to_settings("set", {"a.b": (1, None), "c": "ü"}) == ("a.b=[1, null]", 'c="ü"')
    assert to_settings("set", ("a=1",)) == to_settings("set", ["a=1"]) == ("a=1",)


def test_the_results_of_the_api_are_types_of_the_package() -> None:
    from runner.results.comparison import Comparison
    from runner.sweep.session_run import SweepResult

    assert (runner.Comparison, runner.SweepResult) == (Comparison, SweepResult)
    assert all(hasattr(runner, name) for name in runner.__all__) and set(runner.__all__) <= set(dir(runner))
