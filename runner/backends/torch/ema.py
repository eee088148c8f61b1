"""An exponential moving average of the weights, with PaddleDetection 2.6's arithmetic (ppdet/optimizer/ema.py)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from runner.backends.torch.schema import TorchConfig


class ModelEMA:
    """The average of every floating-point entry of the model's state (parameters and running statistics), in float32.

    It starts at zero, and all types but `exponential` are divided by 1 - decay**n when applied, where `decay` is that
    of the last update and n the number of updates. That is exact for `normal`. For `threshold`, whose decay grows, it
    is PaddleDetection's approximation: 1.5 % too large after 2 updates, 0.5 % after 5, about 0.01 % from 50 on.
    """

    def __init__(self, model: nn.Module, config: TorchConfig) -> None:
        self._decay, self._type = config.ema_decay, config.ema_decay_type
        self._source = averaged_state(model)  # shares memory with the model
        self._average = {name: torch.zeros_like(tensor, dtype=torch.float32) for name, tensor in self._source.items()}
        self.updates = 0
        self._last_decay = 0.0

    @torch.no_grad()
    def update(self) -> None:
        """Take the model's present weights in; call after every optimiser step."""
        decay = decay_at(self._type, self._decay, self.updates)
        averages = list(self._average.values())
        torch._foreach_mul_(averages, decay)
        torch._foreach_add_(averages, list(self._source.values()), alpha=1 - decay)
        self._last_decay = decay
        self.updates += 1

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Give the model the averaged weights inside the context and its own again after it. Before the first update both are equal."""
        if self.updates == 0:
            yield
            return
        with torch.no_grad():
            own = {name: tensor.clone() for name, tensor in self._source.items()}
        self.copy_to_model()
        try:
            yield
        finally:
            with torch.no_grad():
                for name, tensor in self._source.items():
                    tensor.copy_(own[name])

    @torch.no_grad()
    def copy_to_model(self) -> None:
        """Give the model the averaged weights for good."""
        if self.updates == 0:
            return
        factor = 1.0 if self._type == "exponential" else 1 / (1 - self._last_decay**self.updates)
        for name, tensor in self._source.items():
            tensor.copy_(self._average[name] * factor)

    def state_dict(self) -> dict[str, Any]:
        """Return the state, plain values and tensors."""
        return {"average": self._average, "updates": self.updates, "last_decay": self._last_decay, "type": self._type}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state of the same model."""
        for name, tensor in self._average.items():
            tensor.copy_(state["average"][name])
        self.updates, self._last_decay, self._type = int(state["updates"]), float(state["last_decay"]), state["type"]


def decay_at(kind: str, decay: float, updates: int) -> float:
    """Weight of the old average in the update that follows `updates` others."""
    if kind == "threshold":
        return min(decay, (1 + updates) / (10 + updates))
    if kind == "exponential":
        return decay * (1 - math.exp(-(updates + 1) / 2000))
    return decay


def averaged_state(model: nn.Module) -> dict[str, Tensor]:
    """Return the floating-point entries of the model's state; they share memory with the model."""
    return {name: tensor for name, tensor in model.state_dict().items() if tensor.is_floating_point()}
