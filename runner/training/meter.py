"""Meter of the losses and times between two records."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any


class Meter:
    """Means of the losses over the steps since the last record. Sums stay on the device: nothing waits for it until `values`.

    Its clock counts training only: `pause` before an evaluation or a save, `start` after it.
    """

    def __init__(self) -> None:
        self.steps = self.images = 0
        self.rate = 0.0
        self.sums: dict[str, Any] = {}
        """By name, scalars or tensors of one element."""
        self.seconds = 0.0
        self._since: float | None = None

    def start(self) -> None:
        """Start the clock."""
        self._since = time.perf_counter()

    def pause(self) -> None:
        """Stop the clock."""
        if self._since is not None:
            self.seconds += time.perf_counter() - self._since
            self._since = None

    def add(self, values: Mapping[str, Any]) -> None:
        """Count one step, with what it computed."""
        for name, value in values.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value
        self.steps += 1

    def values(self) -> dict[str, float]:
        """Return by record tag: mean losses, learning rate of the last step, images per second. Stops the clock; waits for the device."""
        means = {f"train/{name}": float(value) / self.steps for name, value in self.sums.items()}
        self.pause()
        return {**means, "train/lr": self.rate, "train/images_per_s": self.images / max(self.seconds, 1e-9)}

    def state_dict(self) -> dict[str, Any]:
        """Return the state; the sums are those of the meter itself."""
        return {"sums": self.sums, "steps": self.steps, "images": self.images, "rate": self.rate, "seconds": self.seconds}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a state, with the clock stopped."""
        self.sums = dict(state["sums"])
        self.steps, self.images = int(state["steps"]), int(state["images"])
        self.rate, self.seconds = float(state["rate"]), float(state["seconds"])
