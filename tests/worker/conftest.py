"""Workers forked from a process that has the framework loaded, so that each test does not pay for importing it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.conduct import prepare_run_dir
from runner.core.rundir import RunDir
from runner.plan import plan_single
from runner.resolve import resolve

ROOT = Path(__file__).resolve().parents[2]


class Preloaded:
    """The process, and a worker of it for each call."""

    def __init__(self, cwd: Path) -> None:
        env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        argv = [sys.executable, str(Path(__file__).with_name("preloaded.py"))]
        self._process = subprocess.Popen(argv, cwd=cwd, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._read() == {"ready": True}

    def __call__(self, run: RunDir, *, number: int | None = None, after_s: float = 0.0, twice: bool = False) -> int:
        """Work on a run; `number` is a signal sent `after_s` after the start. Returns what `subprocess` would have."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"run_dir": str(run.path), "signal": number, "after_s": after_s, "twice": twice}) + "\n")
        self._process.stdin.flush()
        answer = self._read()
        self.seconds: float = answer["seconds"]
        code: int = answer["returncode"]
        return code

    def close(self) -> None:
        """End it."""
        self._process.stdin.close()  # type: ignore[union-attr]
        assert self._process.wait(timeout=60) == 0
        self._process.stdout.close()  # type: ignore[union-attr]

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the preloaded process has died"
        return json.loads(line)


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Preloaded]:
    """Works on a run in a process of its own: ``work(run)``."""
    preloaded = Preloaded(tmp_path_factory.mktemp("cwd"))
    yield preloaded
    preloaded.close()


@pytest.fixture
def new_run(write_config: Callable[..., Path], tmp_path: Path) -> Callable[..., RunDir]:
    """Makes a run directory of the small config with changes, ready for a worker."""

    def make(name: str = "a run 'ü'", *, data: Path | None = None, **changes: Any) -> RunDir:
        options = {} if data is None else {"data": data}
        run = RunDir(tmp_path / name)
        prepare_run_dir(plan_single(resolve(write_config(f"{name}.yml", **options, **changes)), run))
        return run

    return make
