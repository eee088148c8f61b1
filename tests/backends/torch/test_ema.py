"""The average against PaddleDetection's update and apply, written out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from runner.backends.torch.ema import ModelEMA
from runner.backends.torch.schema import TorchConfig


def by_hand(kind: str, decay: float, values: list[float]) -> float:
    average = used = 0.0
    for step, value in enumerate(values):
        used = {
            "threshold": min(decay, (1 + step) / (10 + step)),
            "exponential": decay * (1 - math.exp(-(step + 1) / 2000)),
            "normal": decay,
        }[kind]
        average = used * average + (1 - used) * value
    return average if kind == "exponential" else average / (1 - used ** len(values))


@pytest.mark.parametrize("kind", ["threshold", "normal", "exponential"])
def test_apply_is_paddledetections(config: Callable[..., TorchConfig], kind: str) -> None:
    model = nn.BatchNorm1d(1)
    ema = ModelEMA(model, config(ema_decay=0.9, ema_decay_type=kind))
    values = [float(value) for value in (1, 2, 4, 8, 3, 5, 7)]
    for value in values:
        nn.init.constant_(model.weight, value)
        model.running_mean.fill_(2 * value)
        model.num_batches_tracked += 1
        ema.update()
    with ema.applied():
        assert model.weight.item() == pytest.approx(by_hand(kind, 0.9, values), rel=1e-5)
        assert model.running_mean.item() == pytest.approx(2 * by_hand(kind, 0.9, values), rel=1e-5)
        assert model.num_batches_tracked.item() == len(values)
    assert (model.weight.item(), model.running_mean.item()) == (7, 14)


def test_a_state_goes_on_exactly(config: Callable[..., TorchConfig]) -> None:
    here = config(ema_decay=0.9)
    model = nn.Linear(2, 2)
    ema, twin = ModelEMA(model, here), ModelEMA(model, here)
    ema.update()
    twin.load_state_dict(ema.state_dict())
    ema.update()
    twin.update()
    assert all(torch.equal(value, twin.state_dict()["average"][name]) for name, value in ema.state_dict()["average"].items())


def test_before_the_first_update_the_weights_are_the_models_own(config: Callable[..., TorchConfig]) -> None:
    model = nn.Linear(1, 1)
    before = model.weight.clone()
    with ModelEMA(model, config()).applied():
        assert torch.equal(model.weight, before)
