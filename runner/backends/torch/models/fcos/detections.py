"""Detections from the outputs of the FCOS head."""

from __future__ import annotations

import torch
from torch import Tensor

from runner.backends.torch.models.detector import Detections
from runner.backends.torch.models.fcos.head import HeadOutputs, distances
from runner.backends.torch.models.fcos.locations import Locations
from runner.backends.torch.models.fcos.schema import FCOSHead
from runner.backends.torch.models.layers.nms import suppress


def detect(outputs: HeadOutputs, locations: Locations, scales: Tensor, config: FCOSHead) -> list[Detections]:
    """Make the detections on each image.

    Args:
        outputs: of B images.
        locations: the head's.
        scales: Float[B, 2], (resized / stored) of height and width.
        config: how scores and distances are meant, and the suppression.
    """
    boxes, scores = candidates(outputs, locations, config)
    boxes = boxes / scales.float().flip(1).repeat(1, 2).unsqueeze(1)
    return [suppress(boxes[image], scores[image], config.nms) for image in range(len(boxes))]


def candidates(outputs: HeadOutputs, locations: Locations, config: FCOSHead) -> tuple[Tensor, Tensor]:
    """Make a box and its scores at each location, before suppression.

    Returns:
        Float[B, L, 4], xyxy in pixels of the resized image, and Float[B, L, C].
    """
    scores = outputs.logits.sigmoid() * outputs.centerness.sigmoid().unsqueeze(2)
    if config.sqrt_score:
        scores = scores.sqrt()
    return decode(outputs.boxes, locations, config.norm_reg_targets), scores


def decode(raw: Tensor, locations: Locations, normalised: bool) -> Tensor:
    """Turn the head's `boxes` into Float[B, L, 4], xyxy in pixels of the resized image."""
    sides = distances(raw, normalised)
    if normalised:
        sides = sides * locations.strides.view(1, -1, 1)
    return torch.cat((locations.points - sides[..., :2], locations.points + sides[..., 2:]), dim=2)
