"""Speed of `runner.evaluation` against pycocotools, from files to the same twelve numbers.

    python -m benchmarks.evaluation [--pairs 3] [--images 4000] [--detections 340000]

Runs come in pairs, so that whatever else the machine does slows both. A pair is one run of pycocotools and the median
of several of each quick one, half of them before it and half after. Imports and one warm-up of ours are not timed;
reading both files is. The twelve numbers must agree to 1e-9 in every pair. The ratios
stand last; exit code 1 if the numbers differ or the ratio is below 40.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import io
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from runner.core.files import atomic_write_json
from runner.evaluation import evaluate

REQUIRED = 40.0
TOLERANCE = 1e-9
QUICK_RUNS = 2  # before pycocotools, and as many after it
CLASSES = 80
WIDTH, HEIGHT = 640, 480
SEED = 1

Numbers = NDArray[np.float64]
Integers = NDArray[np.int64]


def main() -> int:
    """Run the benchmark; 0 if it meets its requirement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--detections", type=int, default=340_000)
    arguments = parser.parse_args()
    folder = Path(tempfile.gettempdir()) / f"runner-benchmark-evaluation-v2-{SEED}-{arguments.images}-{arguments.detections}"
    annotations, predictions = make_data(folder, arguments.images, arguments.detections)
    print(f"{arguments.images} images, {arguments.detections} detections in {predictions.stat().st_size / 1e6:.0f} MB")
    print(f"{CLASSES} classes; {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f} before the start")
    peers: dict[str, Callable[[], Numbers]] = {
        "ours, summary": lambda: np.array(evaluate(annotations, predictions, detail=False).stats),
        "ours, full": lambda: np.array(evaluate(annotations, predictions, iou_thresholds=[0.33]).stats),
        "pycocotools": lambda: with_pycocotools(annotations, predictions),
    }
    if importlib.util.find_spec("faster_coco_eval"):
        peers["faster-coco-eval"] = lambda: with_faster_coco_eval(annotations, predictions)
    peers["ours, full"]()  # warm-up: threads, allocator, the files in the page cache

    times: dict[str, list[float]] = {name: [] for name in peers}
    worst = 0.0
    for pair in range(arguments.pairs):
        numbers = {}
        seconds: dict[str, list[float]] = {name: [] for name in peers}
        quick = [name for name in peers if name != "pycocotools"] * QUICK_RUNS
        for name in [*quick, "pycocotools", *quick]:
            start = time.perf_counter()
            numbers[name] = peers[name]()
            seconds[name].append(time.perf_counter() - start)
        for name in peers:
            times[name].append(statistics.median(seconds[name]))
        worst = max(worst, *(float(np.abs(numbers["pycocotools"] - found).max()) for found in numbers.values()))
        print(f"pair {pair + 1}: " + ", ".join(f"{name} {each[-1]:.2f} s" for name, each in times.items()))
    return report(times, worst)


def report(times: dict[str, list[float]], worst: float) -> int:
    """Print medians, agreement and ratios to pycocotools; the exit code."""
    print("median: " + ", ".join(f"{name} {statistics.median(seconds):.2f} s" for name, seconds in times.items()))
    print(f"largest difference of the twelve numbers: {worst:.1e} (allowed {TOLERANCE:.0e})")
    met = worst <= TOLERANCE
    for name in [name for name in times if name != "pycocotools"]:
        ratios = [slow / fast for slow, fast in zip(times["pycocotools"], times[name], strict=True)]
        median = statistics.median(ratios)
        verdict = f"; {REQUIRED:g} times: " + ("reached" if median >= REQUIRED else "not reached")
        met = met and (median >= REQUIRED or name != "ours, summary")
        each = ", ".join(f"{ratio:.1f}" for ratio in ratios)
        print(f"times as fast as pycocotools, {name}: {median:.1f} (pairs: {each}){verdict}")
    return 0 if met else 1


def with_pycocotools(annotations: Path, predictions: Path) -> Numbers:
    """Return the twelve numbers by pycocotools, its prints swallowed."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(annotations))
        evaluator = COCOeval(truth, truth.loadRes(str(predictions)), "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return np.asarray(evaluator.stats)


def with_faster_coco_eval(annotations: Path, predictions: Path) -> Numbers:
    """Return the twelve numbers by faster-coco-eval, where it is installed."""
    module = importlib.import_module("faster_coco_eval")
    with contextlib.redirect_stdout(io.StringIO()):
        truth = module.COCO(str(annotations))
        evaluator = module.COCOeval_faster(truth, truth.loadRes(str(predictions)), "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return np.asarray(evaluator.stats)[:12]


def make_data(folder: Path, images: int, detections: int) -> tuple[Path, Path]:
    """annotations.json and predictions.json in `folder`, made once."""
    annotations, predictions = folder / "annotations.json", folder / "predictions.json"
    if annotations.is_file() and predictions.is_file():
        return annotations, predictions
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(SEED)
    frequency = 1.0 / np.arange(2, CLASSES + 2)  # a few common classes and many rare ones
    palette = random.choice(CLASSES, (images, 3), p=frequency / frequency.sum()) + 1  # the classes an image shows
    truth = make_truth(random, palette)
    atomic_write_json(predictions, make_predictions(random, palette, truth["annotations"], detections))
    atomic_write_json(annotations, truth)
    return annotations, predictions


def make_truth(random: np.random.Generator, palette: Integers) -> dict[str, Any]:
    """COCO annotations with about 7 boxes an image, as COCO has, one in a hundred a crowd region.

    Args:
        palette: Int[N, 3], the classes each image shows.
    """
    image = np.repeat(np.arange(len(palette)), random.poisson(7.3, len(palette)))
    sizes = np.exp(random.normal(4.0, 1.0, (len(image), 2))).clip(4, 0.8 * HEIGHT)
    corners = random.uniform(0, 1, sizes.shape) * (np.array([WIDTH, HEIGHT]) - sizes)
    boxes = np.concatenate([corners, sizes], axis=1).round(2)
    kind = palette[image, random.integers(0, 3, len(image))]
    crowd = random.random(len(image)) < 0.01
    rows = zip((image + 1).tolist(), kind.tolist(), boxes.tolist(), crowd.tolist(), strict=True)
    annotations = [
        {"id": i, "image_id": im, "category_id": k, "bbox": box, "area": round(box[2] * box[3], 2), "iscrowd": int(c)}
        for i, (im, k, box, c) in enumerate(rows, start=1)
    ]
    names = range(1, len(palette) + 1)
    return {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": WIDTH, "height": HEIGHT} for i in names],
        "categories": [{"id": i, "name": f"class {i}"} for i in range(1, CLASSES + 1)],
        "annotations": annotations,
    }


def make_predictions(random: np.random.Generator, palette: Integers, annotations: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """COCO results: two in five near a true box (one in ten of those with another class), the rest anywhere.

    All are cut off at the border, as detectors do.
    """
    boxes = np.array([entry["bbox"] for entry in annotations])
    image = np.array([entry["image_id"] for entry in annotations]) - 1
    kind = np.array([entry["category_id"] for entry in annotations])
    source = random.integers(0, len(boxes), count)
    near = random.random(count) < 0.4
    jitter = random.normal(0, 0.12, (count, 4))
    corners = boxes[source, :2] + jitter[:, :2] * boxes[source, 2:]
    ends = corners + boxes[source, 2:] * np.exp(jitter[:, 2:])
    corners, ends = corners.clip(0, [WIDTH - 1, HEIGHT - 1]), ends.clip(1, [WIDTH, HEIGHT])
    found = np.concatenate([corners, (ends - corners).clip(0.01, None)], axis=1).round(2)
    found_image = np.where(near, image[source], random.integers(0, len(palette), count))
    other = palette[found_image, random.integers(0, 3, count)]
    found_kind = np.where(near & (random.random(count) < 0.9), kind[source], other)
    score = np.where(near, random.beta(3, 2, count), random.beta(1, 5, count)).round(5)
    rows = zip((found_image + 1).tolist(), found_kind.tolist(), found.tolist(), score.tolist(), strict=True)
    return [{"image_id": im, "category_id": k, "bbox": box, "score": s} for im, k, box, s in rows]


if __name__ == "__main__":
    sys.exit(main())
