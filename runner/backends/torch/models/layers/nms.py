"""Non-maximum suppression class by class, with PaddleDetection's arithmetic."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import batched_nms

from runner.backends.torch.models.detector import Detections
from runner.backends.torch.models.layers.schema import MultiClassNMS


def suppress(boxes: Tensor, scores: Tensor, config: MultiClassNMS) -> Detections:
    """Suppress overlapping boxes of one image as Paddle's multiclass_nms3 does: of each class the nms_top_k best scores above
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
    # batched_nms separates classes by shifting them, which needs coordinates that are not negative and, to stay
    # exact, more than single precision.
    shifted = candidates.double() - candidates.min() if len(candidates) else candidates.double()
    kept = batched_nms(shifted, found.double(), classes, config.nms_threshold).sort().values
    if config.keep_top_k >= 0:
        kept = kept[: config.keep_top_k]
    return Detections(candidates[kept].cpu(), found[kept].cpu(), classes[kept].cpu())


def _rank(groups: Tensor) -> Tensor:
    """Count the elements of the same group before each element: Int64[N]."""
    order = groups.sort(stable=True).indices
    ordered = groups[order]
    position = torch.arange(len(groups), device=groups.device)
    starts = torch.searchsorted(ordered, ordered)
    return torch.empty_like(position).scatter_(0, order, position - starts)
