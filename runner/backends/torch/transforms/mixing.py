"""Transforms that join several training images into one: Mixup, Mosaic.

The arithmetic is PaddleDetection 2.6.0's, whose Mosaic is YOLOX's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from runner.backends.torch.transforms import schema
from runner.backends.torch.transforms.geometry import pair
from runner.backends.torch.transforms.sample import Draws, ImageSample
from runner.core.errors import InputError

_FILL = 114
"""Grey level of empty parts of a mosaic."""
_CORNERS = [0, 1, 2, 3, 0, 3, 2, 1]
"""A box's xyxy as its four corners, (x1, y1), (x2, y2), (x1, y2), (x2, y1)."""


def mixup(samples: Sequence[ImageSample], config: schema.Mixup, rng: Draws) -> ImageSample:
    """Blend two images on a canvas as large as both, black where there is neither: UInt8, rounded down."""
    first, second = samples
    share = min(max(float(rng.beta(config.alpha, config.beta)), 0.0), 1.0)
    if share in (0.0, 1.0):
        return first if share == 1.0 else second
    (height, width), (other_height, other_width) = first.size, second.size
    image = np.zeros((max(height, other_height), max(width, other_width), 3), dtype=np.float32)
    image[:height, :width] = first.image.astype(np.float32) * np.float32(share)
    image[:other_height, :other_width] += second.image.astype(np.float32) * np.float32(1.0 - share)
    return _joined(first, image.astype(np.uint8), [first.boxes, second.boxes], [first.classes, second.classes])


def mosaic(samples: Sequence[ImageSample], config: schema.Mosaic, rng: Draws) -> ImageSample:
    """Join four images around a drawn point of a canvas of twice `input_dim`, map that to `input_dim` by a drawn rotation, scale, shear and
    shift, and blend the result with the fifth image: UInt8. Boxes that lose their area are dropped at the end of all transforms only.

    With sides that differ the result is input_dim[0] wide and input_dim[1] high, as PaddleDetection's.

    Raises:
        InputError: an image has nothing left when it is made to fit.
    """
    if rng.uniform(0.0, 1.0) > config.prob:
        return samples[0]
    height, width = pair(config.input_dim)
    middle_y = int(rng.uniform(0.5 * height, 1.5 * height))
    middle_x = int(rng.uniform(0.5 * width, 1.5 * width))
    canvas = np.full((height * 2, width * 2, 3), _FILL, dtype=np.uint8)
    placed = [_place(canvas, sample, (middle_x, middle_y), quarter, (height, width)) for quarter, sample in enumerate(samples[:4])]
    boxes, classes = np.concatenate(placed), np.concatenate([sample.classes for sample in samples[:4]])
    if config.remove_outside_box:
        keep = (boxes[:, :2] < (2 * width, 2 * height)).all(axis=1) & (boxes[:, 2:] > 0).all(axis=1)
        boxes, classes = boxes[keep], classes[keep]
    else:
        boxes = np.clip(boxes, 0, np.asarray([2 * width, 2 * height] * 2, dtype=np.float32))
    affine = _draw_affine(config, rng)
    image: Any = cv2.warpAffine(canvas, affine, dsize=(height, width), borderValue=(_FILL, _FILL, _FILL))
    boxes = _mapped(boxes, affine, (height, width))
    if config.enable_mixup and len(boxes) and rng.random() < config.mixup_prob:
        image, pasted, kept = _blend_fifth(image, samples[4], config, rng)
        boxes, classes = np.concatenate([boxes, pasted]), np.concatenate([classes, samples[4].classes[kept]])
    return _joined(samples[0], image, [boxes], [classes])


def _place(
    canvas: NDArray[np.uint8], sample: ImageSample, middle: tuple[int, int], quarter: int, dim: tuple[int, int]
) -> NDArray[np.float32]:
    """Draw one image into its quarter of the canvas (0 above left, 1 above right, 2 below left, 3 below right), its inner corner at
    `middle`; return its boxes there, Float32[N, 4]."""
    scale = min(dim[0] / sample.size[0], dim[1] / sample.size[1])
    image = _fitted(sample, scale)
    (height, width), (x, y) = image.shape[:2], middle
    left, above = quarter in (0, 2), quarter in (0, 1)
    x1, x2 = (max(x - width, 0), x) if left else (x, min(x + width, canvas.shape[1]))
    y1, y2 = (max(y - height, 0), y) if above else (y, min(y + height, canvas.shape[0]))
    from_x = width - (x2 - x1) if left else 0
    from_y = height - (y2 - y1) if above else 0
    canvas[y1:y2, x1:x2] = image[from_y : from_y + y2 - y1, from_x : from_x + x2 - x1]
    shift = np.asarray([x1 - from_x, y1 - from_y] * 2, dtype=np.float32)
    return sample.boxes * np.float32(scale) + shift


def _fitted(sample: ImageSample, scale: float) -> NDArray[Any]:
    """Return the image resized by `scale`, both sides rounded down."""
    height, width = (int(side * scale) for side in sample.size)
    if min(height, width) < 1:
        raise InputError(f"{sample.name}: an image of {sample.size[1]} x {sample.size[0]} pixels has nothing left in a Mosaic")
    return cv2.resize(sample.image, (width, height), interpolation=cv2.INTER_LINEAR)


def _draw_affine(config: schema.Mosaic, rng: Draws) -> NDArray[np.float64]:
    """Draw rotation, scale, shear and shift: Float64[2, 3]. Its shift is of the upper left corner, not of the centre."""
    degrees, scale = rng.uniform(*config.degrees), rng.uniform(*config.scale)
    shear = math.tan(rng.uniform(*config.shear) * math.pi / 180)
    shift = rng.uniform(*config.translate)
    turned = cv2.getRotationMatrix2D(angle=degrees, center=(0, 0), scale=scale)
    affine: NDArray[np.float64] = turned + shear * turned[::-1]
    affine[:, 2] = [shift * side for side in pair(config.input_dim)]
    return affine


def _mapped(boxes: NDArray[np.float32], affine: NDArray[np.float64], dim: tuple[int, int]) -> NDArray[np.float32]:
    """Return the upright boxes around the mapped corners, cut off at the result's border."""
    corners = np.ones((len(boxes), 4, 3))
    corners[..., :2] = boxes[:, _CORNERS].reshape(-1, 4, 2)
    mapped = corners @ affine.T
    found = np.concatenate([mapped.min(axis=1), mapped.max(axis=1)], axis=1)
    inside: NDArray[np.float32] = np.clip(found, 0, np.asarray([*dim, *dim], dtype=np.float64)).astype(np.float32)
    return inside


def _blend_fifth(
    image: NDArray[np.uint8], sample: ImageSample, config: schema.Mosaic, rng: Draws
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.bool_]]:
    """Blend `image` half and half with a random part of the fifth image, rescaled and perhaps mirrored.

    Returns:
        The image; the fifth's boxes that remain, in it; which of the fifth's boxes those are.
    """
    dim = pair(config.input_dim)
    factor, mirrored = rng.uniform(*config.mixup_scale), rng.uniform(0.0, 1.0) > 0.5  # noqa: PLR2004 - one of two
    scale = min(dim[0] / sample.size[0], dim[1] / sample.size[1])
    fitted = _fitted(sample, scale)
    pasted: Any = np.full((*dim, 3), _FILL, dtype=np.uint8)
    pasted[: fitted.shape[0], : fitted.shape[1]] = fitted
    pasted = cv2.resize(pasted, (int(dim[1] * factor), int(dim[0] * factor)))
    if mirrored:
        pasted = pasted[:, ::-1]
    (height, width), (target_height, target_width) = pasted.shape[:2], image.shape[:2]
    padded = np.zeros((max(height, target_height), max(width, target_width), 3), dtype=np.uint8)
    padded[:height, :width] = pasted
    y = int(rng.integers(0, padded.shape[0] - target_height)) if padded.shape[0] > target_height else 0
    x = int(rng.integers(0, padded.shape[1] - target_width)) if padded.shape[1] > target_width else 0
    part = padded[y : y + target_height, x : x + target_width]

    boxes = np.clip(sample.boxes * np.float32(scale * factor), 0, np.asarray([width, height] * 2, dtype=np.float32))
    if mirrored:
        boxes[:, 0::2] = width - boxes[:, 2::-2]
    boxes -= np.asarray([x, y] * 2, dtype=np.float32)
    if config.remove_outside_box:
        keep = (boxes[:, :2] < (target_width, target_height)).all(axis=1) & (boxes[:, 2:] > 0).all(axis=1)
    else:
        boxes = np.clip(boxes, 0, np.asarray([target_width, target_height] * 2, dtype=np.float32))
        keep = np.ones(len(boxes), dtype=np.bool_)
    blended = np.float32(0.5) * image.astype(np.float32) + np.float32(0.5) * part.astype(np.float32)
    return blended.astype(np.uint8), boxes[keep], keep


def _joined(
    first: ImageSample, image: NDArray[np.uint8], boxes: Sequence[NDArray[np.float32]], classes: Sequence[NDArray[np.int64]]
) -> ImageSample:
    return replace(first, image=image, boxes=np.concatenate(boxes), classes=np.concatenate(classes), unpadded=None)
