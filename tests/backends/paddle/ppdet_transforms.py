"""Results of PaddleDetection's operators on images and boxes: the reference of `test_twin_transforms`.

Run by the interpreter of the Paddle environment: ``ppdet_transforms.py FOLDER``, with ``cases.json`` (a list of {operators, images, seed})
and ``images.npz`` (image, boxes and classes by number) in it; writes ``theirs.npz``. What the operators draw comes from `support.drawn`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from support.drawn import Drawn, global_generators

from runner.backends.paddle.ppdet import load_ppdet


def main(folder: Path) -> None:
    """Apply the operators of every case."""
    load_ppdet()
    from ppdet.data import transform

    data = np.load(folder / "images.npz")
    found: dict[str, np.ndarray] = {}
    for number, case in enumerate(json.loads((folder / "cases.json").read_text(encoding="utf-8"))):
        samples: Any = [_sample(data, image) for image in case["images"]]
        operators = [getattr(transform, name)(**keys) for one in case["operators"] for name, keys in one.items()]
        with global_generators(Drawn(case["seed"])):
            samples = samples if len(samples) > 1 else samples[0]
            for operator in operators:
                samples = operator(samples)
        for place, sample in enumerate(samples if isinstance(samples, list) else [samples]):
            found[f"{number}:{place}:image"] = sample["image"]
            found[f"{number}:{place}:boxes"] = sample["gt_bbox"]
            found[f"{number}:{place}:classes"] = np.asarray(sample["gt_class"]).reshape(-1)
            found[f"{number}:{place}:scale"] = sample["scale_factor"]
    np.savez(folder / "theirs.npz", **found)


def _sample(data: Any, image: int) -> dict[str, Any]:
    pixels, boxes, classes = (data[f"{image}:{name}"] for name in ("image", "boxes", "classes"))
    height, width = pixels.shape[:2]
    return {
        "image": pixels,
        "gt_bbox": boxes.astype(np.float32),
        "gt_class": classes.reshape(-1, 1).astype(np.int32),
        "is_crowd": np.zeros((len(boxes), 1), dtype=np.int32),
        "im_shape": np.asarray([height, width], dtype=np.float32),
        "scale_factor": np.ones(2, dtype=np.float32),
        "h": height,
        "w": width,
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
