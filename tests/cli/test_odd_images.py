"""Images and annotations as the world has them go the whole way: trained on, evaluated, predicted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Cli = Callable[..., Any]

KINDS = ("grey", "grey16", "cmyk.jpg", "exif.jpg", "palette", "alpha")


def write_image(path: Path, kind: str) -> None:
    """A 60 x 40 board with a bright square at (8, 8)-(24, 24), stored in an odd way; ``exif`` is stored turned by 90°."""
    pixels = np.full((40, 60, 3), 30, np.uint8)
    pixels[8:24, 8:24] = (220, 200, 40)
    picture = Image.fromarray(pixels)
    if kind == "grey16":
        Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 257).save(path)
    elif kind.startswith("exif"):
        exif = Image.Exif()
        exif[0x0112] = 6  # to be shown turned by 90° to the right
        picture.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif, quality=95)
    else:
        mode = {"grey": "L", "cmyk.jpg": "CMYK", "palette": "P", "alpha": "RGBA"}[kind]
        picture.convert(mode).save(path)


def write_set(folder: Path) -> Path:
    """Each kind twice, an image without objects, a crowd region, category ids 4 and 90."""
    (folder / "images").mkdir(parents=True)
    images, boxes = [], []
    for number, kind in enumerate((*KINDS, *KINDS)):
        name = f"{number}-{kind}" if "." in kind else f"{number}-{kind}.png"
        write_image(folder / "images" / name, kind)
        images.append({"id": 10 * number, "file_name": name, "width": 60, "height": 40})
        category = (4, 90)[number % 2]
        boxes.append(
            {"id": number + 1, "image_id": 10 * number, "category_id": category, "bbox": [8, 8, 16, 16], "area": 256, "iscrowd": 0}
        )
    write_image(folder / "images" / "empty.png", "grey")
    images.append({"id": 500, "file_name": "empty.png", "width": 60, "height": 40})
    boxes.append({"id": 100, "image_id": 0, "category_id": 90, "bbox": [30, 4, 20, 30], "area": 600, "iscrowd": 1})
    document = {"images": images, "annotations": boxes, "categories": [{"id": 4, "name": "pad"}, {"id": 90, "name": "hole"}]}
    for side in ("train", "val"):
        (folder / f"{side}.json").write_text(json.dumps(document), encoding="utf-8")
    return folder


@pytest.mark.slow
def test_odd_images_are_trained_on_and_evaluated(cli: Cli, write_config: Callable[..., Path], tmp_path: Path) -> None:
    data = write_set(tmp_path / "odd set")
    config = write_config("odd.yml", data=data)
    allow_empty = ["-o", "TrainDataset.allow_empty=true"]
    cli("train", "-c", config, *allow_empty, "--run-dir", "run").fine()
    results = json.loads((tmp_path / "run" / "eval.json").read_text(encoding="utf-8"))
    assert results["images"] == 13
    assert [(entry["name"], entry["category_id"], entry["boxes"]) for entry in results["per_class"]] == [("pad", 4, 6), ("hole", 90, 6)]
    assert {item["category_id"] for item in json.loads((tmp_path / "run" / "predictions.json").read_text())} <= {4, 90}
    shown = cli("predict", "run", *sorted((data / "images").iterdir()), "--output", "found", "--score-threshold", "0").fine()
    assert len([line for line in shown.splitlines() if line.startswith(str(data))]) == 13 and "\n13 images: " in shown
    assert len(list((tmp_path / "found").glob("*.png"))) == 13
