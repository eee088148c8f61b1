"""From the head's outputs to detections: scores, boxes, and non-maximum suppression class by class."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import batched_nms

from runner.backends.torch.model.head import HeadOutputs, distances
from runner.backends.torch.model.locations import Locations
from runner.backends.torch.schema import FCOSHead, MultiClassNMS


@dataclass(frozen=True, slots=True)
class Detections:
    """What was found on an image, highest score first, on the CPU.

    Args:
        boxes: Float[N, 4], xyxy in pixels of the stored image. As in PaddleDetection they may reach beyond the image.
        scores: Float[N], 0 to 1.
        classes: Int64[N], 0-based.
    """

    boxes: Tensor
    scores: Tensor
    classes: Tensor


def detect(outputs: HeadOutputs, locations: Locations, scales: Tensor, config: FCOSHead) -> list[Detections]:
    """The detections on each image.

    Args:
        outputs: of B images.
        locations: the head's.
        scales: Float[B, 2], (resized / stored) of height and width.
        config: how scores and distances are meant, and the suppression.
    """
    scores = outputs.logits.sigmoid() * outputs.centerness.sigmoid().unsqueeze(2)
    if config.sqrt_score:
        scores = scores.sqrt()
    boxes = decode(outputs.boxes, locations, config.norm_reg_targets) / scales.float().flip(1).repeat(1, 2).unsqueeze(1)
    return [suppress(boxes[image], scores[image], config.nms) for image in range(len(boxes))]


def decode(raw: Tensor, locations: Locations, normalised: bool) -> Tensor:
    """Float[B, L, 4] xyxy in pixels of the resized image, from the head's `boxes`."""
    sides = distances(raw, normalised)
    if normalised:
        sides = sides * locations.strides.view(1, -1, 1)
    return torch.cat((locations.points - sides[..., :2], locations.points + sides[..., 2:]), dim=2)


def suppress(boxes: Tensor, scores: Tensor, config: MultiClassNMS) -> Detections:
    """Non-maximum suppression of one image, by Paddle's multiclass_nms3: of each class the nms_top_k best scores above
    score_threshold enter, a box goes if its IoU with a better one of its class is above nms_threshold, and the
    keep_top_k best of all classes stay.

    Equal scores go by class, then by location. Differences: Paddle gives the result class by class (here by score), and
    of two boxes without area that touch it drops one (here both stay).

    Args:
        boxes: Float[L, 4], xyxy.
        scores: Float[L, C].
        config: the numbers above.
    """
    classes, places = torch.where(scores.T > config.score_threshold)
    found = scores.T[classes, places]
    order = found.sort(descending=True, stable=True).indices
    if config.nms_top_k >= 0:
        order = order[_rank(classes[order]) < config.nms_top_k]
    found, classes, candidates = found[order], classes[order], boxes[places[order]]
    # batched_nms tells classes apart by shifting them, which needs coordinates that are not negative and, to stay
    # exact, more than single precision.
    shifted = candidates.double() - candidates.min() if len(candidates) else candidates.double()
    kept = batched_nms(shifted, found.double(), classes, config.nms_threshold).sort().values
    if config.keep_top_k >= 0:
        kept = kept[: config.keep_top_k]
    return Detections(candidates[kept].cpu(), found[kept].cpu(), classes[kept].cpu())


def _rank(groups: Tensor) -> Tensor:
    """Int64[N]: how many elements of the same group stand before each element."""
    order = groups.sort(stable=True).indices
    ordered = groups[order]
    position = torch.arange(len(groups), device=groups.device)
    starts = torch.searchsorted(ordered, ordered)
    return torch.empty_like(position).scatter_(0, order, position - starts)
