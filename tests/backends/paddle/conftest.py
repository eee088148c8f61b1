"""The environment that Paddle's tests run in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.testing.preloaded import Preloaded


@pytest.fixture(scope="session")
def paddle_python() -> Path:
    """An interpreter with Paddle: ``RUNNER_TEST_PADDLE``, else what a run would use. Without one the test is skipped; with
    ``RUNNER_REQUIRE_PADDLE`` set, as .ci/run does, it fails."""
    from runner.core.errors import InputError
    from runner.environments.interpreters import interpreter

    try:
        return interpreter("paddle", os.environ.get("RUNNER_TEST_PADDLE")).python
    except InputError as error:
        if os.environ.get("RUNNER_REQUIRE_PADDLE"):
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def work(paddle_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Preloaded]:
    """Works on a run in a process of its own that has Paddle loaded."""
    preloaded = Preloaded(paddle_python, ["runner.backends.paddle.training", "runner.worker.main"], tmp_path_factory.mktemp("cwd"))
    yield preloaded
    preloaded.close()
