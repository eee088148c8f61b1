"""Workers forked from a process that has the framework loaded, so that each test does not pay for importing it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.preloaded import Preloaded

from runner.resolve import resolve
from runner.store.run_dir import RunDir
from runner.sweep.plan import plan_single
from runner.sweep.runs import prepare_run_dir

ROOT = Path(__file__).resolve().parents[2]


MODULES = (
    "runner.backends.torch.loop",
    "runner.backends.torch.predict",
    "runner.evaluation",
    "runner.trackers.tensorboard",
    "runner.trackers.visualdl",
    "runner.worker.main",
)
"""What a worker would import."""


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Preloaded]:
    """Works on a run in a process of its own: ``work(run)``."""
    preloaded = Preloaded(sys.executable, MODULES, tmp_path_factory.mktemp("cwd"), {"PYTHONPATH": str(ROOT)})
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
