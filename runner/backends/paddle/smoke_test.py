"""`python -m runner.backends.paddle.smoke_test [FILE]`: does this environment work? One training step of a small FCOS by ppdet, on images
drawn here. The answer, JSON, goes to FILE or to stdout."""

from __future__ import annotations

import json
import math
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from runner.backends.paddle.ppdet import load_ppdet, quiet

_IMAGES = 2
_SIZE_PX = 64
_SHOWN = ("paddlepaddle", "paddlepaddle-gpu", "paddledet")
_CONFIG = """
architecture: FCOS
metric: COCO
num_classes: 1
use_gpu: {use_gpu}
worker_num: 0
epoch: 1
save_dir: {folder}
FCOS: {{backbone: ResNet, neck: FPN, fcos_head: FCOSHead}}
ResNet: {{depth: 18, norm_type: bn, freeze_at: -1, num_stages: 2, return_idx: [0, 1]}}
FPN: {{out_channel: 16, spatial_scales: [0.25, 0.125], extra_stage: 0}}
FCOSHead:
  fcos_feat: {{name: FCOSFeat, feat_in: 16, feat_out: 256, num_convs: 1, norm_type: bn}}
  fpn_stride: [4, 8]
  fcos_loss: {{name: FCOSLoss}}
  nms: {{name: MultiClassNMS, nms_top_k: 10, keep_top_k: 5, score_threshold: 0.1, nms_threshold: 0.5}}
TrainDataset:
  name: COCODataSet
  dataset_dir: {folder}
  image_dir: images
  anno_path: boxes.json
  data_fields: [image, gt_bbox, gt_class, is_crowd]
TrainReader:
  sample_transforms: [Decode: {{}}, NormalizeImage: {{}}, Permute: {{}}]
  batch_transforms:
  - PadBatch: {{pad_to_stride: 8}}
  - Gt2FCOSTarget: {{object_sizes_boundary: [24], center_sampling_radius: 1.5, downsample_ratios: [4, 8]}}
  batch_size: {images}
TestReader: {{sample_transforms: [Decode: {{}}]}}
LearningRate:
  base_lr: 0.01
  schedulers:
  - {{name: PiecewiseDecay, milestones: [1]}}
  - {{name: LinearWarmup, steps: 1, start_factor: 0.5}}
OptimizerBuilder: {{optimizer: {{type: Momentum, momentum: 0.9}}}}
"""


def smoke_test() -> dict[str, Any]:
    """Train one step, on a GPU if Paddle can use one.

    Returns:
        versions (distribution to version), gpus (names), seconds (of the step), loss.

    Raises:
        RuntimeError: the loss is not finite, or no weight changed.
        Exception: whatever Paddle and ppdet raise.
    """
    load_ppdet()
    import paddle  # noqa: PLC0415
    from ppdet.core.workspace import load_config  # noqa: PLC0415
    from ppdet.engine import Trainer  # noqa: PLC0415

    gpus = (
        [paddle.device.cuda.get_device_name(i) for i in range(paddle.device.cuda.device_count())] if paddle.is_compiled_with_cuda() else []
    )
    paddle.set_device("gpu" if gpus else "cpu")
    with tempfile.TemporaryDirectory(prefix="runner-smoke_test-") as name:
        config = _draw(Path(name), use_gpu=bool(gpus))
        trainer = Trainer(load_config(str(config)), mode="train")
        trainer.model.train()
        batch = next(iter(trainer.loader))
        weight = trainer.model.fcos_head.parameters()[0]
        before = weight.numpy().copy()
        started = time.perf_counter()
        loss = trainer.model(batch)["loss"]
        loss.backward()
        trainer.optimizer.step()
        value = float(loss)
        seconds = time.perf_counter() - started
    if not math.isfinite(value) or (weight.numpy() == before).all():
        raise RuntimeError(f"a training step had the loss {value}, or left the head's weights as they were")
    return {"versions": _versions(), "gpus": gpus, "seconds": round(seconds, 3), "loss": value}


def _draw(folder: Path, *, use_gpu: bool) -> Path:
    """Write grey images with a white square each, their COCO annotations, and a config that trains on them; return the config's path."""
    from PIL import Image  # noqa: PLC0415

    (folder / "images").mkdir()
    box = (16, 16, 47, 47)
    for index in range(_IMAGES):
        image = Image.new("RGB", (_SIZE_PX, _SIZE_PX), (90, 90, 90))
        image.paste((255, 255, 255), box)
        image.save(folder / "images" / f"{index}.png")
    width, height = box[2] - box[0], box[3] - box[1]
    document = {
        "images": [{"id": i + 1, "file_name": f"{i}.png", "width": _SIZE_PX, "height": _SIZE_PX} for i in range(_IMAGES)],
        "categories": [{"id": 1, "name": "square"}],
        "annotations": [
            {"id": i + 1, "image_id": i + 1, "category_id": 1, "bbox": [*box[:2], width, height], "area": width * height, "iscrowd": 0}
            for i in range(_IMAGES)
        ],
    }
    (folder / "boxes.json").write_text(json.dumps(document), encoding="utf-8")
    config = folder / "config.yml"
    text = _CONFIG.format(folder=json.dumps(str(folder)), images=_IMAGES, use_gpu=str(use_gpu).lower())
    config.write_text(text, encoding="utf-8")
    return config


def _versions() -> dict[str, str]:
    names = {(found.metadata["Name"] or "").lower(): found.version for found in metadata.distributions()}
    return {name: names[name] for name in _SHOWN if name in names}


def main(arguments: list[str]) -> None:
    """Write the answer to the file named, or print it."""
    text = json.dumps(quiet(smoke_test))
    if arguments:
        Path(arguments[0]).write_text(text + "\n", encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main(sys.argv[1:])
