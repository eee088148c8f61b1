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
from runner.backends.torch.parameter_groups import ParameterFacts, Treatment, treatments
from runner.backends.torch.schema import TorchConfig
from runner.core.errors import InputError


class Optimizer:
    """One optimiser step from accumulated gradients.

    Args:
        parameters: by name; those that require no gradient are left out.
        facts: the architecture's settings of them, and what groups of them are found by.
        config: the run's.
    """

    def __init__(self, parameters: Iterable[tuple[str, nn.Parameter]], facts: ParameterFacts, config: TorchConfig) -> None:
        builder = config.optimizer_builder
        self._norm_limit, self._value_limit = builder.clip_grad_by_norm, builder.clip_grad_by_value
        trained = {name: parameter for name, parameter in parameters if parameter.requires_grad}
        groups: dict[Treatment, list[nn.Parameter]] = {}
        for name, treatment in treatments(trained, facts, config).items():
            groups.setdefault(treatment, []).append(trained[name])
        self.parameters = [parameter for members in groups.values() for parameter in members]
        self._torch = _build(builder.optimizer, groups)
        together: dict[int, list[nn.Parameter]] = {}
        for treatment, members in groups.items():
            together.setdefault(treatment.group, []).extend(members)
        self._clipped_together = list(together.values())

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
            limit = self._norm_limit
            norms = [clip_global_norm([p.grad for p in members if p.grad is not None], limit) for members in self._clipped_together]
            norm = norms[0] if len(norms) == 1 else torch.linalg.vector_norm(torch.stack(norms))
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


def _build(config: schema.Momentum | schema.Adam | schema.AdamW, groups: Mapping[Treatment, list[nn.Parameter]]) -> torch.optim.Optimizer:
    """torch's optimiser. Paddle's Momentum is SGD without dampening; its Adam divides as torch's does (epsilon
    outside the bias correction).
    """
    decoupled = isinstance(config, schema.AdamW)
    torch_groups: list[dict[str, Any]] = []
    for one, parameters in groups.items():
        added = one.l2 if decoupled else 0.0  # else torch adds it
        weight_decay = one.decoupled if decoupled else one.l2
        torch_groups.append({"params": parameters, "lr_mult": one.lr_mult, "l1": one.l1, "l2": added, "weight_decay": weight_decay})
    if not torch_groups:
        raise InputError("no parameter is left to train: everything is frozen")
    # fused: one pass over parameter, gradient and state; the rate is set before every step
    if isinstance(config, schema.Momentum):
        nesterov = config.use_nesterov and config.momentum > 0
        return torch.optim.SGD(torch_groups, lr=0.0, momentum=config.momentum, nesterov=nesterov, fused=True)
    betas = (config.beta1, config.beta2)
    if isinstance(config, schema.AdamW):
        return torch.optim.AdamW(torch_groups, lr=0.0, betas=betas, eps=config.epsilon, fused=True)
    return torch.optim.Adam(torch_groups, lr=0.0, betas=betas, eps=config.epsilon, fused=True)
