"""Sample images of an evaluation: the same ones each time, with predicted and true boxes."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from PIL import Image

from runner.data.coco import CocoImage, CocoSet
from runner.data.images import read_image
from runner.evaluation.draw import draw_boxes

SCORE_THRESHOLD = 0.3


def draw_samples(data: CocoSet, results: Sequence[Mapping[str, Any]], count: int) -> Iterator[bytes]:
    """Draw the first `count` evaluation images that have objects.

    Args:
        results: COCO results with the file's category ids.

    Yields:
        PNG files, of the same images in the same order at every step.
    """
    chosen = [image for image in data.images if image.has_objects][:count]
    wanted = {image.id for image in chosen}
    by_image: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for item in results:
        if item["image_id"] in wanted:
            by_image[item["image_id"]].append(item)
    names = {category.id: category.name for category in data.categories}
    for image in chosen:
        pixels = read_image(data.path(image), (image.width, image.height))
        picture = draw_boxes(pixels, coco_boxes(data, image), by_image[image.id], names, SCORE_THRESHOLD)
        file = io.BytesIO()
        Image.fromarray(picture).save(file, format="PNG")
        yield file.getvalue()


def coco_boxes(data: CocoSet, image: CocoImage) -> list[dict[str, Any]]:
    """Return the image's boxes in COCO's form: "category_id" and "bbox" (xywh in pixels)."""
    return [
        {"category_id": data.categories[index].id, "bbox": [x1, y1, x2 - x1, y2 - y1], "iscrowd": int(crowd)}
        for (x1, y1, x2, y2), index, crowd in zip(image.boxes.tolist(), image.classes.tolist(), image.is_crowd.tolist(), strict=True)
    ]
