"""Checks of `pretrain_weights` without reading it."""

from __future__ import annotations

from typing import Any

from runner.backends.torch.models.weight_sources import check_weights


def test_weights_that_can_be_used_are_no_problem(tmp_path: Any) -> None:
    (tmp_path / "a b.pth").touch()
    assert check_weights(None) == check_weights("ResNet50_Weights.IMAGENET1K_V1") == []
    assert check_weights(str(tmp_path / "a b.pth")) == []


def test_a_weights_name_with_a_slip_gets_a_hint() -> None:
    assert "'ResNet50_Weights.IMAGENET1K_V1'" in str(check_weights("ResNet50-Weights.IMAGENET1K_V1")[0])
