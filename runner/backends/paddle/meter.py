"""Meter of the paddle backend."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from runner.training.meter import Meter


class PaddleMeter(Meter):
    """A meter in the place of ppdet's statistics, whose `update` gets each step's outputs. See `Meter`."""

    def update(self, outputs: Mapping[str, Any]) -> None:
        """Count one step: of its outputs, the tensors of one element."""
        self.add({name: value.detach() for name, value in outputs.items() if getattr(value, "size", 0) == 1})

    def is_finite(self) -> bool:
        """Return whether the sum of the losses is finite. Waits for the device."""
        return "loss" not in self.sums or math.isfinite(float(self.sums["loss"]))

    def numbers(self) -> dict[str, float]:
        """Return the sums as numbers. Waits for the device."""
        return {name: float(value) for name, value in self.sums.items()}

    def average(self, sums: Sequence[Mapping[str, float]]) -> None:
        """Take the means of the sums of several meters of as many steps."""
        self.sums = {name: math.fsum(one[name] for one in sums) / len(sums) for name in sums[0]}

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {**super().state_dict(), "sums": self.numbers()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> PaddleMeter:
        """Restore the meter of a checkpoint, its clock stopped."""
        meter = cls()
        meter.load_state_dict(state)
        return meter
