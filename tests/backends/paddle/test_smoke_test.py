"""The real environment: what `runner backend` says of it, and that it trains."""

from __future__ import annotations

import json
import math
import subprocess
import time
from pathlib import Path

import pytest

from runner.environments import interpreters as environments
from runner.environments.specs import SPECS


def test_the_environment_has_what_the_backend_needs(paddle_python: Path) -> None:
    found = environments.versions(paddle_python, ["paddlepaddle", "paddlepaddle-gpu", "paddledet", "numpy", "hotcoco", "rich", "nothing"])
    assert found["paddledet"].startswith("2.6.") and found["numpy"].startswith("1.23.")
    assert {"paddlepaddle", "paddlepaddle-gpu"} & found.keys() and {"hotcoco", "rich"} <= found.keys() and "nothing" not in found


def test_looking_for_it_is_quick_and_done_once(paddle_python: Path) -> None:
    environments.forget()
    environments.interpreter("paddle", str(paddle_python))
    started = time.perf_counter()
    for _ in range(100):
        assert environments.interpreter("paddle", str(paddle_python)).origin == "given"
    assert time.perf_counter() - started < 0.5


@pytest.mark.slow
def test_smoke_test_trains_a_step(paddle_python: Path, tmp_path: Path) -> None:
    answer = tmp_path / "an 'answer' ü.json"
    command = [str(paddle_python), "-m", SPECS["paddle"].check]
    done = subprocess.run([*command, str(answer)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(answer.read_text(encoding="utf-8"))
    assert math.isfinite(found["loss"]) and found["seconds"] > 0 and found["versions"]["paddledet"].startswith("2.6.")
    assert list(tmp_path.iterdir()) == [answer], "it leaves nothing where it runs"
