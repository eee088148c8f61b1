"""Transforms of one image and its boxes. NumPy and OpenCV only: they run in the data workers.

The arithmetic is PaddleDetection 2.6.0's (ppdet/data/transform/operators.py): how a size is chosen and rounded, that
pixels and boxes are scaled by the factor before rounding (2.7 takes the one after it), which pixels a flip exchanges.
What it draws from global generators comes here from one generator per sample, see `sample_rng`. An image stays uint8
until NormalizeImage, which is a table look-up with exactly PaddleDetection's float arithmetic in the table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from runner.backends.torch import schema
from runner.core.errors import InputError

cv2.setNumThreads(0)  # every data worker is one thread; OpenCV's own pool would not survive the fork either

_AUGMENT = 1  # what a derived generator is for: keeps the streams apart (0 is runner.training.sampler's)

SAMPLE_INTERPS = (cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_AREA, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)
"""What RandomResize's random_interp draws from."""


@dataclass(frozen=True, slots=True)
class ImageSample:
    """One image on its way through the transforms.

    Args:
        image: UInt8[H, W, 3] or Float32[H, W, 3], RGB; Float32[3, H, W] after Permute.
        boxes: Float32[N, 4], xyxy in pixels of `image`.
        classes: Int64[N], 0-based.
        scale: (resized / stored) of height and width.
        id: image id.
        name: file name, for messages.
        channels_first: whether Permute has been applied.
    """

    image: NDArray[Any]
    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]
    scale: tuple[float, float]
    id: int
    name: str
    channels_first: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        height, width = self.image.shape[1:] if self.channels_first else self.image.shape[:2]
        return int(height), int(width)


Step = Callable[[ImageSample, np.random.Generator], ImageSample]


def sample_rng(seed: int, epoch: int, index: int) -> np.random.Generator:
    """Return the generator of everything random about sample `index` in `epoch` (0-based), the same in every reading process."""
    return np.random.default_rng((_AUGMENT, seed, epoch, index))


def build_steps(transforms: Sequence[schema.SampleTransform | schema.BatchTransform]) -> list[Step]:
    """Make functions of the transforms, in the order given. What concerns the whole batch is left out (PadBatch, what an architecture
    makes of it), Decode has been done.
    """
    return [step for step in map(_step, transforms) if step is not None]


def apply_steps(sample: ImageSample, steps: Sequence[Step], rng: np.random.Generator) -> ImageSample:
    """Apply all `steps` to `sample`, and drop the boxes that have lost their area on the way."""
    for step in steps:
        sample = step(sample, rng)
    keep = (sample.boxes[:, 2] > sample.boxes[:, 0]) & (sample.boxes[:, 3] > sample.boxes[:, 1])
    return sample if keep.all() else replace(sample, boxes=sample.boxes[keep], classes=sample.classes[keep])


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
        raise InputError(f"{sample.name}: an image of {width} x {height} pixels has nothing left when it is resized to {target}")
    if scale_y == scale_x == 1:
        return sample
    image = cv2.resize(sample.image, None, fx=scale_x, fy=scale_y, interpolation=interp)
    boxes = sample.boxes * np.asarray([scale_x, scale_y, scale_x, scale_y], dtype=np.float32)
    boxes = np.clip(boxes, 0, np.asarray([new_width, new_height, new_width, new_height], dtype=np.float32))
    return replace(sample, image=image, boxes=boxes, scale=(sample.scale[0] * scale_y, sample.scale[1] * scale_x))


def flip(sample: ImageSample) -> ImageSample:
    """Mirror left to right: a box from x1 to x2 goes from width - x2 to width - x1."""
    boxes = sample.boxes.copy()
    boxes[:, 0] = sample.size[1] - sample.boxes[:, 2]
    boxes[:, 2] = sample.size[1] - sample.boxes[:, 0]
    return replace(sample, image=cv2.flip(sample.image, 1), boxes=boxes)


def normalize(image: NDArray[Any], config: schema.NormalizeImage) -> NDArray[np.float32]:
    """Compute (pixel / 255 - mean) / std: UInt8[H, W, 3] or Float32[H, W, 3] → Float32[H, W, 3]."""
    if image.dtype == np.uint8:
        looked_up: NDArray[np.float32] = cv2.LUT(image, _table(config))  # type: ignore[assignment]
        return looked_up
    return _normalize_float(image.astype(np.float32), config)


def is_fixed_size(transforms: Sequence[schema.SampleTransform]) -> bool:
    """Return whether every image leaves `transforms` in one and the same size."""
    resizes = [t for t in transforms if isinstance(t, schema.Resize | schema.RandomResize)]
    return bool(resizes) and isinstance(resizes[-1], schema.Resize) and not resizes[-1].keep_ratio


def _step(config: schema.SampleTransform | schema.BatchTransform) -> Step | None:
    """Make a function of one transform."""
    match config:
        case schema.Resize():
            target = _pair(config.target_size)
            return lambda sample, rng: resize(sample, target, keep_ratio=config.keep_ratio, interp=config.interp)
        case schema.RandomResize():
            return lambda sample, rng: _random_resize(sample, config, rng)
        case schema.RandomFlip():
            return lambda sample, rng: flip(sample) if rng.uniform() < config.prob else sample
        case schema.NormalizeImage():
            return lambda sample, rng: replace(sample, image=normalize(sample.image, config))
        case schema.Permute():
            return lambda sample, rng: replace(sample, image=sample.image.transpose(2, 0, 1), channels_first=True)
    return None  # Decode, PadBatch, or an architecture's


def _random_resize(sample: ImageSample, config: schema.RandomResize, rng: np.random.Generator) -> ImageSample:
    """Draw a size, and an interpolation if asked to, then resize."""
    sizes = config.target_size
    if config.random_range:
        low, high = _pair(sizes[0]), _pair(sizes[1])
        target = (int(rng.integers(low[0], high[0] + 1)), max(low[1], high[1] + 1))  # the + 1 on the longer side is PaddleDetection's
    elif config.random_size:
        target = _pair(sizes[int(rng.integers(len(sizes)))])
    else:
        target = _pair(tuple(size for size in sizes if isinstance(size, int)))
    interp = SAMPLE_INTERPS[int(rng.integers(len(SAMPLE_INTERPS)))] if config.random_interp else config.interp
    return resize(sample, target, keep_ratio=config.keep_ratio, interp=interp)


def _pair(size: int | tuple[int, ...]) -> tuple[int, int]:
    if isinstance(size, int):
        return size, size
    return (size[0], size[0]) if len(size) == 1 else (size[0], size[1])


@lru_cache(maxsize=8)
def _table(config: schema.NormalizeImage) -> NDArray[np.float32]:
    """Make a table, Float32[1, 256, 3]: what each value of each channel becomes."""
    values = np.repeat(np.arange(256, dtype=np.float32)[None, :, None], 3, axis=2)
    return _normalize_float(values, config)


def _normalize_float(image: NDArray[np.float32], config: schema.NormalizeImage) -> NDArray[np.float32]:
    """Normalise in place, in the order and precision of PaddleDetection."""
    if config.is_scale:
        image *= 1.0 / 255.0
    if config.norm_type == "mean_std":
        image -= np.asarray(config.mean)
        image /= np.asarray(config.std)
    return image
