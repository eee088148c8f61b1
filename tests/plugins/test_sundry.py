"""Plug-ins of another distribution, one of each kind: found by their entry points, chosen by name, and held to the contracts.

Architectures of the torch backend are in test_models.py.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = Path(__file__).resolve().parent / "sundry"
INSTALLED = {"PYTHONPATH": os.pathsep.join((str(ROOT), str(PLUGIN)))}
Command = Callable[..., Any]

TALLY: dict[str, Any] = {"backend": "tally", "max_iters": 6, "snapshot_iter": 2, "eval_at_snapshot": True, "log_iter": 1}
SWEEP: dict[str, Any] = {
    "config": "tally.yml",
    "design": "ends",
    "vary": {"rate": [0.1, 0.3, 0.9]},
    "metric": {"name": "tally/reached"},
    "seeds": [0, 1],
}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with a config and a sweep file."""
    (tmp_path / "tally.yml").write_text(yaml.safe_dump(TALLY))
    (tmp_path / "sweep.yml").write_text(yaml.safe_dump(SWEEP))
    return tmp_path


@pytest.fixture
def board() -> Iterator[str]:
    """Address of the tracker's server."""
    command = [sys.executable, "-P", "-m", "sundry_board", "127.0.0.1", "0"]
    with subprocess.Popen(command, env={**os.environ, **INSTALLED}, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
        server.kill()


def shown(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


@pytest.mark.slow
def test_they_pass_the_contract_suites() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", ROOT / "pyproject.toml", "--rootdir", ROOT]
    done = subprocess.run(
        [*command, PLUGIN / "sundry_contract.py"], env={**os.environ, **INSTALLED}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:]
    counts = re.search(r"(\d+) passed, 2 skipped", done.stdout)
    assert counts is not None and int(counts[1]) >= 69, done.stdout


def test_a_sweep_with_its_backend_launcher_design_tracker_and_renderer(files: Path, cli: Command, board: str) -> None:
    """The server is asked for what the runs have recorded."""
    env = {**INSTALLED, "SUNDRY_BOARD": board}
    planned = cli("sweep", "sweep.yml", "--dry-run", env=env).fine()
    assert "rate=0.1" in planned and "rate=0.9" in planned and "rate=0.3" not in planned
    ran = cli("sweep", "sweep.yml", "-o", "trackers=[board]", "--launcher", "shell", env=env)
    assert "6 of 6 runs done" in ran.fine() and "note: started by sh" in ran.err
    lines = cli("compare", "runs/sweep", "--format", "lines", env=env).fine().splitlines()
    assert lines == ["0 baseline | 2 | 0.9844", "1 rate=0.1 | 2 | 0.4686", "2 rate=0.9 | 2 | 1.0000"]
    names = shown(f"{board}/runs")
    assert len(names) == 6
    run = shown(f"{board}/runs/{urllib.request.quote(names[0], safe='')}")
    assert run["sweep"] == "sweep" and run["name"].startswith("0000-baseline")
    assert [event["step"] for event in run["events"] if "train/loss" in event.get("values", {})] == [1, 2, 3, 4, 5, 6]
    assert run["events"][-1]["metrics"] == {"tally/reached": pytest.approx(0.984375)}


def test_a_tracker_whose_server_is_gone_ends_no_run(files: Path, cli: Command) -> None:
    env = {**INSTALLED, "SUNDRY_BOARD": "http://127.0.0.1:9"}
    cli("train", "-c", "tally.yml", "-o", "trackers=[board]", "--run-dir", "run", env=env).fine()
    assert "tracker board failed" in (files / "run" / "worker.log").read_text()


def test_a_viewer_that_reads_no_files_is_started_on_runs(files: Path, cli: Command) -> None:
    cli("train", "-c", "tally.yml", "--run-dir", "run", env=INSTALLED).fine()
    code = """
import json, sys, urllib.request
from pathlib import Path
from runner.store.run_dir import RunDir
from runner.views.viewers.processes import start_viewer
with start_viewer("board", [RunDir(Path("run"))]) as viewer:
    (name,) = json.load(urllib.request.urlopen(viewer.url))
    run = json.load(urllib.request.urlopen(viewer.url + "/" + urllib.request.quote(name, safe="")))
    print(run["name"], sum("values" in event for event in run["events"]) >= 6)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=files, env={**os.environ, **INSTALLED}, capture_output=True, text=True, check=False
    )
    assert done.stdout == "run True\n", done.stderr


def test_auto_does_not_take_a_tracker_that_needs_a_server(files: Path, cli: Command) -> None:
    (files / "auto.yml").write_text(yaml.safe_dump({**TALLY, "trackers": "auto"}))
    trackers = yaml.safe_load(cli("config", "show", "-c", "auto.yml", env=INSTALLED).fine())["trackers"]
    assert trackers == ["tensorboard", "visualdl"]


def test_a_data_set_in_its_format(cli: Command, tmp_path: Path) -> None:
    from PIL import Image

    source = tmp_path / "source"
    source.mkdir()
    rows = []
    for number in range(8):
        Image.new("RGB", (32, 32), (number * 20, 0, 0)).save(source / f"{number}.png")
        rows.append(f"{number}.png {'ab'[number % 2]} 16 {8 + number}")
    (source / "dots.txt").write_text("\n".join(rows))
    spec = {"name": "dotted", "format": "dots", "classes": ["a", "b"]}
    (tmp_path / "dotted.yml").write_text(yaml.safe_dump(spec))
    told = cli("data", "prepare", "dotted.yml", "--source", source, env={**INSTALLED, "RUNNER_DATA": str(tmp_path / "data")})
    assert told.code == 0, told.err
    train = json.loads((tmp_path / "data" / "dotted" / "annotations" / "train.json").read_text())
    assert len(train["annotations"]) == 6 and train["annotations"][0]["bbox"] == [12, 4, 8, 8]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("train", "-c", "tally.yml", "--launcher", "shel"), "unknown launcher 'shel'; did you mean 'shell'?"),
        (
            ("sweep", "sweep.yml", "--launcher", "unfinished"),
            "launcher 'unfinished' cannot be used: in_process is 'no' (expected bool); shares_machine is missing (expected bool); "
            "cancel() is missing; capacity() is missing; close() is missing; free() is missing; open() is missing; poll() is missing "
            "(sundry 0.1, entry point unfinished = sundry_launcher:UnfinishedLauncher)",
        ),
        (("train", "-c", "tally.yml", "-o", "trackers=[bord]"), "did you mean 'board'?"),
        (("train", "-c", "tally.yml", "-o", "backend=taly"), "unknown backend 'taly'"),
        (("train", "-c", "tally.yml", "-o", "goal=0"), "goal: is reached before the first step"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(files: Path, cli: Command, arguments: tuple[str, ...], words: str) -> None:
    assert words in cli(*arguments, env=INSTALLED).refused()


def test_doctor_names_what_cannot_be_used(cli: Command) -> None:
    told = cli("doctor", env=INSTALLED)
    (line,) = [line for line in told.out.splitlines() if "plug-in" in line and "unfinished" in line]
    assert "sundry 0.1" in line and told.code == 1


def test_without_the_distribution_its_names_are_unknown(files: Path, cli: Command) -> None:
    assert "unknown backend 'tally'" in cli("train", "-c", "tally.yml").refused()
    assert "unknown launcher 'shell'" in cli("sweep", "sweep.yml", "--launcher", "shell").refused()


def test_verify_promises_no_repair_where_the_backend_is_not_installed(files: Path, cli: Command) -> None:
    cli("sweep", "sweep.yml", "-o", "trackers=[]", env=INSTALLED).fine()
    before = {path: path.read_bytes() for path in (files / "runs").rglob("config.yml")}
    told = cli("verify", "runs/sweep")
    assert told.code == 0 and told.out.count("config.yml: was not checked: unknown backend 'tally'") == len(before) == 6
    assert "install the distribution that provides it" in told.out and "--repair" not in told.out
    assert cli("verify", "runs/sweep", "--repair").code == 0
    assert {path: path.read_bytes() for path in before} == before


def test_verify_says_that_a_config_cannot_be_repaired(files: Path, cli: Command) -> None:
    cli("sweep", "sweep.yml", env=INSTALLED).fine()
    for path in (files / "runs").rglob("config.yml"):
        path.write_text(path.read_text().replace("goal: 10.0", "goal: ten"))
    told = cli("verify", "runs/sweep", env=INSTALLED)
    assert told.code == 1 and told.out.count("it cannot be repaired: no other run has the same base config") == 6
    assert "--repair" not in told.out
