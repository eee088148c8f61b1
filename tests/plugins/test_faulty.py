"""Plug-ins that fail after they were loaded: one message names each, nothing else is affected, and no result is lost."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from runner.store.run_dir import RunDir

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]
INSTALLED = {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, FOLDER / "sundry", FOLDER / "faulty")))}
Command = Callable[..., Any]

TALLY: dict[str, Any] = {"backend": "tally", "max_iters": 3, "log_iter": 1}
SWEEP: dict[str, Any] = {
    "config": "tally.yml",
    "design": "ends",
    "vary": {"rate": [0.1, 0.9]},
    "metric": {"name": "tally/reached"},
    "seeds": [0],
}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with a config and a sweep file."""
    (tmp_path / "tally.yml").write_text(yaml.safe_dump(TALLY))
    (tmp_path / "sweep.yml").write_text(yaml.safe_dump(SWEEP))
    return tmp_path


def sweep_of(files: Path, design: str) -> None:
    (files / "sweep.yml").write_text(yaml.safe_dump({**SWEEP, "design": design}))


@pytest.mark.parametrize(
    ("backend", "code", "words"),
    [
        ("check_fails", 1, "backend 'check_fails' failed in check(): AttributeError: no attribute 'goals' (faulty.py:"),
        ("metrics_fail", 1, "backend 'metrics_fail' failed in metrics(): KeyError: 'bbox/AP' (faulty.py:"),
        ("metrics_odd", 1, "backend 'metrics_odd' failed in metrics(): it returned ['tally/reached'] (expected MetricSet) (faulty 0.1"),
        ("demanding", 2, "backend 'demanding' cannot be used: its constructor demands arguments: missing a required argument: 'device'"),
        ("plain_config", 2, "backend 'plain_config' cannot be used: its config_class dict is not a dataclass"),
    ],
)
def test_a_backend_that_fails_is_named(files: Path, cli: Command, backend: str, code: int, words: str) -> None:
    told = cli("train", "-c", "tally.yml", "-o", f"backend={backend}", "--run-dir", "run", env=INSTALLED)
    assert told.code == code and words in told.err and f"faulty 0.1, entry point {backend} = faulty:" in told.err
    assert "Traceback" not in told.err


@pytest.mark.parametrize(
    ("launcher", "words"),
    [
        ("no_room", "launcher 'no_room' failed in capacity(): ValueError: a launcher has room for at least one task, not 0"),
        ("submit_fails", "launcher 'submit_fails' failed in submit(): ConnectionError: the cluster does not answer (faulty.py:"),
    ],
)
def test_a_launcher_that_fails_ends_the_sweep_and_loses_no_result(files: Path, cli: Command, launcher: str, words: str) -> None:
    told = cli("sweep", "sweep.yml", "--launcher", launcher, env=INSTALLED)
    assert told.code == 1 and words in told.err and "Traceback" not in told.err
    finished = [path.name for path in (files / "runs" / "sweep" / "runs").glob("*") if RunDir(path).status().state == "done"]
    assert len(finished) == (2 if launcher == "submit_fails" else 0)
    assert "3 of 3 runs done" in cli("sweep", "sweep.yml", env=INSTALLED).fine()


@pytest.mark.parametrize(
    ("tracker", "words"), [("open_fails", "ZeroDivisionError: division by zero"), ("open_exits", "SystemExit: no licence")]
)
def test_a_tracker_that_fails_warns_once_and_ends_no_run(files: Path, cli: Command, tracker: str, words: str) -> None:
    cli("train", "-c", "tally.yml", "-o", f"trackers=[{tracker}]", "--run-dir", "run", env=INSTALLED).fine()
    log = (files / "run" / "worker.log").read_text()
    assert log.count(f"tracker {tracker} failed and writes no more in this attempt") == 1 and "Traceback" not in log
    assert f"tracker '{tracker}' failed in open(): {words} (faulty.py:" in log and "faulty 0.1, entry point" in log


@pytest.mark.parametrize(
    ("design", "code", "done", "words"),
    [
        ("odd_report", 2, 0, "design 'odd_report' cannot be used: report is 'newspaper' (expected 'comparison' or 'search')"),
        ("no_search", 1, 0, "design 'no_search' failed in build(): list, which it returned, cannot be used: is_fixed is missing"),
        ("ask_fails", 1, 1, "design 'ask_fails' failed in ask(): KeyError: 'best' (faulty.py:"),
        ("tell_fails", 1, 1, "design 'tell_fails' failed in tell(): KeyError: 'best' (faulty.py:"),
    ],
)
def test_a_design_that_fails_ends_the_sweep_and_loses_no_result(
    files: Path, cli: Command, design: str, code: int, done: int, words: str
) -> None:
    sweep_of(files, design)
    told = cli("sweep", "sweep.yml", env=INSTALLED)
    assert told.code == code and words in told.err and "Traceback" not in told.err
    finished = [path for path in (files / "runs" / "sweep" / "runs").glob("*") if RunDir(path).status().state == "done"]
    assert len(finished) >= done
    sweep_of(files, "ends")
    assert "3 of 3 runs done" in cli("sweep", "sweep.yml", env=INSTALLED).fine()


@pytest.mark.parametrize(
    ("renderer", "words"),
    [
        ("render_fails", "failed in render(): IndexError: tuple index out of range (faulty.py:"),
        ("render_odd", "failed in render(): it returned 42 (expected str or"),
    ],
)
def test_a_renderer_that_fails_is_named(files: Path, cli: Command, renderer: str, words: str) -> None:
    cli("sweep", "sweep.yml", env=INSTALLED).fine()
    told = cli("compare", "runs/sweep", "--format", renderer, env=INSTALLED)
    assert told.code == 1 and f"renderer '{renderer}' {words}" in told.err and "Traceback" not in told.err


def test_a_data_format_that_fails_is_named(cli: Command, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "odd.yml").write_text(yaml.safe_dump({"name": "odd", "format": "load_fails", "classes": ["a"]}))
    told = cli("data", "prepare", "odd.yml", "--source", "source", env={**INSTALLED, "RUNNER_DATA": str(tmp_path / "data")})
    words = "data format 'load_fails' failed in load(): ValueError: invalid literal for int() with base 10: 'twelve' (faulty.py:"
    assert told.code == 1 and words in told.err and "Traceback" not in told.err


def test_an_architecture_that_fails_is_named_and_hides_no_other(cli: Command, write_config: Callable[..., Path]) -> None:
    cli("config", "check", "-c", write_config(), env=INSTALLED).fine()
    refused = cli("config", "check", "-c", write_config(architecture="Cracked", Cracked={}), env=INSTALLED).refused()
    words = "model 'Cracked' failed in its constructor: RuntimeError: no weights on this machine (faulty_model.py:"
    assert words in refused and "faulty 0.1, entry point Cracked" in refused


def test_a_backend_of_another_distribution_has_no_environment_of_its_own(cli: Command) -> None:
    for action in ("install", "remove"):
        words = "the backend tally runs in this interpreter's environment, where sundry is installed"
        assert words in cli("backend", action, "tally", env=INSTALLED).refused()
