"""The environment that Paddle's tests run in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.preloaded import Preloaded


@pytest.fixture(scope="module")
def work(paddle_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Preloaded]:
    """Works on a run in a process of its own that has Paddle loaded. Its store of weights is in its folder."""
    folder = tmp_path_factory.mktemp("cwd")
    modules = ["runner.backends.paddle.training", "runner.worker.main"]
    preloaded = Preloaded(paddle_python, modules, folder, {"RUNNER_WEIGHTS": str(folder / "weights")})
    yield preloaded
    preloaded.close()
