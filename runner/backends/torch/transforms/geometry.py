"""Transforms that move pixels and boxes: resizes, borders, mirror images, crops.

The arithmetic is PaddleDetection 2.6.0's: how a size is chosen and rounded, that Resize scales pixels and boxes by the factor before
rounding (2.7 takes the one after it), which pixels a flip exchanges, which values become Float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from runner.backends.torch.transforms import schema
from runner.backends.torch.transforms.sample import Draws, ImageSample
from runner.core.errors import InputError

INTERPOLATIONS = (cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_AREA, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)
"""Interpolations that random_interp draws from."""


# ---------------------------------------------------------------------------------------------------------------- resizes
def resize(sample: ImageSample, target: tuple[int, int], *, keep_ratio: bool, interp: int) -> ImageSample:
    """Resize the image, its boxes and its scale; with keep_ratio by one factor for both sides, and only the image's size
    is rounded.

    Args:
        target: (height, width); with keep_ratio the smaller of the two bounds the shorter side, the larger the longer
            side.
        interp: OpenCV's code.
    """
    height, width = sample.size
    scale_y, scale_x = target[0] / height, target[1] / width
    if keep_ratio:
        scale_y = scale_x = min(min(target) / min(height, width), max(target) / max(height, width))
    new_height, new_width = height * scale_y, width * scale_x
    if round(new_height) < 1 or round(new_width) < 1:
        raise _nothing_left(sample, target)
    if scale_y == scale_x == 1:
        return sample
    image = cv2.resize(sample.image, None, fx=scale_x, fy=scale_y, interpolation=interp)
    return _scaled(sample, image, (scale_y, scale_x), (new_height, new_width))


def _scaled(sample: ImageSample, image: NDArray[Any], scale: tuple[float, float], size: tuple[float, float]) -> ImageSample:
    """Return `sample` with its resized `image`: boxes and scale multiplied by `scale`, boxes cut off at `size`, both of (height, width)."""
    (scale_y, scale_x), (height, width) = scale, size
    boxes = sample.boxes * np.asarray([scale_x, scale_y, scale_x, scale_y], dtype=np.float32)
    boxes = np.clip(boxes, 0, np.asarray([width, height, width, height], dtype=np.float32))
    return replace(sample, image=image, boxes=boxes, scale=(sample.scale[0] * scale_y, sample.scale[1] * scale_x), unpadded=None)


def resize_to_size(sample: ImageSample, config: schema.Resize, _rng: Draws) -> ImageSample:
    """Resize to the one size of `config`."""
    return resize(sample, pair(config.target_size), keep_ratio=config.keep_ratio, interp=config.interp)


def random_resize(sample: ImageSample, config: schema.RandomResize | schema.BatchRandomResize, rng: Draws) -> ImageSample:
    """Draw a size, and an interpolation if asked to, then resize."""
    sizes = (config.target_size,) if isinstance(config.target_size, int) else config.target_size
    if isinstance(config, schema.RandomResize) and config.random_range:
        low, high = pair(sizes[0]), pair(sizes[1])
        target = (int(rng.integers(low[0], high[0] + 1)), max(low[1], high[1] + 1))  # the + 1 on the longer side is PaddleDetection's
    elif config.random_size:
        target = pair(sizes[int(rng.integers(len(sizes)))])
    else:
        target = pair(tuple(size for size in sizes if isinstance(size, int)))
    return resize(sample, target, keep_ratio=config.keep_ratio, interp=_interpolation(config, rng))


def random_short_side_resize(sample: ImageSample, config: schema.RandomShortSideResize, rng: Draws) -> ImageSample:
    """Draw the length of the shorter side, and an interpolation if asked to, then resize; the longer side is rounded down."""
    height, width = sample.size
    side = config.short_side_sizes[int(rng.integers(len(config.short_side_sizes)))]
    shorter, longer = float(min(height, width)), float(max(height, width))
    if config.max_size is not None and longer / shorter * side > config.max_size:
        side = round(config.max_size * shorter / longer)
    target = (side, int(side * width / height)) if height <= width else (int(side * height / width), side)
    if min(height, width) == side:
        target = (height, width)
    if min(target) < 1:
        raise _nothing_left(sample, target)
    image = cv2.resize(sample.image, target[::-1], interpolation=_interpolation(config, rng))
    return _scaled(sample, image, (target[0] / height, target[1] / width), target)


def _interpolation(config: schema.RandomResize | schema.BatchRandomResize | schema.RandomShortSideResize, rng: Draws) -> int:
    return INTERPOLATIONS[int(rng.integers(len(INTERPOLATIONS)))] if config.random_interp else config.interp


# ---------------------------------------------------------------------------------------------------------------- borders
def pad_resize(sample: ImageSample, config: schema.PadResize, _rng: Draws) -> ImageSample:
    """Resize to fit, both sides rounded down, drop boxes of a pixel or less per side, and fill up right and below: Float32, of whole grey
    levels where there is a border."""
    target = pair(config.target_size)
    height, width = sample.size
    ratio = min(target[0] / height, target[1] / width)
    new = int(height * ratio), int(width * ratio)
    if min(new) < 1:
        raise _nothing_left(sample, target)
    image = cv2.resize(sample.image, new[::-1], interpolation=cv2.INTER_LINEAR)
    if new != target:
        canvas = np.full((*target, 3), config.fill_value, dtype=np.uint8)
        canvas[: new[0], : new[1]] = image
        image = canvas
    boxes = sample.boxes * np.float32(ratio)
    keep = np.minimum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]) > 1
    scale = sample.scale[0] * ratio, sample.scale[1] * ratio
    return replace(sample, image=image.astype(np.float32), scale=scale, unpadded=new).with_boxes(boxes, keep)


def pad(sample: ImageSample, config: schema.Pad, _rng: Draws) -> ImageSample:
    """Put the image on a canvas: Float32.

    Raises:
        InputError: the image is larger than the canvas, or exceeds it at its offsets.
    """
    height, width = sample.size
    if config.size is None:
        size = tuple(-(-side // config.size_divisor) * config.size_divisor for side in (height, width))
    else:
        size = pair(config.size)
    free_y, free_x = size[0] - height, size[1] - width
    if config.pad_mode == -1 and config.offsets is not None:
        x, y = config.offsets
    else:
        x, y = {0: (0, 0), 1: (free_x // 2, free_y // 2)}.get(config.pad_mode, (free_x, free_y))
    if x > free_x or y > free_y:
        at = f" at {[x, y]}" if config.pad_mode == -1 else ""
        raise InputError(f"{sample.name}: an image of {width} x {height} pixels does not fit{at} on Pad's canvas of {list(size)}")
    padded = on_canvas(sample, (size[0], size[1]), (x, y), config.fill_value)
    return replace(padded, unpadded=(height, width)) if (x, y) == (0, 0) else padded


def random_expand(sample: ImageSample, config: schema.RandomExpand, rng: Draws) -> ImageSample:
    """Leave the image alone with probability `prob`, or else put it at a random place of a larger canvas."""
    if rng.uniform(0.0, 1.0) < config.prob:
        return sample
    height, width = sample.size
    ratio = rng.uniform(1.0, config.ratio)
    size = int(height * ratio), int(width * ratio)
    if size[0] <= height or size[1] <= width:
        return sample
    y, x = int(rng.integers(0, size[0] - height)), int(rng.integers(0, size[1] - width))
    return on_canvas(sample, size, (x, y), config.fill_value)


def on_canvas(sample: ImageSample, size: tuple[int, int], offset: tuple[int, int], fill: schema.Colour) -> ImageSample:
    """Put the image on a canvas of `size` (height, width) at `offset` (x, y): Float32, also where nothing is added."""
    (height, width), (x, y) = sample.size, offset
    if size == (height, width):
        return replace(sample, image=sample.image.astype(np.float32, copy=False))
    pixels, colour = sample.image.astype(np.float32, copy=False), (fill,) * 3 if isinstance(fill, float | int) else fill
    canvas = cv2.copyMakeBorder(pixels, y, size[0] - y - height, x, size[1] - x - width, cv2.BORDER_CONSTANT, value=colour)
    return replace(sample, image=canvas, boxes=sample.boxes + np.asarray([x, y, x, y], dtype=np.float32), unpadded=None)


# ------------------------------------------------------------------------------------------------------- mirror images, crops
def random_flip(sample: ImageSample, config: schema.RandomFlip, rng: Draws) -> ImageSample:
    """Mirror with probability `prob`."""
    return flip(sample) if rng.uniform() < config.prob else sample


def flip(sample: ImageSample) -> ImageSample:
    """Mirror left to right: a box from x1 to x2 goes from width - x2 to width - x1."""
    boxes = sample.boxes.copy()
    boxes[:, 0] = sample.size[1] - sample.boxes[:, 2]
    boxes[:, 2] = sample.size[1] - sample.boxes[:, 0]
    return replace(sample, image=cv2.flip(sample.image, 1), boxes=boxes, unpadded=None)


def random_crop(sample: ImageSample, config: schema.RandomCrop, rng: Draws) -> ImageSample:
    """Try the thresholds in random order, "no crop" among them, and take the first crop that reaches its one and keeps a box."""
    if len(sample.boxes) == 0:
        return sample
    thresholds: list[float | None] = [*config.thresholds, *([None] if config.allow_no_crop else [])]
    for index in rng.permutation(len(thresholds)):
        threshold = thresholds[int(index)]
        if threshold is None:
            return sample
        for _ in range(config.num_attempts):
            crop = _draw_crop(sample.size, config, rng)
            if crop is None or not _reaches(sample.boxes, crop, threshold, every=config.cover_all_box):
                continue
            boxes, keep = _boxes_in(sample.boxes, crop)
            if keep.any():
                return _cropped(sample, crop).with_boxes(boxes, keep)
    return sample


def _draw_crop(size: tuple[int, int], config: schema.RandomCrop, rng: Draws) -> tuple[int, int, int, int] | None:
    """Draw a crop, xyxy in pixels; None where its sides differ too much."""
    height, width = size
    scale = rng.uniform(*config.scaling)
    if config.aspect_ratio is not None:
        low, high = config.aspect_ratio
        aspect = rng.uniform(max(low, scale**2), min(high, scale**-2))
        crop_height, crop_width = height * (scale / np.sqrt(aspect)), width * (scale * np.sqrt(aspect))
    else:
        crop_height, crop_width = height * rng.uniform(*config.scaling), width * rng.uniform(*config.scaling)
        if crop_height / crop_width < 0.5 or crop_height / crop_width > 2.0:  # noqa: PLR2004 - PaddleDetection's bounds
            return None
    crop_height, crop_width = int(crop_height), int(crop_width)
    y = int(rng.integers(0, max(height - crop_height, 1)))  # PaddleDetection fails where nothing is cut off
    x = int(rng.integers(0, max(width - crop_width, 1)))
    return x, y, x + crop_width, y + crop_height


def _reaches(boxes: NDArray[np.float32], crop: Sequence[int], threshold: float, *, every: bool) -> bool:
    """Return whether the best IoU of a box with the crop reaches `threshold`; with `every` also the worst."""
    area = np.asarray(crop, dtype=np.float32)
    low, high = np.maximum(boxes[:, :2], area[:2]), np.minimum(boxes[:, 2:], area[2:])
    common = np.prod(high - low, axis=1) * (low < high).all(axis=1)
    both = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) + np.prod(area[2:] - area[:2]) - common
    iou = common / (both + 1e-10)
    return float(iou.max()) >= threshold and not (every and float(iou.min()) < threshold)


def _boxes_in(boxes: NDArray[np.float32], crop: Sequence[int]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the boxes in the coordinates of a crop, cut off at it, and which of them have their centre and an area in it."""
    area = np.asarray(crop, dtype=np.float32)
    low, high = np.maximum(boxes[:, :2], area[:2]) - area[:2], np.minimum(boxes[:, 2:], area[2:]) - area[:2]
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    keep: NDArray[np.bool_] = np.all((area[:2] <= centres) & (centres < area[2:]) & (low < high), axis=1)
    return np.concatenate([low, high], axis=1), keep


def random_size_crop(sample: ImageSample, config: schema.RandomSizeCrop, rng: Draws) -> ImageSample:
    """Cut out a random size at a random place. PaddleDetection draws the place one pixel too far, where the crop becomes a pixel smaller.

    Raises:
        InputError: the image is smaller than `min_size`.
    """
    height, width = sample.size
    if min(height, width) < config.min_size:
        text = f"{sample.name}: an image of {width} x {height} pixels is smaller than RandomSizeCrop's min_size {config.min_size}"
        raise InputError(f"{text}; resize before it, or give a smaller min_size")
    crop_height = int(rng.integers(config.min_size, min(height, config.max_size) + 1))
    crop_width = int(rng.integers(config.min_size, min(width, config.max_size) + 1))
    y = x = 0
    if (crop_height, crop_width) != (height, width):
        y, x = int(rng.integers(0, height - crop_height + 2)), int(rng.integers(0, width - crop_width + 2))
    crop = x, y, min(x + crop_width, width), min(y + crop_height, height)
    corner = np.asarray([x, y, x, y], dtype=np.float32)
    boxes = np.clip(sample.boxes - corner, 0, np.asarray([crop[2] - x, crop[3] - y] * 2, dtype=np.float32))
    keep = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    if len(boxes) and not keep.any() and not config.keep_empty:
        return sample
    return _cropped(sample, crop).with_boxes(boxes, keep)


def _cropped(sample: ImageSample, crop: tuple[int, int, int, int]) -> ImageSample:
    x1, y1, x2, y2 = crop
    return replace(sample, image=sample.image[y1:y2, x1:x2], unpadded=None)


def pair(size: int | tuple[int, ...]) -> tuple[int, int]:
    """Return a size as (height, width)."""
    if isinstance(size, int):
        return size, size
    return (size[0], size[0]) if len(size) == 1 else (size[0], size[1])


def _nothing_left(sample: ImageSample, target: tuple[int, int]) -> InputError:
    height, width = sample.size
    return InputError(f"{sample.name}: an image of {width} x {height} pixels has nothing left when it is resized to {target}")
