"""Sample images of an evaluation: the same ones each time, with predicted and true boxes and a legend."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from PIL import Image

from runner.data.coco import CocoSet
from runner.data.images import read_image
from runner.evaluation.draw import Classes, draw_boxes
from runner.evaluation.legend import add_legend, box_items, class_items

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
        truth = data.coco_boxes(image)
        picture = draw_boxes(pixels, truth, by_image[image.id], names, SCORE_THRESHOLD)
        picture = add_legend(picture, [*box_items(SCORE_THRESHOLD), *class_items(Classes(names), (box["category_id"] for box in truth))])
        file = io.BytesIO()
        Image.fromarray(picture).save(file, format="PNG")
        yield file.getvalue()
