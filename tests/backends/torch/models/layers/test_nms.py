"""Suppression against a slow reference."""

from __future__ import annotations

import pytest
import torch

from runner.backends.torch.models.layers.nms import suppress
from runner.backends.torch.models.layers.schema import MultiClassNMS

Found = list[tuple[float, int, int]]


def slow_iou(a: list[float], b: list[float]) -> float:
    inter = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter
    return inter / union if union > 0 else 0.0


def slow_suppress(boxes: list[list[float]], scores: list[list[float]], config: MultiClassNMS) -> Found:
    """(score, class, location), class by class and greedily, as Paddle's multiclass_nms3 does."""
    kept: Found = []
    for label in range(len(scores[0])):
        enter = [place for place in range(len(boxes)) if scores[place][label] > config.score_threshold]
        enter.sort(key=lambda place: -scores[place][label])
        if config.nms_top_k >= 0:
            enter = enter[: config.nms_top_k]
        survivors: list[int] = []
        for place in enter:
            if all(slow_iou(boxes[place], boxes[other]) <= config.nms_threshold for other in survivors):
                survivors.append(place)
        kept += [(scores[place][label], label, place) for place in survivors]
    kept.sort(key=lambda item: -item[0])
    return kept if config.keep_top_k < 0 else kept[: config.keep_top_k]


@pytest.mark.parametrize(
    "config",
    [
        MultiClassNMS(),
        MultiClassNMS(score_threshold=0.5, nms_top_k=7, keep_top_k=12, nms_threshold=0.3),
        MultiClassNMS(score_threshold=0.0, nms_top_k=-1, keep_top_k=-1, nms_threshold=0.6),
        MultiClassNMS(score_threshold=1.0),
    ],
)
def test_equals_the_slow_reference(config: MultiClassNMS) -> None:
    total = 0
    for seed in range(6):
        draw = torch.Generator().manual_seed(seed)
        corner = torch.rand(90, 2, generator=draw) * 60 - 20  # some reach beyond the image
        boxes = torch.cat((corner, corner + torch.rand(90, 2, generator=draw) * 40 + 1), 1)
        scores = (torch.rand(90, 4, generator=draw) * 20).round() / 20  # many are equal
        found = suppress(boxes, scores, config)
        expected = slow_suppress(boxes.tolist(), scores.tolist(), config)
        total += len(expected)
        assert found.scores.tolist() == [score for score, _, _ in expected]
        assert found.classes.tolist() == [label for _, label, _ in expected]
        assert torch.equal(found.boxes, boxes[[place for _, _, place in expected]].reshape(-1, 4))
    assert (total > 0) == (config.score_threshold < 1)


def test_many_boxes_take_the_other_way_through_batched_nms() -> None:
    draw = torch.Generator().manual_seed(0)
    corner = torch.rand(600, 2, generator=draw) * 300 - 100
    boxes = torch.cat((corner, corner + torch.rand(600, 2, generator=draw) * 30 + 1), 1)
    scores = torch.rand(600, 2, generator=draw)
    config = MultiClassNMS(keep_top_k=200)
    expected = slow_suppress(boxes.tolist(), scores.tolist(), config)
    found = suppress(boxes, scores, config)
    assert found.classes.tolist() == [label for _, label, _ in expected]
    assert torch.equal(found.boxes, boxes[[place for _, _, place in expected]])


def test_a_score_of_exactly_the_threshold_is_out() -> None:
    found = suppress(torch.tensor([[0.0, 0, 9, 9]] * 2), torch.tensor([[0.5], [0.25]]), MultiClassNMS(score_threshold=0.25))
    assert found.scores.tolist() == [0.5]


def test_nothing_found() -> None:
    found = suppress(torch.rand(5, 4), torch.zeros(5, 3), MultiClassNMS())
    assert found.boxes.shape == (0, 4) and found.scores.shape == (0,) and found.classes.shape == (0,)
