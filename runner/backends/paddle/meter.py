"""Meter of the losses and times between two records."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from runner.training.clock import Clock


class Window(Clock):
    """Means of the losses over the steps since the last record. The clock counts training only: `pause` before an evaluation or a save,
    `go_on` after it.

    It takes the place of ppdet's statistics, whose `update` gets each step's outputs.
    """

    def __init__(self) -> None:
        super().__init__()
        self._sums: dict[str, Any] = {}
        self.steps = self.images = 0
        self.rate = 0.0

    def update(self, outputs: Mapping[str, Any]) -> None:
        """Take a step's losses in: tensors of one element, kept on the device."""
        for name, value in outputs.items():
            if getattr(value, "size", 0) == 1:
                value = value.detach()
                self._sums[name] = self._sums[name] + value if name in self._sums else value
        self.steps += 1

    def is_finite(self) -> bool:
        """Return whether the sum of the losses is finite. Waits for the device."""
        return "loss" not in self._sums or math.isfinite(float(self._sums["loss"]))

    def values(self) -> dict[str, float]:
        """By record tag: mean losses, learning rate of the last step, images a second. Waits for the device."""
        means = {f"train/{name}": float(value) / self.steps for name, value in self._sums.items()}
        self.pause()
        return {**means, "train/lr": self.rate, "train/images_per_s": self.images / max(self._seconds, 1e-9)}

    def sums(self) -> dict[str, float]:
        """By name, what the losses add up to. Waits for the device."""
        return {name: float(value) for name, value in self._sums.items()}

    def average(self, sums: Sequence[Mapping[str, float]]) -> None:
        """Take the means of the sums of several windows of as many steps."""
        self._sums = {name: math.fsum(one[name] for one in sums) / len(sums) for name in sums[0]}

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {"sums": self.sums(), "steps": self.steps, "images": self.images, "rate": self.rate, "seconds": self._seconds}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Window:
        """Restore the meter of a checkpoint, its clock stopped."""
        window = cls()
        window._sums = dict(state["sums"])
        window.steps, window.images = int(state["steps"]), int(state["images"])
        window.rate, window._seconds = float(state["rate"]), float(state["seconds"])
        return window
