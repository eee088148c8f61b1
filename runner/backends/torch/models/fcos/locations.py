"""Locations on the image of the pyramid's cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Locations:
    """The locations of all levels, finest level first, row by row. L is their number.

    Args:
        points: Float[L, 2], (x, y) in pixels.
        strides: Float[L], stride of each location's level in pixels.
        levels: Int64[L], index of each location's level.
    """

    points: Tensor
    strides: Tensor
    levels: Tensor


def locate(shapes: Sequence[tuple[int, int]], strides: Sequence[int], shift: float, device: torch.device) -> Locations:
    """Return the locations of levels of (height, width) `shapes` and these `strides`: cell (i, j) looks at ((j + shift) *
    stride, (i + shift) * stride).
    """
    points, level_strides, levels = [], [], []
    for level, ((height, width), stride) in enumerate(zip(shapes, strides, strict=True)):
        x = torch.arange(width, device=device, dtype=torch.float32) * stride + stride * shift
        y = torch.arange(height, device=device, dtype=torch.float32) * stride + stride * shift
        points.append(torch.stack((x.expand(height, width).flatten(), y.unsqueeze(1).expand(height, width).flatten()), dim=1))
        level_strides.append(torch.full((height * width,), float(stride), device=device))
        levels.append(torch.full((height * width,), level, device=device))
    return Locations(torch.cat(points), torch.cat(level_strides), torch.cat(levels))
