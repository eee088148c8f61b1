"""The contract suites for `sundry`, run where it is installed (see tests/plugins/test_sundry.py)."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import pytest
import yaml
from sundry_launcher import ShellLauncher
from sundry_tracker import BoardTracker

from runner.launch.base import Demand, Launcher
from runner.testing.backends import BackendContract
from runner.testing.launchers import LauncherContract
from runner.testing.searches import SearchContract
from runner.testing.trackers import Points, TrackerContract
from runner.trackers.base import Target


class TestTally(BackendContract):
    backend = "tally"
    framework = ("numpy", "torch")

    @classmethod
    def write_config(cls, folder: Path) -> Path:
        keys = {"backend": "tally", "max_iters": 8, "snapshot_iter": 2, "eval_at_snapshot": True, "log_iter": 1, "step_s": 0.05}
        (folder / "tally.yml").write_text(yaml.safe_dump(keys))
        return folder / "tally.yml"


class TestShell(LauncherContract):
    plugin = ShellLauncher
    limits_memory = False

    @pytest.fixture
    def launcher(self) -> Iterator[Launcher]:
        launcher = ShellLauncher.open(Demand(concurrency=2))
        yield launcher
        launcher.close()


class TestBoard(TrackerContract):
    plugin = BoardTracker

    @pytest.fixture
    def target(self, tmp_path: Path) -> Iterator[Target]:
        with subprocess.Popen([sys.executable, "-m", "sundry_board", "127.0.0.1", "0"], stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            address = f"http://127.0.0.1:{server.stdout.readline().strip()}"
            yield Target(tmp_path / "folder", "run", "0001-lr=0.02, 'é' #1/2", "my 'sweep'", address)
            server.kill()

    @pytest.fixture
    def unusable(self, tmp_path: Path) -> Target:
        return Target(tmp_path, "run", "gone", "", "http://127.0.0.1:9")

    def events(self, target: Target) -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"{target.server}/runs/{quote(target.run, safe='')}", timeout=5) as answer:
            events: list[dict[str, Any]] = json.load(answer)["events"]
        return events

    def read(self, target: Target) -> Points:
        points: dict[str, list[tuple[int, float, float]]] = {}
        for event in self.events(target):
            for tag, value in event.get("values", {}).items():
                points.setdefault(tag, []).append((event["step"], event["time"], value))
        return points

    def read_images(self, target: Target) -> Mapping[str, Sequence[int]]:
        return {"samples/0": [event["step"] for event in self.events(target) if event.get("tag") == "samples/0"]}


class TestEnds(SearchContract):
    design: ClassVar[str] = "ends"
    sweep: ClassVar[Mapping[str, Any]] = {"design": "ends", "vary": {"lr": [0.2, 0.3, 0.4], "width": [2, 3]}, "seeds": [0, 1]}
