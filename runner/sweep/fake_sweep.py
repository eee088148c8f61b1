"""Sweeps of the scripted trainer as real processes, for the drill and the tests of fault tolerance."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psutil
import yaml

from runner.core.files import read_json
from runner.core.importing import child_environment
from runner.store.checkpoints import file_sha256
from runner.store.events import Event
from runner.store.journal import read_journal
from runner.store.run_dir import RunDir
from runner.sweep.sweep_dir import SweepDir

T = TypeVar("T")
E = TypeVar("E", bound=Event)
CONFIG: Mapping[str, Any] = {
    "backend": "fake",
    "max_iters": 40,
    "step_s": 0.005,
    "snapshot_iter": 5,
    "eval_at_snapshot": True,
    "log_iter": 1,
    "parameters": {"lr": 0.02},
    "metrics": {"bbox/AP": "0.5 * (1 - exp(-3 * step / steps)) - 0.01 * (log(parameters.lr) + 4) ** 2 + 0.01 * noise"},
}
"""A run of 40 steps, a fifth of a second, with a checkpoint and an evaluation every five."""
SWEEP: Mapping[str, Any] = {
    "config": "config.yml",
    "vary": {"parameters.lr": [0.01, 0.04]},
    "seeds": [0, 1],
    "resources": {"concurrency": 2},
}
"""Three trials with two seeds."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The result of a command."""

    code: int
    out: str
    err: str


@dataclass
class FakeSweep:
    """A sweep file in a folder, its directory, and drivers of it.

    Args:
        folder: holds config.yml, sweep.yml and ``runs/sweep``.
        env: variables set on top of this process's own.
    """

    folder: Path
    env: dict[str, str] = field(default_factory=dict)
    drivers: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def sweep(self) -> SweepDir:
        """The sweep's directory."""
        return SweepDir(self.folder / "runs" / "sweep")

    def write(self, *, config: Mapping[str, Any] | None = None, **keys: Any) -> None:
        """Write config.yml and sweep.yml: `CONFIG` and `SWEEP` with changes."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "config.yml").write_text(yaml.safe_dump({**CONFIG, **(config or {})}), encoding="utf-8")
        (self.folder / "sweep.yml").write_text(yaml.safe_dump({**SWEEP, **keys}), encoding="utf-8")

    def command(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """Start ``runner ARGUMENT…`` in the folder."""
        argv = [sys.executable, "-P", "-m", "runner", *map(str, arguments)]
        env = child_environment({"COLUMNS": "100", "NO_COLOR": "1"}, self.env)
        process = subprocess.Popen(argv, cwd=self.folder, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.drivers.append(process)
        return process

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a driver."""
        return self.command("sweep", "sweep.yml", *arguments)

    def finish(self, process: subprocess.Popen[str] | None = None, timeout_s: float = 180) -> Ended:
        """Wait for the end of a command, by default of a new driver. Raises subprocess.TimeoutExpired."""
        process = process or self.start()
        out, err = process.communicate(timeout=timeout_s)
        return Ended(process.returncode, out, err)

    def events(self, *kinds: type[E]) -> list[E]:
        """Read the journal."""
        return list(read_journal(self.sweep.journal, *kinds))

    def run(self, name: str) -> RunDir:
        """Return the directory of a run."""
        return RunDir(self.sweep.runs / name)

    def states(self) -> dict[str, str]:
        """Return the runs' names with their states."""
        return {name: self.run(name).status().state for name in self.sweep.run_names()}

    def worker(self, name: str = "0000-baseline-s0", step: int = 0, attempt: int = 1) -> psutil.Process:
        """Wait until a run has passed a step; return its worker."""

        def look() -> psutil.Process | None:
            status = self.run(name).status()
            if status.state != "running" or status.step < step or status.attempt < attempt:
                return None
            try:
                return psutil.Process(status.pid)
            except psutil.NoSuchProcess:
                return None

        return wait_for(look, f"{name} at step {step} of attempt {attempt}")

    def close(self) -> None:
        """Kill the drivers that are left."""
        for driver in self.drivers:
            if driver.poll() is None:
                driver.kill()
            driver.communicate()


def wait_for(condition: Callable[[], T | None], what: str, limit_s: float = 120) -> T:
    """Wait until `condition` is true; return its value. Raises TimeoutError with `what` in it."""
    deadline = time.monotonic() + limit_s
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {limit_s:g} s")
        time.sleep(0.01)
    return found


def results_of(sweep: SweepDir) -> dict[str, Any]:
    """Return the data that sweeps with the same results share: by run name the key, the content of eval.json, every recorded number
    except memory, and the name and hash of the last checkpoint."""
    found: dict[str, Any] = {}
    for name in sweep.run_names():
        run = RunDir(sweep.runs / name)
        identity, checkpoints = run.identity(), sorted(run.checkpoints.glob("step-*"))
        numbers: dict[str, dict[int, float]] = {}
        for record in run.records():
            for tag, value in record.values.items():
                if not tag.startswith("resource/"):
                    numbers.setdefault(tag, {})[record.step] = value
        found[name] = {
            "key": identity.key if identity else "",
            "result": read_json(run.evaluation),
            "records": numbers,
            "checkpoint": [(path.name, file_sha256(path)) for path in checkpoints[-1:]],
        }
    return found


def steps_twice(run: RunDir) -> list[tuple[str, int]]:
    """Return the (tag, step) pairs that a run's records hold more than once."""
    seen: set[tuple[str, int]] = set()
    twice = []
    for record in run.records():
        for tag in record.values:
            if (tag, record.step) in seen:
                twice.append((tag, record.step))
            seen.add((tag, record.step))
    return twice
