"""PaddleDetection's optimisers on torch's: what is multiplied, clipped and added to a gradient, in Paddle's order.

Paddle clips the gradients first and adds the regulariser to the clipped ones (paddle/optimizer/optimizer.py,
`_apply_optimize`). torch's weight_decay is added inside `step`, so clipping before `step` gives the same order.
AdamW's decay is decoupled and reaches every parameter there, norm layers too; a parameter's own regulariser is still
added to its gradient.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from runner.backends.torch import schema
from runner.backends.torch.models.detector import ParameterSetting
from runner.backends.torch.schema import TorchConfig
from runner.core.errors import InputError


class Optimizer:
    """One optimiser step from accumulated gradients.

    Args:
        parameters: by name; those that require no gradient are left out.
        settings: by name; a name that is missing has factor 1 and the optimiser's regulariser.
        config: the run's.
    """

    def __init__(
        self, parameters: Iterable[tuple[str, nn.Parameter]], settings: Mapping[str, ParameterSetting], config: TorchConfig
    ) -> None:
        builder = config.optimizer_builder
        self._norm_limit, self._value_limit = builder.clip_grad_by_norm, builder.clip_grad_by_value
        groups: dict[tuple[float, float, float], list[nn.Parameter]] = {}
        for name, parameter in parameters:
            if parameter.requires_grad:
                setting = settings.get(name)
                l1, l2 = _regularizer(builder.regularizer, setting, adamw=isinstance(builder.optimizer, schema.AdamW))
                groups.setdefault((setting.lr_mult if setting else 1.0, l1, l2), []).append(parameter)
        self.parameters = [parameter for members in groups.values() for parameter in members]
        self._torch = _build(builder.optimizer, groups)

    @property
    def torch_optimizer(self) -> torch.optim.Optimizer:
        """Optimiser of torch, for a GradScaler."""
        return self._torch

    @property
    def name(self) -> str:
        """The optimiser's class and groups, to recognise a checkpoint of another one."""
        return f"{type(self._torch).__name__}{[len(group['params']) for group in self._torch.param_groups]}"

    def set_learning_rate(self, rate: float) -> None:
        """Set the learning rate of the next step, before the factors of single parameters."""
        for group in self._torch.param_groups:
            group["lr"] = rate * group["lr_mult"]

    def clip_and_regularize(self) -> Tensor | None:
        """Clip the gradients, then add what torch's optimiser does not add itself. The norm before clipping by norm
        (Float[]), else None.
        """
        norm = None
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        if self._norm_limit is not None:
            norm = clip_global_norm(gradients, self._norm_limit)
        elif self._value_limit is not None:
            torch._foreach_clamp_min_(gradients, -self._value_limit)
            torch._foreach_clamp_max_(gradients, self._value_limit)
        for group in self._torch.param_groups:
            with_gradient = [parameter for parameter in group["params"] if parameter.grad is not None]
            group_gradients = [parameter.grad for parameter in with_gradient]
            if group["l1"]:
                torch._foreach_add_(group_gradients, torch._foreach_sign([p.detach() for p in with_gradient]), alpha=group["l1"])
            if group["l2"]:
                torch._foreach_add_(group_gradients, [p.detach() for p in with_gradient], alpha=group["l2"])
        return norm

    def zero_grad(self) -> None:
        """Forget the gradients."""
        self._torch.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, Any]:
        """Return the state, plain values and tensors."""
        return {"name": self.name, "state": self._torch.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state. Raises InputError where it is that of another optimiser."""
        if state["name"] != self.name:
            raise InputError(
                f"the checkpoint's optimiser is {state['name']}, this config's is {self.name}: "
                "start from its weights alone with pretrain_weights"
            )
        self._torch.load_state_dict(dict(state["state"]))


def clip_global_norm(gradients: list[Tensor], limit: float) -> Tensor:
    """Scale all gradients by limit / max(norm, limit), Paddle's ClipGradByGlobalNorm. Returns the norm (Float[])
    before; no device is waited for.
    """
    if not gradients:
        return torch.zeros(())
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    torch._foreach_mul_(gradients, limit / norm.clamp(min=limit))
    return norm


def _regularizer(regularizer: schema.Regularizer | None, setting: ParameterSetting | None, *, adamw: bool) -> tuple[float, float]:
    """Return the (L1, L2) coefficients of one parameter: its own if it has one (Paddle's ParamAttr goes before the optimiser's)."""
    if setting is not None and setting.decay is not True:
        return 0.0, float(setting.decay)
    if regularizer is None or adamw:
        return 0.0, 0.0
    return (regularizer.factor, 0.0) if regularizer.type == "L1" else (0.0, regularizer.factor)


def _build(
    config: schema.Momentum | schema.Adam | schema.AdamW, groups: Mapping[tuple[float, float, float], list[nn.Parameter]]
) -> torch.optim.Optimizer:
    """torch's optimiser. Paddle's Momentum is SGD without dampening; its Adam divides as torch's does (epsilon
    outside the bias correction).
    """
    decoupled = isinstance(config, schema.AdamW)
    torch_groups: list[dict[str, Any]] = []
    for (lr_mult, l1, l2), parameters in groups.items():
        inside = {} if decoupled else {"weight_decay": l2}
        torch_groups.append({"params": parameters, "lr_mult": lr_mult, "l1": l1, "l2": l2 if decoupled else 0.0, **inside})
    if not torch_groups:
        raise InputError("no parameter is left to train: everything is frozen")
    # fused: one pass over parameter, gradient and state; the rate is set before every step
    if isinstance(config, schema.Momentum):
        nesterov = config.use_nesterov and config.momentum > 0
        return torch.optim.SGD(torch_groups, lr=0.0, momentum=config.momentum, nesterov=nesterov, fused=True)
    betas = (config.beta1, config.beta2)
    if isinstance(config, schema.AdamW):
        return torch.optim.AdamW(torch_groups, lr=0.0, betas=betas, eps=config.epsilon, weight_decay=config.weight_decay, fused=True)
    return torch.optim.Adam(torch_groups, lr=0.0, betas=betas, eps=config.epsilon, fused=True)
