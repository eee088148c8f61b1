"""Detections by the rule of the library's image processors (`post_process_object_detection`), without their threshold."""

from __future__ import annotations

import torch
from torch import Tensor

from runner.backends.torch.models.detector import Detections
from runner.backends.torch.models.transformers_detector.families import Scores


def detect(logits: Tensor, boxes: Tensor, sides: Tensor, *, scores: Scores, limit: int | None) -> list[Detections]:
    """Make the detections on each image.

    Args:
        logits: Float[B, Q, C], with softmax Float[B, Q, C + 1] with the last for "no object".
        boxes: Float[B, Q, 4], (centre x, centre y, width, height) relative to `sides`.
        sides: Float[B, 2], (width, height) in pixels of the stored image.
        scores: sigmoid: the best of all pairs of query and class. softmax: of each query its best class.
        limit: how many; None: as many as queries.
    """
    logits, boxes, sides = logits.float().cpu(), boxes.float().cpu(), sides.cpu()
    queries = logits.shape[1]
    if scores == "softmax":
        best, classes = logits.softmax(-1)[..., :-1].max(-1)
        best, chosen = best.sort(dim=1, descending=True, stable=True)
        classes = classes.gather(1, chosen)
    else:
        pairs = logits.sigmoid().flatten(1)
        best, index = pairs.topk(min(limit or queries, pairs.shape[1]), dim=1)
        chosen, classes = index // logits.shape[2], index % logits.shape[2]
    centre, size = boxes.gather(1, chosen.unsqueeze(2).expand(-1, -1, 4)).chunk(2, dim=2)
    corners = torch.cat((centre - size / 2, centre + size / 2), dim=2) * sides.repeat(1, 2).unsqueeze(1)
    return [Detections(corners[image], best[image], classes[image]) for image in range(len(corners))]
