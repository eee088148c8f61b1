"""Scores and boxes of the head's outputs against a slow reference."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch

from runner.backends.torch.models.fcos.detections import detect
from runner.backends.torch.models.fcos.head import HeadOutputs
from runner.backends.torch.models.fcos.locations import locate
from runner.backends.torch.models.fcos.schema import FCOSHead
from runner.backends.torch.models.layers.schema import MultiClassNMS


@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize("sqrt_score", [True, False])
def test_detections_of_the_heads_outputs(normalised: bool, sqrt_score: bool) -> None:
    """Every location is found again with the paper's box and score where nothing is suppressed."""
    shapes, strides = ((3, 4), (2, 2)), (8, 16)
    draw = torch.Generator().manual_seed(5)
    outputs = HeadOutputs(
        torch.randn(2, 16, 2, generator=draw),
        torch.randn(2, 16, 4, generator=draw),
        torch.randn(2, 16, generator=draw),
        shapes,
    )
    nms = MultiClassNMS(score_threshold=0.0, keep_top_k=-1, nms_threshold=1.0)
    config = FCOSHead(num_classes=2, fpn_stride=strides, norm_reg_targets=normalised, sqrt_score=sqrt_score, nms=nms)
    scales = torch.tensor([[2.0, 4.0], [0.5, 1.0]])
    places = locate(shapes, strides, config.num_shift, torch.device("cpu"))
    found = detect(outputs, places, scales, config)
    for image in range(2):
        expected = []
        cells = [(level, row, column) for level, (h, w) in enumerate(shapes) for row, column in product(range(h), range(w))]
        for place, (level, row, column) in enumerate(cells):
            stride = strides[level]
            x, y = (column + 0.5) * stride, (row + 0.5) * stride
            raw = outputs.boxes[image, place].tolist()
            sides = [max(v, 0) * stride for v in raw] if normalised else [math.exp(v) for v in raw]
            high, wide = scales[image].tolist()
            box = [(x - sides[0]) / wide, (y - sides[1]) / high, (x + sides[2]) / wide, (y + sides[3]) / high]
            for label in range(2):
                score = 1 / (1 + math.exp(-outputs.logits[image, place, label].item()))
                score /= 1 + math.exp(-outputs.centerness[image, place].item())
                expected.append((math.sqrt(score) if sqrt_score else score, label, box))
        expected.sort(key=lambda item: -item[0])
        assert len(found[image].scores) == len(expected) == 32
        assert found[image].scores.tolist() == pytest.approx([score for score, _, _ in expected], rel=1e-5)
        assert found[image].classes.tolist() == [label for _, label, _ in expected]
        assert torch.allclose(found[image].boxes, torch.tensor([box for _, _, box in expected]), rtol=1e-5, atol=1e-4)
