"""What many tests need: a small data set, a config that trains in seconds, and `runner` as a process of its own."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import yaml
from support.browser import chromium, pages  # noqa: F401 - fixtures
from support.sharing import made_once
from support.weights import site, store  # noqa: F401 - fixtures

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # the tests start a thousand processes, and each would compile the package again
sys.dont_write_bytecode = False
os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: tests run side by side, and threads that wait would spin
hypothesis.settings.register_profile("same", derandomize=True, deadline=None)  # passes always or never
hypothesis.settings.load_profile("same")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest; `make test` keeps the tests of a file on one worker, as they share its fixtures."""
    slow = {item.path for item in items if item.get_closest_marker("slow") or item.path.parent.name == "survival"}
    items.sort(key=lambda item: item.path not in slow)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line what was skipped, and why."""
    reasons = Counter(str(report.longrepr[2]).removeprefix("Skipped: ") for report in terminalreporter.stats.get("skipped", ()))
    if reasons:
        terminalreporter.write_line("skipped: " + "; ".join(f"{count} × {reason}" for reason, count in sorted(reasons.items())))


ROOT = Path(__file__).resolve().parents[1]
"""The checkout."""

CLASSES = ("short", "open circuit")


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    def refused(self) -> str:
        """Its one message, after checking that it was refused as bad input: exit code 2, no traceback, nothing on stdout."""
        assert self.code == 2, (self.code, self.out, self.err)
        assert "Traceback" not in self.err and self.out == "", (self.out, self.err)
        assert sum(line.startswith("runner: ") for line in self.err.splitlines()) == 1, self.err
        return self.err

    def fine(self) -> str:
        """What it printed, after checking that it worked."""
        assert self.code == 0, (self.code, self.out, self.err)
        return self.out


Cli = Callable[..., Result]
WriteConfig = Callable[..., Path]


def command(*arguments: str | Path) -> list[str]:
    """The argv of ``runner ARGUMENT…``."""
    return [sys.executable, "-m", "runner", *map(str, arguments)]


def environment() -> dict[str, str]:
    """This process's variables, one thread a library, none that change where data lies."""
    kept = {name: value for name, value in os.environ.items() if name != "RUNNER_DATA"}
    return {**kept, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "COLUMNS": "100", "NO_COLOR": "1"}


def run_cli(*arguments: str | Path, cwd: Path, env: Mapping[str, str] | None = None, timeout_s: float = 240) -> Result:
    """``runner ARGUMENT…`` in `cwd`, waited for."""
    done = subprocess.run(
        command(*arguments), cwd=cwd, env={**environment(), **(env or {})}, capture_output=True, text=True, timeout=timeout_s, check=False
    )
    return Result(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """``cli("train", "-c", path)``: the command in tmp_path."""

    def run(*arguments: str | Path, cwd: Path = tmp_path, **options: Any) -> Result:
        return run_cli(*arguments, cwd=cwd, **options)

    return run


@pytest.fixture
def cli_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """``cli`` in this process, for what a command prints and leaves: a process of its own takes half a second longer."""
    from support.damage import call

    from runner.cli.main import main

    monkeypatch.delenv("RUNNER_DATA", raising=False)
    for name, value in (("COLUMNS", "100"), ("NO_COLOR", "1")):
        monkeypatch.setenv(name, value)

    def run(*arguments: str | Path) -> Result:
        ended = call(tmp_path, lambda: main([str(argument) for argument in arguments]))
        assert not ended.trouble, ended
        return Result(ended.code, ended.out, ended.err)

    return run


def write_coco(folder: Path, *, images: int = 16, size: int = 64, seed: int = 0) -> Path:
    """Dark images with a bright rectangle or two: ``images/``, ``train.json`` (three quarters), ``val.json`` (the rest)."""
    from PIL import Image, ImageDraw

    numbers = random.Random(seed)
    (folder / "images").mkdir(parents=True)
    entries: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    for index in range(images):
        picture = Image.new("RGB", (size, size), tuple(numbers.randrange(60) for _ in range(3)))
        for _ in range(1 + index % 2):
            width, height = numbers.randrange(12, 28), numbers.randrange(12, 28)
            x, y, kind = numbers.randrange(size - width), numbers.randrange(size - height), numbers.randrange(2)
            ImageDraw.Draw(picture).rectangle((x, y, x + width - 1, y + height - 1), fill=((230, 50, 50), (50, 230, 50))[kind])
            boxes.append(
                {
                    "id": len(boxes) + 1,
                    "image_id": index + 1,
                    "category_id": (3, 7)[kind],
                    "bbox": [x, y, width, height],
                    "area": width * height,
                    "iscrowd": 0,
                }
            )
        picture.save(folder / "images" / f"board {index:02d} ü.png")
        entries.append({"id": index + 1, "file_name": f"board {index:02d} ü.png", "width": size, "height": size})
    categories = [{"id": number, "name": name} for number, name in zip((3, 7), CLASSES, strict=True)]
    trained = images * 3 // 4
    for name, part in (("train", entries[:trained]), ("val", entries[trained:])):
        ids = {entry["id"] for entry in part}
        document = {"images": part, "categories": categories, "annotations": [box for box in boxes if box["image_id"] in ids]}
        (folder / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def coco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of 12 + 4 images that no test changes; damage a copy."""
    return made_once(tmp_path_factory, "some 'data' ü", lambda folder: write_coco(folder / "set")) / "set"


TINY: dict[str, Any] = {
    "architecture": "FCOS",
    "num_classes": 2,
    "use_gpu": False,
    "cpu_threads": 1,
    "worker_num": 0,
    "trackers": [],
    "sample_images": 1,
    "log_iter": 1,
    "max_iters": 4,
    "snapshot_iter": 2,
    "FCOS": {"backbone": "ResNet", "neck": "FPN", "fcos_head": "FCOSHead"},
    "ResNet": {"depth": 18, "freeze_at": -1, "freeze_norm": False, "num_stages": 2, "return_idx": [0, 1]},
    "FPN": {"out_channel": 16, "spatial_scales": [0.25, 0.125], "extra_stage": 0},
    "FCOSHead": {
        "fcos_feat": {"name": "FCOSFeat", "feat_in": 16, "feat_out": 16, "num_convs": 1, "norm_type": "bn"},
        "fpn_stride": [4, 8],
        "nms": {"name": "MultiClassNMS", "nms_top_k": 50, "keep_top_k": 10},
    },
    "TrainReader": {
        "sample_transforms": [
            {"Decode": {}},
            {"RandomFlip": {}},
            {"Resize": {"target_size": 48, "keep_ratio": False}},
            {"NormalizeImage": {}},
            {"Permute": {}},
        ],
        "batch_transforms": [
            {"PadBatch": {"pad_to_stride": 16}},
            {"Gt2FCOSTarget": {"object_sizes_boundary": [24], "center_sampling_radius": 1.5, "downsample_ratios": [4, 8]}},
        ],
        "batch_size": 2,
    },
    "EvalReader": {
        "sample_transforms": [
            {"Decode": {}},
            {"Resize": {"target_size": 48, "keep_ratio": False}},
            {"NormalizeImage": {}},
            {"Permute": {}},
        ],
        "batch_transforms": [{"PadBatch": {"pad_to_stride": 16}}],
        "batch_size": 4,
    },
    "LearningRate": {
        "base_lr": 0.01,
        "schedulers": [
            {"name": "PiecewiseDecay", "gamma": [0.1], "milestone_iters": [30]},
            {"name": "LinearWarmup", "start_factor": 0.1, "steps": 2},
        ],
    },
    "OptimizerBuilder": {"optimizer": {"type": "Momentum", "momentum": 0.9}, "regularizer": {"type": "L2", "factor": 0.0001}},
}
"""A config that trains four steps in about a second once torch is loaded."""


def tiny_config(path: Path, data: Path, **changes: Any) -> Path:
    """Write the small config for a data set as `write_coco` makes it; `changes` are top-level keys."""
    sides = {
        f"{side}Dataset": {"name": "COCODataSet", "dataset_dir": str(data), "image_dir": "images", "anno_path": f"{name}.json"}
        for side, name in (("Train", "train"), ("Eval", "val"))
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({**TINY, **sides, **changes}, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


@pytest.fixture
def write_config(tmp_path: Path, coco: Path) -> WriteConfig:
    """Makes the small config as tmp_path/NAME (default ``tiny.yml``), with changes of top-level keys."""

    def write(name: str = "tiny.yml", *, data: Path = coco, **changes: Any) -> Path:
        return tiny_config(tmp_path / name, data, **changes)

    return write


@dataclass(frozen=True)
class Trained:
    """A finished run that tests share. Copy what you want to change."""

    config: Path
    run: Path
    result: Result


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, coco: Path) -> Trained:
    """The small config, trained once by ``runner train``, with both trackers and an evaluation at every snapshot."""

    def train(folder: Path) -> None:
        config = tiny_config(folder / "tiny.yml", coco, trackers=["tensorboard", "visualdl"])
        result = run_cli("train", "-c", config, "--eval", "--run-dir", "a run", cwd=folder)
        assert result.code == 0, result.err
        (folder / "result.json").write_text(json.dumps(asdict(result)), encoding="utf-8")

    folder = made_once(tmp_path_factory, "trained 'run' ü", train)
    return Trained(folder / "tiny.yml", folder / "a run", Result(**json.loads((folder / "result.json").read_text(encoding="utf-8"))))


@pytest.fixture(scope="session")
def tiny_file(coco: Path) -> Callable[..., Path]:
    """Writes the small config to a path, with changes of top-level keys."""
    return lambda path, **changes: tiny_config(path, coco, **changes)


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
