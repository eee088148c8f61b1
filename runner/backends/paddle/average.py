"""Read access to ppdet's moving average of the weights, without changing it."""

from __future__ import annotations

from typing import Any


class Average:
    """`ppdet.optimizer.ema.ModelEMA` with its state.

    With ``cycle_epoch`` it is started anew at the end of some epochs, when ppdet has just applied it: until its next step the weights
    applied then are the average (`keep`).
    """

    def __init__(self, ema: Any) -> None:
        self._ema = ema
        self._kept: dict[str, Any] | None = None

    def keep(self, model: Any) -> None:
        """Remember the weights that were just applied to `model`."""
        self._kept = {name: tensor.clone() for name, tensor in model.state_dict().items()} if self._ema.step == 0 else None

    def weights(self, model: Any) -> dict[str, Any]:
        """Map name to tensor; the model's own weights while the average is still empty."""
        ema = self._ema
        if ema.step == 0:
            return self._kept or dict(model.state_dict())
        cycle, epoch = ema.cycle_epoch, ema.epoch
        ema.cycle_epoch = -1  # reading does not count as an epoch
        try:
            averaged: dict[str, Any] = ema.apply()
        finally:
            ema.cycle_epoch, ema.epoch = cycle, epoch
        return averaged

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and plain values."""
        ema = self._ema
        return {
            "weights": ema.state_dict,
            "step": ema.step,
            "epoch": ema.epoch,
            "decay": getattr(ema, "_decay", ema.decay),
            "kept": self._kept,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state_dict`."""
        ema = self._ema
        ema.resume(state["weights"], state["step"])
        ema.epoch, ema._decay = state["epoch"], state["decay"]
        self._kept = state["kept"]
