"""One optimiser step: forward, loss, backward, update. The loop repeats it and the benchmark times it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from runner.backends.torch.amp import amp_type
from runner.backends.torch.ema import ModelEMA
from runner.backends.torch.models.detector import Detector
from runner.backends.torch.optimizer import Optimizer
from runner.backends.torch.parameter_groups import ParameterFacts
from runner.backends.torch.samples import PackedBatch
from runner.backends.torch.schema import TorchConfig
from runner.core.errors import InputError, Problem

_INITIAL_LOSS_SCALE = 1024.0  # PaddleDetection's init_loss_scaling


@dataclass(frozen=True, slots=True)
class StepResult:
    """Result of one step, on the device and without synchronisation.

    Args:
        losses: by name (``loss``, ``loss_cls``, …), Float[], means over the step's images.
        grad_norm: Float[], norm of all gradients before clipping, None unless they are clipped by norm.
    """

    losses: dict[str, Tensor]
    grad_norm: Tensor | None


class TrainStep:
    """The model with everything that changes it.

    Args:
        model: the network; it is moved to `device` here.
        config: the run's.
        device: where the step is computed.
    """

    def __init__(self, model: Detector, config: TorchConfig, device: torch.device) -> None:
        self.device = device
        self.channels_last = config.channels_last
        # nn.Module.to takes a memory format beside the device; its stub lists them apart
        self.model = model.to(device, memory_format=torch.channels_last) if config.channels_last else model.to(device)  # type: ignore[call-overload]
        self.model.train()
        if config.gradient_checkpointing:
            self.model.checkpoint_gradients()
        self.optimizer = Optimizer(self.model.named_parameters(), _facts(self.model, config), config)
        self.ema = ModelEMA(self.model, config) if config.use_ema else None
        half = amp_type(config, device)
        self._autocast: Any = {"device_type": device.type, "dtype": half, "enabled": half is not None}
        scales = half == torch.float16  # bfloat16 has float32's range
        self.scaler = torch.amp.GradScaler(device.type, init_scale=_INITIAL_LOSS_SCALE, enabled=scales)

    def __call__(self, batches: Sequence[PackedBatch], rate: float) -> StepResult:
        """Update the model by the mean gradient over the images of `batches`, with the learning rate `rate`."""
        n_images = sum(len(batch.ids) for batch in batches)
        losses: dict[str, Tensor] = {}
        for packed in batches:
            share = len(packed.ids) / n_images
            batch = packed.to_batch(self.device, channels_last=self.channels_last)
            with torch.autocast(**self._autocast):
                outputs = self.model(batch)
            self.scaler.scale(outputs["loss"] * share).backward()
            for name, value in outputs.items():
                part = value.detach() * share
                losses[name] = losses[name] + part if name in losses else part
        return StepResult(losses, self._update(rate))

    def _update(self, rate: float) -> Tensor | None:
        self.optimizer.set_learning_rate(rate)
        self.scaler.unscale_(self.optimizer.torch_optimizer)
        grad_norm = self.optimizer.clip_and_regularize()
        self.scaler.step(self.optimizer.torch_optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()
        if self.ema is not None:
            self.ema.update()
        return grad_norm

    def state_dict(self) -> dict[str, Any]:
        """Model, optimiser, average and loss scale, plain values and tensors."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "ema": self.ema.state_dict() if self.ema is not None else None,
            "scaler": self.scaler.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` gave, but for the model's own part (see
        `runner.backends.torch.checkpoint.load_weights`).

        Raises:
            InputError: it was made with another optimiser, or with or without a moving average.
        """
        if (state["ema"] is None) != (self.ema is None):
            there, here = ("without", "with") if state["ema"] is None else ("with", "without")
            raise InputError(Problem(f"the checkpoint was made {there} a moving average, this config is {here} one", key="use_ema"))
        self.optimizer.load_state_dict(state["optimizer"])
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
        if state["scaler"] and self.scaler.is_enabled():
            self.scaler.load_state_dict(state["scaler"])


def _facts(model: Detector, config: TorchConfig) -> ParameterFacts:
    layers = model.layers() if config.optimizer_builder.layer_decay != 1 else ()
    return ParameterFacts(model.parameter_settings(), model.paddle_names(), layers)
