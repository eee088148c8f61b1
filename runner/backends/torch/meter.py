"""Meter of the torch backend, and the check that its losses are finite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from runner.backends.torch.step import StepResult
from runner.training.meter import Meter


class TorchMeter(Meter):
    """A meter of `StepResult`s. See `Meter`."""

    def add_step(self, result: StepResult, rate: float, images: int) -> None:
        """Count one step."""
        self.add(result.losses if result.grad_norm is None else {**result.losses, "grad_norm": result.grad_norm})
        self.images += images
        self.rate = rate

    def state_dict(self) -> dict[str, Any]:
        """Return the state, plain values and copies of the tensors."""
        return {**super().state_dict(), "sums": {name: value.clone() for name, value in self.sums.items()}}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], device: torch.device) -> TorchMeter:
        """Restore the meter of a checkpoint, its clock stopped."""
        meter = cls()
        meter.load_state_dict({**state, "sums": {name: value.to(device) for name, value in state["sums"].items()}})
        return meter


class FiniteCheck:
    """Finds the first step whose loss is not finite: at once on a CPU, at the next record on a GPU, which is not
    waited for in between.
    """

    def __init__(self, device: torch.device) -> None:
        self._at_once = device.type == "cpu"
        self._bad_step = torch.full((), -1, dtype=torch.int64, device=device)
        self._names: dict[int, tuple[str, ...]] = {}

    def add(self, step: int, loss: Tensor, names: tuple[str, ...]) -> tuple[int, tuple[str, ...]] | None:
        """Take in the loss of `step` on the images `names`. Return what `result` does if that is known already."""
        if self._at_once:
            return None if torch.isfinite(loss) else (step, names)
        self._names[step] = names
        is_first = ~torch.isfinite(loss) & (self._bad_step < 0)
        self._bad_step = torch.where(is_first, step, self._bad_step)
        return None

    def result(self) -> tuple[int, tuple[str, ...]] | None:
        """Return the first bad step and its images' names, or None. Waits for the device; forgets the names of the good
        steps.
        """
        step = int(self._bad_step)
        if step < 0:
            self._names.clear()
            return None
        return step, self._names[step]
