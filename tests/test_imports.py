"""What `runner --help` loads: nothing heavy, and no third party's package at all."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {
    *("torch", "torchvision", "paddle", "optuna", "scipy", "numpy", "rich", "cv2", "PIL", "yaml", "hotcoco", "pycocotools", "psutil"),
    *("tensorboard", "visualdl", "pandas", "starlette", "uvicorn", "msgspec"),
}
SCRIPT = """
import json, sys
try:
    {}
except SystemExit:
    pass
print()
print(json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}})))
"""


def loaded_after(code: str) -> set[str]:
    """Top-level modules that are loaded once `code` has run in a fresh interpreter."""
    done = subprocess.run([sys.executable, "-c", SCRIPT.format(code)], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["train", "--help"], ["sweep", "--help"], ["config", "show", "--help"], ["data", "prepare", "--help"]],
)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    loaded = loaded_after(f"from runner.cli.main import main; main({arguments})")
    assert not loaded & HEAVY, loaded & HEAVY


def test_importing_the_package_loads_nothing() -> None:
    loaded = loaded_after("import runner; assert 'train' in dir(runner) and runner.__version__")
    assert not loaded & (HEAVY | {"argparse", "pathlib"}), loaded


def test_the_python_api_loads_no_framework() -> None:
    loaded = loaded_after("import runner; runner.open_sweep, runner.train, runner.compare, runner.RunnerError")
    assert not loaded & {"torch", "torchvision", "paddle", "cv2", "optuna", "scipy", "tensorboard", "visualdl", "pandas", "IPython"}


def test_checking_a_config_loads_no_framework() -> None:
    loaded = loaded_after("from runner.resolve import resolve; resolve('configs/fcos_tiny.yml', ['use_gpu=false'])")
    assert not loaded & {"torch", "torchvision", "paddle", "cv2", "optuna", "scipy", "tensorboard", "visualdl"}


def test_the_drivers_process_loads_no_framework() -> None:
    loaded = loaded_after("import runner.sweep.session, runner.launch.local")
    assert not loaded & {"torch", "torchvision", "paddle", "cv2", "optuna", "scipy", "tensorboard", "visualdl"}


def test_help_of_the_command_works(cli: Callable[..., Any]) -> None:
    text = cli("--help").fine()
    for command in (
        "train",
        "sweep",
        "pause",
        "resume",
        "verify",
        "drill",
        "compare",
        "dashboard",
        "eval",
        "predict",
        "ls",
        "config",
        "data",
        "doctor",
    ):
        assert f"\n  {command}" in text
        assert cli(command, "--help").fine().startswith(f"usage: runner {command}")
