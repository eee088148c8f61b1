"""Targets of each location (PaddleDetection's Gt2FCOSTarget), for a whole batch on its device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from runner.backends.torch.models.fcos.locations import Locations
from runner.backends.torch.models.fcos.schema import Gt2FCOSTarget

BACKGROUND = -1

_CHUNK = 4_000_000
"""Location-box pairs compared at once. About ten tensors of this many numbers are alive: 160 MB."""


@dataclass(frozen=True, slots=True)
class Targets:
    """Targets of the head at each location, in the order of `locate`. Box and centre-ness are defined where the
    class is not `BACKGROUND`.

    Args:
        classes: Int64[B, L], 0-based.
        boxes: Float[B, L, 4], left, top, right, bottom to the box's sides; in strides with norm_reg_targets, else in
            pixels.
        centerness: Float[B, L], 0 to 1; 0 in the background.
    """

    classes: Tensor
    boxes: Tensor
    centerness: Tensor


@torch.no_grad()
def assign(locations: Locations, boxes: Sequence[Tensor], classes: Sequence[Tensor], config: Gt2FCOSTarget) -> Targets:
    """Return the target of every location.

    A location belongs to a box that it lies strictly inside of and, with center_sampling_radius, strictly within so
    many strides of the centre, if its level is for distances like the largest one to a side: strictly between the
    level's two boundaries, so that a box of exactly a boundary is for neither level. Of several such boxes the smallest
    wins, of equal ones the first.

    Args:
        locations: L of them.
        boxes: B of Float[N, 4], xyxy in pixels; N may be 0.
        classes: B of Int64[N], 0-based.
        config: radius, boundaries and units.
    """
    padded, labels = _pad(boxes), pad_sequence([*classes], batch_first=True)
    bounds = locations.points.new_tensor([-1.0, *config.object_sizes_boundary, torch.inf])
    total, step = len(locations.points), max(1, _CHUNK // max(1, padded.shape[0] * padded.shape[1]))
    found, index = [], []
    for start in range(0, total, step):
        part = slice(start, min(total, start + step))
        levels = locations.levels[part]
        radius = config.center_sampling_radius * locations.strides[part] if config.center_sampling_radius > 0 else None
        matched = _match(locations.points[part], bounds[levels], bounds[levels + 1], radius, padded)
        found.append(matched[0])
        index.append(matched[1])
    return _describe(locations, padded, labels, torch.cat(found, dim=1), torch.cat(index, dim=1), config.norm_reg_targets)


def _pad(boxes: Sequence[Tensor]) -> Tensor:
    """Pad to Float[B, M, 4] with M at least 1. What is filled in has no area, so no location lies inside it."""
    padded = pad_sequence([box.float() for box in boxes], batch_first=True)
    return F.pad(padded, (0, 0, 0, 1)) if padded.shape[1] == 0 else padded


def _match(points: Tensor, low: Tensor, high: Tensor, radius: Tensor | None, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Match a box: (Bool[B, l] whether there is one, Int64[B, l] which) for `points` Float[l, 2] whose levels are for distances
    from `low` to `high`, Float[l] each.
    """
    x, y = points[:, 0].view(1, -1, 1), points[:, 1].view(1, -1, 1)
    x0, y0, x1, y1 = (side.unsqueeze(1) for side in boxes.unbind(2))
    left, top, right, bottom = x - x0, y - y0, x1 - x, y1 - y
    inside = torch.minimum(torch.minimum(left, right), torch.minimum(top, bottom)) > 0
    if radius is not None:
        reach, middle_x, middle_y = radius.view(1, -1, 1), (x0 + x1) / 2, (y0 + y1) / 2
        inside &= (x > middle_x - reach) & (x < middle_x + reach) & (y > middle_y - reach) & (y < middle_y + reach)
    furthest = torch.maximum(torch.maximum(left, right), torch.maximum(top, bottom))
    inside &= (furthest > low.view(1, -1, 1)) & (furthest < high.view(1, -1, 1))
    area = torch.where(inside, (x1 - x0) * (y1 - y0), torch.inf)
    smallest, index = area.min(dim=2)
    return torch.isfinite(smallest), index


def _describe(locations: Locations, boxes: Tensor, labels: Tensor, found: Tensor, index: Tensor, normalised: bool) -> Targets:
    """Return the targets of locations that are each matched to the box `index` Int64[B, L] where `found`."""
    if labels.shape[1] == 0:
        labels = F.pad(labels, (0, 1))
    box = boxes.gather(1, index.unsqueeze(2).expand(-1, -1, 4))
    sides = torch.cat((locations.points - box[..., :2], box[..., 2:] - locations.points), dim=2)
    left, top, right, bottom = sides.unbind(2)
    horizontal = torch.minimum(left, right) / torch.maximum(left, right)
    vertical = torch.minimum(top, bottom) / torch.maximum(top, bottom)
    return Targets(
        classes=torch.where(found, labels.gather(1, index), BACKGROUND),
        boxes=sides / locations.strides.view(1, -1, 1) if normalised else sides,
        centerness=torch.where(found, torch.sqrt(horizontal * vertical), 0.0),
    )
