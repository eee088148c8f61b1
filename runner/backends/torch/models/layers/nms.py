"""Non-maximum suppression class by class, with PaddleDetection's arithmetic."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import batched_nms, nms

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


def suppress_traced(boxes: Tensor, scores: Tensor, config: MultiClassNMS) -> tuple[Tensor, Tensor, Tensor]:
    """Suppress overlapping boxes as `suppress` does, by operators that can be exported: in single precision, and without branches.

    Args:
        boxes: Float[L, 4], xyxy.
        scores: Float[L, C].
        config: the numbers.

    Returns:
        boxes Float[N, 4], scores Float[N], highest first, and classes Int64[N].
    """
    count, classes = scores.shape
    if config.nms_top_k >= 0:
        padding = scores.new_full((config.nms_top_k, classes), -1.0)  # so that there are nms_top_k of each class
        best = torch.cat((scores, padding)).T.topk(config.nms_top_k, dim=1)
        found, places = best.values, best.indices.clamp(max=count - 1)
    else:
        found, places = scores.T, torch.arange(count, device=boxes.device).expand(classes, -1)
    labels = torch.arange(classes, device=boxes.device).unsqueeze(1).expand_as(found).flatten()
    found, places = found.flatten(), places.flatten()
    enters = torch.nonzero(found > config.score_threshold).squeeze(1)
    found, labels, candidates = found[enters], labels[enters], boxes[places[enters]]
    # Classes are kept apart by shifting them. Measured over all boxes, as there may be no candidate.
    span = boxes.max() - boxes.min() + 1
    kept = nms(candidates + (labels.to(boxes.dtype) * span).unsqueeze(1), found, config.nms_threshold)
    if config.keep_top_k >= 0:
        kept = kept[: config.keep_top_k]
    return candidates[kept], found[kept], labels[kept]


def _rank(groups: Tensor) -> Tensor:
    """Count the elements of the same group before each element: Int64[N]."""
    order = groups.sort(stable=True).indices
    ordered = groups[order]
    position = torch.arange(len(groups), device=groups.device)
    starts = torch.searchsorted(ordered, ordered)
    return torch.empty_like(position).scatter_(0, order, position - starts)
