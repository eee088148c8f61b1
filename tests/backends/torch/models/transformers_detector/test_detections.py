"""Detections are those of the library's image processors."""

from __future__ import annotations

import pytest
import torch
from support.transformers_models import small_config

from runner.backends.torch.models.transformers_detector.detections import detect
from runner.testing.models import batch, built


class Outputs:
    def __init__(self, logits: torch.Tensor, boxes: torch.Tensor) -> None:
        self.logits, self.pred_boxes = logits, boxes


@pytest.mark.parametrize(
    ("processor", "scores", "limit", "queries"),
    [
        ("RTDetrImageProcessor", "sigmoid", None, 9),
        ("DeformableDetrImageProcessor", "sigmoid", 100, 60),
        ("DetrImageProcessor", "softmax", None, 9),
    ],
)
def test_boxes_scores_and_classes_are_the_librarys(processor: str, scores: str, limit: int | None, queries: int) -> None:
    import transformers

    logits, boxes = torch.randn(2, queries, 4), torch.rand(2, queries, 4)
    found = detect(logits, boxes, torch.tensor([[64.0, 48.0], [30.0, 90.0]]), scores=scores, limit=limit)  # type: ignore[arg-type]
    rule = getattr(transformers, processor)().post_process_object_detection
    theirs = rule(Outputs(logits, boxes), threshold=-1.0, target_sizes=torch.tensor([[48, 64], [90, 30]]))
    for ours, other in zip(found, theirs, strict=True):
        order = other["scores"].sort(descending=True, stable=True).indices
        torch.testing.assert_close(ours.scores, other["scores"][order])
        torch.testing.assert_close(ours.boxes, other["boxes"][order])
        assert ours.classes.tolist() == other["labels"][order].tolist()


def test_padding_that_is_masked_hardly_moves_a_box() -> None:
    """It reaches the convolutions at the image's border; boxes are still relative to the image, which is half as wide as its batch."""
    model = built(small_config("detr")).eval()
    alone = batch(([],), ([],), (64, 64))
    wide = batch(([],), ([],), (64, 128))
    images = torch.zeros_like(wide.images)
    images[..., :64] = alone.images
    padded = type(wide)(images, wide.boxes, wide.classes, wide.scales, alone.sizes, wide.ids, wide.names)
    (first,), (second,) = model.predict(alone), model.predict(padded)
    torch.testing.assert_close(first.boxes, second.boxes, rtol=0, atol=1.5)
