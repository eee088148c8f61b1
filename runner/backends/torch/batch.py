"""Batch that the reader passes to the model."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """Images of one step with their objects, in the pixels of the resized image.

    Args:
        images: Float[B, 3, H, W], normalised, padded with zeros right and below.
        boxes: B of Float[N, 4], xyxy in pixels.
        classes: B of Int64[N], 0-based, without background.
        scales: Float[B, 2], (resized / stored) of height and width: boxes divided by it are in stored pixels.
        sizes: Int64[B, 2], height and width in pixels before padding (by PadBatch, or by Pad or PadResize right and below).
        ids: B image ids.
        names: B file names, for messages.
    """

    images: Tensor
    boxes: tuple[Tensor, ...]
    classes: tuple[Tensor, ...]
    scales: Tensor
    sizes: Tensor
    ids: tuple[int, ...]
    names: tuple[str, ...]
