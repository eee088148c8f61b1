"""AutoAugment with the box policies of arXiv 1906.11172, as PaddleDetection 2.6.0 computes them.

Three of its particulars are kept: an operation is applied in one of two images whatever its stated probability; an operation on boxes alone
adds 1 to every pixel outside the box (255 becomes 0); a box that leaves the image comes back as a strip of 5 % at its border.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from runner.backends.torch.transforms import schema
from runner.backends.torch.transforms.sample import Draws, ImageSample

Pixels = NDArray[np.uint8]
"""UInt8[H, W, 3]."""
Boxes = NDArray[np.float32]
"""Float32[N, 4]: y1, x1, y2, x2 as fractions of height and width."""

_GREY = 128
_V0 = (
    "TranslateX_BBox 0.6 4, Equalize 0.8 10",
    "TranslateY_Only_BBoxes 0.2 2, Cutout 0.8 8",
    "Sharpness 0.0 8, ShearX_BBox 0.4 0",
    "ShearY_BBox 1.0 2, TranslateY_Only_BBoxes 0.6 6",
    "Rotate_BBox 0.6 10, Color 1.0 6",
)
_POLICIES: dict[str, tuple[str, ...]] = {
    "test": ("TranslateX_BBox 1.0 4, Equalize 1.0 10",),
    "v0": _V0,
    "v1": (
        *_V0,
        "Color 0.0 0, ShearX_Only_BBoxes 0.8 4",
        "ShearY_Only_BBoxes 0.8 2, Flip_Only_BBoxes 0.0 10",
        "Equalize 0.6 10, TranslateX_BBox 0.2 2",
        "Color 1.0 10, TranslateY_Only_BBoxes 0.4 6",
        "Rotate_BBox 0.8 10, Contrast 0.0 10",
        "Cutout 0.2 2, Brightness 0.8 10",
        "Color 1.0 6, Equalize 1.0 2",
        "Cutout_Only_BBoxes 0.4 6, TranslateY_Only_BBoxes 0.8 2",
        "Color 0.2 8, Rotate_BBox 0.8 10",
        "Sharpness 0.4 4, TranslateY_Only_BBoxes 0.0 4",
        "Sharpness 1.0 4, SolarizeAdd 0.4 4",
        "Rotate_BBox 1.0 8, Sharpness 0.2 8",
        "ShearY_BBox 0.6 10, Equalize_Only_BBoxes 0.6 8",
        "ShearX_BBox 0.2 6, TranslateY_Only_BBoxes 0.2 10",
        "SolarizeAdd 0.6 8, Brightness 0.8 10",
    ),
    "v2": (
        "Color 0.0 6, Cutout 0.6 8, Sharpness 0.4 8",
        "Rotate_BBox 0.4 8, Sharpness 0.4 2, Rotate_BBox 0.8 10",
        "TranslateY_BBox 1.0 8, AutoContrast 0.8 2",
        "AutoContrast 0.4 6, ShearX_BBox 0.8 8, Brightness 0.0 10",
        "SolarizeAdd 0.2 6, Contrast 0.0 10, AutoContrast 0.6 0",
        "Cutout 0.2 0, Solarize 0.8 8, Color 1.0 4",
        "TranslateY_BBox 0.0 4, Equalize 0.6 8, Solarize 0.0 10",
        "TranslateY_BBox 0.2 2, ShearY_BBox 0.8 8, Rotate_BBox 0.8 8",
        "Cutout 0.8 8, Brightness 0.8 8, Cutout 0.2 2",
        "Color 0.8 4, TranslateY_BBox 1.0 6, Rotate_BBox 0.6 6",
        "Rotate_BBox 0.6 10, BBox_Cutout 1.0 4, Cutout 0.2 8",
        "Rotate_BBox 0.0 0, Equalize 0.6 6, ShearY_BBox 0.6 8",
        "Brightness 0.8 8, AutoContrast 0.4 2, Brightness 0.2 2",
        "TranslateY_BBox 0.4 8, Solarize 0.4 6, SolarizeAdd 0.2 10",
        "Contrast 1.0 10, SolarizeAdd 0.2 8, Equalize 0.2 4",
    ),
    "v3": (
        "Posterize 0.8 2, TranslateX_BBox 1.0 8",
        "BBox_Cutout 0.2 10, Sharpness 1.0 8",
        "Rotate_BBox 0.6 8, Rotate_BBox 0.8 10",
        "Equalize 0.8 10, AutoContrast 0.2 10",
        "SolarizeAdd 0.2 2, TranslateY_BBox 0.2 8",
        "Sharpness 0.0 2, Color 0.4 8",
        "Equalize 1.0 8, TranslateY_BBox 1.0 8",
        "Posterize 0.6 2, Rotate_BBox 0.0 10",
        "AutoContrast 0.6 0, Rotate_BBox 1.0 6",
        "Equalize 0.0 4, Cutout 0.8 10",
        "Brightness 1.0 2, TranslateY_BBox 1.0 6",
        "Contrast 0.0 2, ShearY_BBox 0.8 0",
        "AutoContrast 0.8 10, Contrast 0.2 10",
        "Rotate_BBox 1.0 10, Cutout 1.0 10",
        "SolarizeAdd 0.8 6, Equalize 0.8 8",
    ),
}
"""Tables of policies. An operation is its name, its probability and its level, of 10."""


@dataclass(frozen=True, slots=True)
class Operation:
    """Operation of a policy, with its sign drawn.

    Args:
        name: as in the tables.
        prob: probability of the table; only operations on boxes alone use it, a third of it per box.
        level: strength from 0 to 1.
        sign: 1.0 or -1.0, for what has a direction.
    """

    name: str
    prob: float
    level: float
    sign: float


def auto_augment(sample: ImageSample, config: schema.AutoAugment, rng: Draws) -> ImageSample:
    """Apply one policy of the table, UInt8 in and out; classes stay with their boxes, none is dropped."""
    if len(sample.boxes) == 0:
        return sample
    height, width = sample.size
    pixels_per_unit = np.asarray([height, width, height, width], dtype=np.float32)
    image, boxes = sample.image, sample.boxes[:, [1, 0, 3, 2]] / pixels_per_unit
    policies = [[_operation(text, rng) for text in policy.split(", ")] for policy in _POLICIES[config.autoaug_type]]
    for operation in policies[int(rng.integers(0, len(policies)))]:
        if rng.random() >= 0.5:  # noqa: PLR2004 - one of two
            image, boxes = _apply(operation, image, boxes, rng)
    return replace(sample.with_boxes((boxes * pixels_per_unit)[:, [1, 0, 3, 2]]), image=image, unpadded=None)


def _operation(text: str, rng: Draws) -> Operation:
    name, prob, level = text.split()
    has_direction = name.startswith(("Rotate", "Shear", "Translate"))
    sign = -1.0 if has_direction and rng.random() < 0.5 else 1.0  # noqa: PLR2004 - one of two
    return Operation(name, float(prob), int(level) / 10.0, sign)


def _apply(operation: Operation, image: Pixels, boxes: Boxes, rng: Draws) -> tuple[Pixels, Boxes]:
    name, _, scope = operation.name.partition("_")
    if scope == "Only_BBoxes":
        return _apply_inside(operation, image, boxes, rng), boxes
    if operation.name == "BBox_Cutout":
        return _cut_out_of_a_box(image, boxes, operation.level * 0.75, rng), boxes
    if scope == "BBox":
        amount = _amount(name, operation, shift_px=250.0)
        return _moved(image, name, amount), _moved_boxes(image, name, amount, boxes)
    return _recoloured(image, operation, 100, rng), boxes


def _apply_inside(operation: Operation, image: Pixels, boxes: Boxes, rng: Draws) -> Pixels:
    """Apply an operation to the inside of each box by a third of its probability. As in PaddleDetection, each time adds 1 outside."""
    height, width = image.shape[:2]
    name = operation.name.partition("_")[0]
    for box in boxes:
        if rng.random() + operation.prob / 3.0 < 1:
            continue
        y1, x1, y2, x2 = _in_pixels(box, height, width)
        y2, x2 = min(y2, height - 1) + 1, min(x2, width - 1) + 1
        if y1 >= y2 or x1 >= x2:
            continue
        inside = np.ascontiguousarray(image[y1:y2, x1:x2])
        if name == "Flip":
            inside = inside[:, ::-1]
        elif name in ("Shear" + axis for axis in "XY") or name.startswith("Translate"):
            inside = _moved(inside, name, _amount(name, operation, shift_px=120.0))
        else:
            inside = _recoloured(inside, operation, 50, rng)
        image = image + np.uint8(1)
        image[y1:y2, x1:x2] = inside
    return image


# --------------------------------------------------------------------------------------------------------------- geometry
def _amount(name: str, operation: Operation, shift_px: float) -> float:
    """Return degrees of a rotation, the tangent of a shear, or the pixels of a translation."""
    largest = {"Rotate": 30.0, "ShearX": 0.3, "ShearY": 0.3}.get(name, shift_px)
    return operation.sign * operation.level * largest


def _moved(image: Pixels, name: str, amount: float) -> Pixels:
    """Rotate, shear or translate with Pillow, nearest pixel, grey where nothing comes from."""
    picture, grey = Image.fromarray(image), (_GREY, _GREY, _GREY)
    if name == "Rotate":
        return np.array(picture.rotate(amount, fillcolor=grey))
    matrix = {
        "ShearX": (1, amount, 0, 0, 1, 0),
        "ShearY": (1, 0, 0, amount, 1, 0),
        "TranslateX": (1, 0, amount, 0, 1, 0),
        "TranslateY": (1, 0, 0, 0, 1, amount),
    }[name]
    return np.array(picture.transform(picture.size, Image.Transform.AFFINE, matrix, fillcolor=grey))


def _moved_boxes(image: Pixels, name: str, amount: float, boxes: Boxes) -> Boxes:
    height, width = image.shape[:2]
    moved = [_with_area(_moved_box(box, name, amount, height, width)) for box in boxes]
    return np.asarray(moved, dtype=np.float32).reshape(-1, 4)


def _moved_box(box: NDArray[np.float32], name: str, amount: float, height: int, width: int) -> list[float]:
    """Return the upright box around the moved corners, cut off at the border. Corners are whole pixels before and after, rounded to 0."""
    if name.startswith("Translate"):
        y1, x1, y2, x2 = _in_pixels(box, height, width)
        shift = int(amount)
        if name == "TranslateX":
            x1, x2 = max(0, x1 - shift), min(width, x2 - shift)
        else:
            y1, y2 = max(0, y1 - shift), min(height, y2 - shift)
        return _cut_off(y1 / height, x1 / width, y2 / height, x2 / width)
    if name == "Rotate":  # about the middle, with y upwards
        y1, y2 = (-int(height * (float(box[side]) - 0.5)) for side in (0, 2))
        x1, x2 = (int(width * (float(box[side]) - 0.5)) for side in (1, 3))
        cos, sin = math.cos(math.radians(amount)), math.sin(math.radians(amount))
        matrix = np.asarray([[cos, sin], [-sin, cos]])
    else:
        y1, x1, y2, x2 = _in_pixels(box, height, width)
        matrix = np.asarray([[1, 0], [-amount, 1]] if name == "ShearX" else [[1, -amount], [0, 1]], dtype=np.float32)
    corners = np.asarray([[y1, x1], [y1, x2], [y2, x1], [y2, x2]], dtype=np.float32)
    y, x = np.matmul(matrix, corners.T).astype(np.int32).tolist()
    if name == "Rotate":
        return _cut_off(-(max(y) / height - 0.5), min(x) / width + 0.5, -(min(y) / height - 0.5), max(x) / width + 0.5)
    return _cut_off(min(y) / height, min(x) / width, max(y) / height, max(x) / width)


def _in_pixels(box: NDArray[np.float32], height: int, width: int) -> tuple[int, int, int, int]:
    y1, x1, y2, x2 = (float(value) for value in box)
    return int(height * y1), int(width * x1), int(height * y2), int(width * x2)


def _cut_off(*sides: float) -> list[float]:
    return [min(max(side, 0.0), 1.0) for side in sides]


def _with_area(box: list[float], strip: float = 0.05) -> list[float]:
    """Return a box without height or width as a strip, where it lies at the border."""
    result = list(box)
    for low, high in ((0, 2), (1, 3)):
        if abs(box[high] - box[low]) <= 1e-8:  # noqa: PLR2004 - PaddleDetection's
            result[low], result[high] = min(box[low], 1.0 - strip), max(box[high], strip)
    return result


# ----------------------------------------------------------------------------------------------------------------- colour
def _recoloured(image: Pixels, operation: Operation, cutout_px: int, rng: Draws) -> Pixels:
    name = operation.name.partition("_")[0]
    level = operation.level
    if name == "Cutout":
        middle = int(rng.integers(0, image.shape[0])), int(rng.integers(0, image.shape[1]))
        return _cut_out(image, middle, (int(level * cutout_px), int(level * cutout_px)))
    recoloured: Pixels = _RECOLOUR[name](image, level)
    return recoloured


def _cut_out_of_a_box(image: Pixels, boxes: Boxes, fraction: float, rng: Draws) -> Pixels:
    """Grey out a part, `fraction` of a drawn box's sides, around a drawn place in that box."""
    box = boxes[int(rng.integers(0, len(boxes)))]
    y1, x1, y2, x2 = _in_pixels(box, *image.shape[:2])
    half = int(fraction * ((y2 - y1 + 1) / 2)), int(fraction * ((x2 - x1 + 1) / 2))
    middle = int(rng.integers(y1, y2 + 1)), int(rng.integers(x1, x2 + 1))
    return _cut_out(image, middle, half)


def _cut_out(image: Pixels, middle: tuple[int, int], half: tuple[int, int]) -> Pixels:
    (y, x), (half_height, half_width) = middle, half
    result = image.copy()
    result[max(0, y - half_height) : y + half_height, max(0, x - half_width) : x + half_width] = _GREY
    return result


def _blend(one: Pixels, other: Pixels, factor: float) -> Pixels:
    """Interpolate from one (factor 0) to the other (1), rounded down; beyond that extrapolate."""
    if factor in (0.0, 1.0):
        return one if factor == 0.0 else other
    mixed = one.astype(np.float32) + np.float32(factor) * (other.astype(np.float32) - one.astype(np.float32))
    return np.clip(mixed, 0, 255).astype(np.uint8)


def _enhancement(level: float) -> float:
    return level * 1.8 + 0.1


def _color(image: Pixels, level: float) -> Pixels:
    # the weights of red and blue are exchanged, as PaddleDetection has them
    grey: Any = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    return _blend(grey, image, _enhancement(level))


def _contrast(image: Pixels, level: float) -> Pixels:
    return np.array(ImageEnhance.Contrast(Image.fromarray(image)).enhance(_enhancement(level)))


def _brightness(image: Pixels, level: float) -> Pixels:
    return _blend(np.zeros_like(image), image, _enhancement(level))


def _sharpness(image: Pixels, level: float) -> Pixels:
    kernel = np.asarray([[1, 1, 1], [1, 5, 1], [1, 1, 1]], dtype=np.float32) / 13.0
    smooth = cv2.filter2D(image.astype(np.float32), -1, kernel).astype(np.uint8)
    return _blend(smooth, image, _enhancement(level))


def _auto_contrast(image: Pixels, _level: float) -> Pixels:
    return np.stack([_stretched(image[..., channel]) for channel in range(3)], axis=-1)


def _stretched(channel: NDArray[np.uint8]) -> NDArray[np.uint8]:
    low, high = float(channel.min()), float(channel.max())
    if high <= low:
        return channel
    scale = 255.0 / (high - low)
    return (channel.astype(np.float32) * np.float32(scale) + np.float32(-low * scale)).astype(np.uint8)


def _equalize(image: Pixels, _level: float) -> Pixels:
    return np.stack([_equalized(image[..., channel]) for channel in range(3)], axis=-1)


def _equalized(channel: NDArray[np.uint8]) -> NDArray[np.uint8]:
    counts = np.bincount(channel.ravel(), minlength=256)
    step = (counts.sum() - counts[counts > 0][-1]) // 255
    if step == 0:
        return channel
    table = (np.cumsum(counts) + step // 2) // step
    shifted: NDArray[np.uint8] = np.clip(np.concatenate([[0], table[:-1]]), 0, 255).astype(np.uint8)
    equalized: NDArray[np.uint8] = shifted[channel]
    return equalized


def _posterize(image: Pixels, level: float) -> Pixels:
    """Keep the upper bits of each value: none at all at the tables' level of 2."""
    shift = 8 - int(level * 4)
    return ((image.astype(np.int32) >> shift) << shift).astype(np.uint8)


def _solarize(image: Pixels, level: float) -> Pixels:
    return np.where(image.astype(np.int32) < int(level * 256), image, 255 - image)


def _solarize_add(image: Pixels, level: float) -> Pixels:
    brighter = np.clip(image.astype(np.int32) + int(level * 110), 0, 255).astype(np.uint8)
    return np.where(image < _GREY, brighter, image)


_RECOLOUR: dict[str, Callable[[Any, float], Any]] = {
    "Color": _color,
    "Contrast": _contrast,
    "Brightness": _brightness,
    "Sharpness": _sharpness,
    "AutoContrast": _auto_contrast,
    "Equalize": _equalize,
    "Posterize": _posterize,
    "Solarize": _solarize,
    "SolarizeAdd": _solarize_add,
}
