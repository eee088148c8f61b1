"""What is summed between two records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from runner.backends.torch.step import StepResult
from runner.training.clock import Clock


class Window(Clock):
    """Means of the losses over the steps since the last record, kept on the device: nothing waits for a GPU until
    `values`.

    The clock counts training only: `pause` before an evaluation or a save, `go_on` after it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._sums: dict[str, Tensor] = {}
        self._steps = self._images = 0
        self._rate = 0.0

    @property
    def steps(self) -> int:
        """Steps in the window."""
        return self._steps

    def add(self, result: StepResult, rate: float, images: int) -> None:
        """Take one step in."""
        values = dict(result.losses)
        if result.grad_norm is not None:
            values["grad_norm"] = result.grad_norm
        for name, value in values.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value
        self._steps += 1
        self._images += images
        self._rate = rate

    def values(self) -> dict[str, float]:
        """By record tag: mean losses, learning rate of the last step, images a second. Waits for the device."""
        means = {f"train/{name}": float(value) / self._steps for name, value in self._sums.items()}
        self.pause()
        return {**means, "train/lr": self._rate, "train/images_per_s": self._images / max(self._seconds, 1e-9)}

    def state_dict(self) -> dict[str, Any]:
        """The state, plain values and tensors."""
        sums = {name: value.clone() for name, value in self._sums.items()}
        return {"sums": sums, "steps": self._steps, "images": self._images, "rate": self._rate, "seconds": self._seconds}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], device: torch.device) -> Window:
        """The window of a checkpoint, its clock stopped."""
        window = cls()
        window._sums = {name: value.to(device) for name, value in state["sums"].items()}
        window._steps, window._images = int(state["steps"]), int(state["images"])
        window._rate, window._seconds = float(state["rate"]), float(state["seconds"])
        return window


class FiniteCheck:
    """Finds the first step whose loss is not finite: at once on a CPU, at the next record on a GPU, which is not
    waited for in between.
    """

    def __init__(self, device: torch.device) -> None:
        self._at_once = device.type == "cpu"
        self._bad_step = torch.full((), -1, dtype=torch.int64, device=device)
        self._names: dict[int, tuple[str, ...]] = {}

    def add(self, step: int, loss: Tensor, names: tuple[str, ...]) -> tuple[int, tuple[str, ...]] | None:
        """Note the loss of `step` on the images `names`. Returns what `result` does if that is known already."""
        if self._at_once:
            return None if torch.isfinite(loss) else (step, names)
        self._names[step] = names
        is_first = ~torch.isfinite(loss) & (self._bad_step < 0)
        self._bad_step = torch.where(is_first, step, self._bad_step)
        return None

    def result(self) -> tuple[int, tuple[str, ...]] | None:
        """The first bad step and its images' names, or None. Waits for the device; forgets the names of the good
        steps.
        """
        step = int(self._bad_step)
        if step < 0:
            self._names.clear()
            return None
        return step, self._names[step]
