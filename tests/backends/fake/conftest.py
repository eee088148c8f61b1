"""Fake runs in processes forked from one that has imported what they need."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.preloaded import Preloaded

from runner.resolve import resolve
from runner.store.run_dir import RunDir
from runner.sweep.plan import plan_single
from runner.sweep.runs import prepare_run_dir

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Preloaded]:
    """Works on a run in a process of its own: ``work(run)``."""
    modules = ("runner.backends.fake.preload", "runner.worker.main")
    preloaded = Preloaded(sys.executable, modules, tmp_path_factory.mktemp("cwd"), {"PYTHONPATH": str(ROOT)})
    yield preloaded
    preloaded.close()


@pytest.fixture
def config(tmp_path: Path) -> Callable[..., Path]:
    """Writes a fake config with changes of top-level keys."""

    def write(**changes: Any) -> Path:
        path = tmp_path / "fake 'ü'.yml"
        base = {"backend": "fake", "max_iters": 10, "snapshot_iter": 4, "log_iter": 1, "eval_at_snapshot": True}
        path.write_text(yaml.safe_dump({**base, **changes}, sort_keys=False))
        return path

    return write


@pytest.fixture
def new_run(config: Callable[..., Path], tmp_path: Path) -> Callable[..., RunDir]:
    """Makes a fake run directory, ready for a worker."""

    def make(name: str = "a run 'ü'", **changes: Any) -> RunDir:
        run = RunDir(tmp_path / name)
        prepare_run_dir(plan_single(resolve(config(**changes)), run))
        return run

    return make
