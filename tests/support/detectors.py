"""Makes runs of detectors with given boxes: annotations, images, predictions.json and eval.json, without training."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from runner.core.files import atomic_write_json
from runner.evaluation import evaluate
from runner.store.run_dir import RunDir
from support.finished import make_run

CLASSES = ("hole", "short")
Box = tuple[float, float, float, float]


def make_truth(
    folder: Path,
    boxes: Mapping[str, Sequence[tuple[int, Box]]],
    classes: Sequence[str] = CLASSES,
    *,
    size: tuple[int, int] = (100, 80),
    images: bool = True,
    anno: str = "val.json",
) -> Path:
    """Write annotations, and grey images, of a data set: file name to boxes, each as (class, xywh)."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = {name: index + 1 for index, name in enumerate(boxes)}
    annotations = [(numbers[name], label, box) for name, found in boxes.items() for label, box in found]
    document = {
        "images": [{"id": number, "file_name": name, "width": size[0], "height": size[1]} for name, number in numbers.items()],
        "categories": [{"id": index + 1, "name": name} for index, name in enumerate(classes)],
        "annotations": [
            {"id": index + 1, "image_id": image, "category_id": label + 1, "bbox": list(box), "area": box[2] * box[3], "iscrowd": 0}
            for index, (image, label, box) in enumerate(annotations)
        ],
    }
    (folder / anno).write_text(json.dumps(document), encoding="utf-8")
    for name in boxes if images else ():
        path = folder / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), np.uint8)
        Image.fromarray(pixels).save(path)
    return folder


def make_detector(
    sweep: Path,
    data: Path,
    found: Mapping[str, Sequence[tuple[int, Box, float]]],
    trial: int = 0,
    seed: int = 0,
    *,
    label: str = "baseline",
    predictions: bool = True,
    anno: str = "val.json",
    **given: Any,
) -> RunDir:
    """Make a finished run with these detections: file name to (class, xywh, score); its evaluation is computed."""
    document = json.loads((data / anno).read_text(encoding="utf-8"))
    numbers = {image["file_name"]: image["id"] for image in document["images"]}
    entries = [
        {"image_id": numbers[name], "category_id": kind + 1, "bbox": list(box), "score": score}
        for name, boxes in found.items()
        for kind, box, score in boxes
    ]
    result = evaluate(data / anno, entries)
    rate = 0.002 * (trial + 1)
    given = {"overrides": {"LearningRate.base_lr": rate} if trial else {}, "base_lr": rate, **given}
    run = make_run(sweep, trial, seed, label=label, ap=result.metrics.get("bbox/AP", 0.0), metrics=result.metrics, **given)
    classes = document["categories"]
    extra = {"classes": [each["name"] for each in classes], "category_ids": [each["id"] for each in classes]}
    atomic_write_json(run.evaluation, {"step": 300, **extra, **result.to_json()})
    if predictions:
        atomic_write_json(run.predictions, entries)
    config = (
        run.config.read_text(encoding="utf-8")
        .replace("data/boards", json.dumps(str(data)))
        .replace("anno_path: val.json", f"anno_path: {anno}")
    )
    run.config.write_text(config, encoding="utf-8")
    return run
