"""A small data set, a small model, and a run context that only remembers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from runner.backends.torch import schema
from runner.backends.torch.models.fcos import schema as fcos
from runner.backends.torch.models.layers import schema as layers
from runner.backends.torch.schema import TorchConfig
from runner.backends.torch.transforms import schema as transforms
from runner.store.run_dir import FORMER_METRIC, PrimaryMetric, RunDir

CLASSES = ("short", "spur")


def write_data(folder: Path, *, n: int = 24, seed: int = 0) -> Path:
    """`n` noisy images of 64 to 96 px with one or two bright rectangles each (the last has none), and train.json. Returns the folder."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for number in range(n):
        height, width = (int(side) for side in rng.integers(64, 97, 2))
        picture = rng.integers(0, 60, (height, width, 3), dtype=np.uint8)
        for _ in range(0 if number == n - 1 else 1 + number % 2):
            w, h = (int(side) for side in rng.integers(14, 30, 2))
            x, y, label = int(rng.integers(0, width - w)), int(rng.integers(0, height - h)), int(rng.integers(2))
            picture[y : y + h, x : x + w] = (220, 40, 40) if label == 0 else (40, 220, 40)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": 100 + number,
                    "category_id": 3 + 4 * label,
                    "bbox": [x, y, w, h],
                    "area": w * h,
                    "iscrowd": 0,
                }
            )
        name = f"bild {number} é.png"
        cv2.imwrite(str(folder / "images" / name), picture)
        images.append({"id": 100 + number, "file_name": name, "width": width, "height": height})
    categories = [{"id": 3, "name": CLASSES[0]}, {"id": 7, "name": CLASSES[1]}]
    (folder / "train.json").write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": categories}), encoding="utf-8"
    )
    return folder


def small_config(data: Path, **changes: Any) -> TorchConfig:
    """FCOS on three stages of ResNet-18, 32 channels wide, 64 px, batches of 4, one epoch. `changes` are keys of TorchConfig."""
    target = fcos.Gt2FCOSTarget(object_sizes_boundary=(24.0, 48.0), center_sampling_radius=1.5, downsample_ratios=(8, 16, 32))
    after = (transforms.NormalizeImage(), transforms.Permute())
    config = TorchConfig(
        architecture=fcos.FCOS(
            backbone=layers.ResNet(depth=18, freeze_norm=False, freeze_at=-1, return_idx=(1, 2), num_stages=3),
            neck=layers.FPN(out_channel=32, spatial_scales=(0.125, 0.0625), extra_stage=1, has_extra_convs=True, use_c5=False),
            fcos_head=fcos.FCOSHead(
                num_classes=2,
                fcos_feat=fcos.FCOSFeat(feat_in=32, feat_out=32, num_convs=1),
                fpn_stride=(8, 16, 32),
                nms=layers.MultiClassNMS(nms_top_k=50, keep_top_k=10),
            ),
        ),
        num_classes=2,
        train_dataset=schema.COCODataSet(dataset_dir=str(data), image_dir="images", anno_path="train.json"),
        eval_dataset=schema.COCODataSet(dataset_dir=str(data), image_dir="images", anno_path="train.json", sample_num=8),
        train_reader=schema.TrainReader(
            sample_transforms=(
                transforms.Decode(),
                transforms.RandomResize(target_size=(56, 64), keep_ratio=True),
                transforms.RandomFlip(),
                *after,
            ),
            batch_transforms=(transforms.PadBatch(pad_to_stride=32), target),
            batch_size=4,
            num_classes=2,
        ),
        eval_reader=schema.EvalReader(
            sample_transforms=(transforms.Decode(), transforms.Resize(target_size=64, keep_ratio=True), *after),
            batch_transforms=(transforms.PadBatch(pad_to_stride=32),),
            batch_size=3,
            num_classes=2,
        ),
        learning_rate=schema.LearningRate(
            base_lr=0.01, schedulers=(schema.PiecewiseDecay(gamma=(0.1,), milestones=(2,)), schema.LinearWarmup(steps=3))
        ),
        worker_num=0,
        epoch=1,
        use_gpu=False,
        log_iter=2,
    )
    return replace(config, **changes)


@dataclass
class Remembering:
    """A RunContext that keeps what it is told; it stops the run at `stop_at` steps, and fails in the evaluation with `die_evaluating`."""

    run_dir: RunDir
    primary_metric: PrimaryMetric = FORMER_METRIC
    attempt: int = 1
    resume_from: Path | None = None
    stop_at: int | None = None
    die_evaluating: bool = False
    records: list[tuple[int, float, dict[str, float]]] = field(default_factory=list)
    evaluations: list[tuple[int, bool, list[dict[str, Any]]]] = field(default_factory=list)
    marks: list[tuple[int, float]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    rank: int = 0
    ranks: int = 1

    def all_gather(self, value: Any) -> list[Any]:
        return [value]

    def resumed(self, step: int, epoch: float) -> None:
        self.marks.append((step, epoch))

    def record(self, step: int, epoch: float, values: Mapping[str, float]) -> None:
        self.records.append((step, epoch, dict(values)))

    def progress(self, step: int, steps: int, epoch: float, phase: str, values: Mapping[str, float] | None = None) -> None:
        self.steps.append(step)

    def evaluate(self, predictions: Sequence[Mapping[str, Any]], step: int, epoch: float, *, final: bool) -> dict[str, float]:
        if self.die_evaluating:
            raise AssertionError("killed")
        self.evaluations.append((step, final, [dict(item) for item in predictions]))
        return {"bbox/AP": 0.01 * len(self.evaluations)}

    def stop_requested(self) -> str | None:
        return "asked to" if self.stop_at is not None and self.steps and self.steps[-1] >= self.stop_at else None

    def stopped_early(self, reason: str, planned: int) -> None:
        self.said.append(reason)

    def say(self, message: str) -> None:
        self.said.append(message)

    announce = say


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the small data set."""
    return write_data(tmp_path_factory.mktemp("some data"))


@pytest.fixture
def config(data: Path) -> Callable[..., TorchConfig]:
    """Makes the small config with changes."""
    return lambda **changes: small_config(data, **changes)


@pytest.fixture
def new_run(tmp_path: Path) -> Callable[..., Remembering]:
    """Makes a run context of the run directory `name`."""

    def make(name: str = "lauf é", **changes: Any) -> Remembering:
        (tmp_path / name).mkdir(exist_ok=True)
        return Remembering(RunDir(tmp_path / name), **changes)

    return make


@pytest.fixture
def make_data() -> Callable[..., Path]:
    """`write_data`, for tests that damage what it wrote."""
    return write_data
