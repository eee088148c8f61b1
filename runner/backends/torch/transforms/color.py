"""Transforms of pixel values: colour distortions and the normalisation.

The arithmetic is PaddleDetection 2.6.0's. RandomDistort is one matrix per image here, in single precision, where PaddleDetection makes one
pass per change, some in double precision: results differ by about 1e-4 grey levels. An image stays UInt8 until a transform makes fractions;
for one that is UInt8 NormalizeImage is a table look-up with exactly PaddleDetection's float arithmetic in the table.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from runner.backends.torch.transforms import schema
from runner.backends.torch.transforms.sample import Draws, ImageSample

_GREY = np.asarray([0.299, 0.587, 0.114])
_TO_YIQ = np.asarray([_GREY, [0.596, -0.274, -0.321], [0.211, -0.523, 0.311]])
_FROM_YIQ = np.asarray([[1.0, 0.956, 0.621], [1.0, -0.272, -0.647], [1.0, -1.107, 1.705]])
"""PaddleDetection's, not quite the inverse of the above."""
_HUES = 180
"""OpenCV's hue has two degrees per step."""


# ------------------------------------------------------------------------------------------------------------- distortion
def random_distort(sample: ImageSample, config: schema.RandomDistort, rng: Draws) -> ImageSample:
    """Change brightness, contrast, saturation and hue: Float32, not cut to 0..255; the image itself where nothing was drawn."""
    affine = np.eye(4)
    exchange = None
    if config.random_apply:
        for which in rng.permutation(len(_DISTORTIONS))[: config.count]:
            affine = _drawn(_DISTORTIONS[int(which)], config, rng) @ affine
    else:
        affine = _drawn("brightness", config, rng) @ affine
        contrast_first = bool(rng.integers(0, 2))
        order = ("contrast", "saturation", "hue") if contrast_first else ("saturation", "hue", "contrast")
        for name in order:
            affine = _drawn(name, config, rng) @ affine
        if config.random_channel and rng.integers(0, 2):
            exchange = rng.permutation(3)
    image = sample.image
    if not np.array_equal(affine, np.eye(4)):
        image = cv2.transform(image.astype(np.float32), affine[:3])
    return replace(sample, image=image if exchange is None else np.ascontiguousarray(image[..., exchange]))


_DISTORTIONS = ("brightness", "contrast", "saturation", "hue")


def _drawn(name: str, config: schema.RandomDistort, rng: Draws) -> NDArray[np.float64]:
    """Draw one change: an affine map of (red, green, blue, 1), Float64[4, 4]; the identity with the probability of not applying it."""
    low, high, skipped = getattr(config, name)
    affine = np.eye(4)
    if rng.uniform(0.0, 1.0) < skipped:
        return affine
    amount = rng.uniform(low, high)
    match name:
        case "brightness":
            affine[:3, 3] = amount
        case "contrast":
            affine[:3, :3] *= amount
        case "saturation":
            affine[:3, :3] = amount * np.eye(3) + (1.0 - amount) * _GREY
        case _:
            u, w = np.cos(amount * np.pi), np.sin(amount * np.pi)
            affine[:3, :3] = _FROM_YIQ @ np.asarray([[1.0, 0.0, 0.0], [0.0, u, -w], [0.0, w, u]]) @ _TO_YIQ
    return affine


def augment_hsv(sample: ImageSample, config: schema.AugmentHSV, rng: Draws) -> ImageSample:
    """Change hue, saturation and value: UInt8 in, Float32 of whole grey levels out."""
    to_hsv, from_hsv = (cv2.COLOR_BGR2HSV, cv2.COLOR_HSV2BGR) if config.is_bgr else (cv2.COLOR_RGB2HSV, cv2.COLOR_HSV2RGB)
    hsv = cv2.LUT(cv2.cvtColor(sample.image, to_hsv), _hsv_table(config, rng))
    return replace(sample, image=cv2.cvtColor(hsv, from_hsv).astype(np.float32))


def _hsv_table(config: schema.AugmentHSV, rng: Draws) -> NDArray[np.uint8]:
    """Draw the change, as a table of the new hue, saturation and value of each value of 0 to 255: UInt8[1, 256, 3]."""
    values = np.arange(256.0)
    if config.hgain is None:
        factors = [np.float32((rng.random() * 2 - 1) * config.fraction + 1) for _ in range(2)]
        saturation, value = (np.clip(values.astype(np.float32) * factor, 0, 255) for factor in factors)
        return np.stack([values, saturation, value], axis=-1).astype(np.uint8)[None]
    gains = [config.hgain, config.sgain or 0.0, config.vgain or 0.0]
    amounts = [rng.uniform(-1.0, 1.0) * gain for gain in gains]
    hue, saturation, value = (amount * int(rng.integers(0, 2)) for amount in amounts)
    columns = [(values + hue) % _HUES, np.clip(values + saturation, 0, 255), np.clip(values + value, 0, 255)]
    return np.stack(columns, axis=-1).astype(np.uint8)[None]


# ---------------------------------------------------------------------------------------------------------- normalisation
def normalize_image(sample: ImageSample, config: schema.NormalizeImage, _rng: Draws) -> ImageSample:
    """Normalise the image: Float32."""
    return replace(sample, image=normalize(sample.image, config))


def normalize(image: NDArray[Any], config: schema.NormalizeImage) -> NDArray[np.float32]:
    """Compute (pixel / 255 - mean) / std: UInt8[H, W, 3] or Float32[H, W, 3] → Float32[H, W, 3]."""
    if image.dtype == np.uint8:
        looked_up: NDArray[np.float32] = cv2.LUT(image, _table(config))  # type: ignore[assignment]
        return looked_up
    return _normalize_float(image.astype(np.float32), config)


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
