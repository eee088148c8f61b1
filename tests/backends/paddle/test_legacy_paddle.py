"""Old configs of each translated kind train a step, evaluate and end on real Paddle."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CONFIGS = Path(__file__).parents[2] / "config" / "legacy_configs"
SMALL = (
    "max_iters=2",
    "snapshot_iter=2",
    "log_iter=1",
    "worker_num=0",
    "trackers=[]",
    "pretrain_weights=null",
    "save_dir=runs",
    "sample_images=0",
)
RESIZED = ("TrainReader.sample_transforms.3.Resize.target_size=[64, 128]", "EvalReader.sample_transforms.2.Resize.target_size=[64, 128]")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("fcos_1x.yml", ("ResNet.depth=18", *RESIZED)),
        pytest.param(
            "fcos_multiscale_dcn.yml",
            ("TrainReader.sample_transforms.3.RandomResize.target_size=[[64, 128], [96, 128]]", RESIZED[1]),
            marks=pytest.mark.exhaustive,
        ),
        pytest.param("faster_rcnn_vd.yml", RESIZED, marks=pytest.mark.exhaustive),
        pytest.param(
            "yolov3_darknet.yml",
            (
                "TrainReader.batch_transforms.0.BatchRandomResize.target_size=[64, 96]",
                "EvalReader.sample_transforms.1.Resize.target_size=[64, 64]",
            ),
            marks=pytest.mark.exhaustive,
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_old_config_trains_on_paddle(
    cli: Callable[..., Any], coco: Path, tmp_path: Path, paddle_python: Path, name: str, changes: tuple[str, ...]
) -> None:
    for path in CONFIGS.glob("*.yml"):
        shutil.copy(path, tmp_path)
    shutil.copytree(coco, tmp_path / "boards")
    result = cli("train", "-c", name, "-o", "backend=paddle", f"backend_python={paddle_python}", *SMALL, *changes)
    result.fine()
    assert "translated from PaddleDetection's older dialect" in result.out + result.err
    (run,) = (tmp_path / "runs").glob("*/*/run.json")
    status = json.loads(run.with_name("status.json").read_text())
    assert status["state"] == "done", status
