"""Norm layers: fixed ones, and places with a single value."""

from __future__ import annotations

import pytest
import torch

from runner.backends.torch.models.layers.norms import BatchNorm, FixedBatchNorm, norm_layer


def test_fixed_norm_uses_its_statistics_in_training() -> None:
    layer = FixedBatchNorm(2)
    layer.running_mean = torch.tensor([1.0, 2.0])
    layer.running_var = torch.tensor([4.0, 9.0])
    layer.train()
    found = layer(torch.full((2, 2, 3, 3), 5.0))
    assert found[0, :, 0, 0].tolist() == pytest.approx([2, 1], abs=1e-4)
    assert not layer.training


def test_batch_norm_of_one_value_a_channel_uses_the_running_statistics() -> None:
    layer = BatchNorm(3).train()
    found = layer(torch.full((1, 3, 1, 1), 2.0))
    assert found.flatten().tolist() == pytest.approx([2, 2, 2], abs=1e-4)
    assert layer.running_mean is not None and layer.running_var is not None
    assert layer.running_mean.tolist() == [0, 0, 0] and layer.running_var.tolist() == [1, 1, 1]


def test_batch_norm_momentum_is_paddles() -> None:
    layer = norm_layer("sync_bn")(1)
    assert isinstance(layer, BatchNorm) and layer.momentum == pytest.approx(0.1) and layer.eps == pytest.approx(1e-5)
