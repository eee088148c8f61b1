"""The losses are the library's, weighted by its rule, in float32."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support.transformers_models import SMALL, small_config

from runner.backends.torch.models.transformers_detector.network import TransformersNetwork
from runner.backends.torch.models.transformers_detector.targets import labels_of
from runner.testing.models import batch, built


def network(model: str, **changes: Any) -> TransformersNetwork:
    found = built(small_config(model, **changes)).train()
    assert isinstance(found, TransformersNetwork)
    return found


@pytest.mark.parametrize("model", SMALL)
def test_the_terms_sum_to_the_librarys_loss(model: str) -> None:
    detector, given = network(model), batch()
    torch.manual_seed(3)
    losses = detector(given)
    torch.manual_seed(3)
    inputs = detector._inputs(given)
    theirs = detector._run(inputs, labels_of(given, inputs.extents)).loss
    torch.testing.assert_close(losses["loss"], theirs)
    assert {"loss_bbox", "loss_giou"} < set(losses) and "loss_box" not in losses and "cardinality_error" not in losses


def test_a_weight_scales_its_term_in_all_layers() -> None:
    terms = []
    for weight in (5, 10):
        torch.manual_seed(0)
        detector = network("detr", config={"bbox_loss_coefficient": weight})
        torch.manual_seed(1)
        terms.append(detector(batch()))
    torch.testing.assert_close(2 * terms[0]["loss_bbox"], terms[1]["loss_bbox"])
    torch.testing.assert_close(terms[0]["loss_giou"], terms[1]["loss_giou"])


def test_under_autocast_the_matcher_and_the_losses_get_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    cdist = torch.cdist

    def recorded(first: torch.Tensor, *rest: Any, **kwargs: Any) -> torch.Tensor:
        seen.append((first.dtype, torch.is_autocast_enabled("cpu")))
        return cdist(first, *rest, **kwargs)

    monkeypatch.setattr(torch, "cdist", recorded)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = network("rt_detr_v2")(batch())
    assert set(seen) == {(torch.float32, False)} and losses["loss"].dtype == torch.float32


def test_weights_that_are_not_finite_give_a_loss_that_is_not() -> None:
    detector = network("rt_detr_v2")
    with torch.no_grad():
        next(detector.parameters()).fill_(torch.nan)
    losses = detector(batch())
    assert losses["loss"].isnan() and losses["loss"].requires_grad
