"""Learning-rate factor and decay of each parameter: the architecture's, `param_groups` by Paddle's definition, and `layer_decay`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from runner.backends.torch import schema
from runner.backends.torch.models.detector import ParameterSetting
from runner.backends.torch.schema import TorchConfig
from runner.core.errors import InputError, Problem
from runner.core.values import listed

_KEY = "OptimizerBuilder.optimizer.param_groups"
_MOST_NAMED = 6


@dataclass(frozen=True, slots=True)
class ParameterFacts:
    """Facts about a model's parameters, by their names.

    Args:
        settings: the architecture's; a name that is missing has factor 1 and the optimiser's regulariser.
        paddle_names: PaddleDetection's names, where it has the parameter.
        layers: beginnings of the names of each layer's parameters, from the images on; what none names comes after the last one.
    """

    settings: Mapping[str, ParameterSetting] = field(default_factory=dict)
    paddle_names: Mapping[str, str] = field(default_factory=dict)
    layers: Sequence[tuple[str, ...]] = ()


@dataclass(frozen=True, slots=True)
class Treatment:
    """Training of a parameter.

    Args:
        lr_mult: factor of the learning rate.
        l1, l2: coefficients of what is added to the gradient.
        decoupled: coefficient of AdamW's own decay.
        group: number of its `param_groups` member, -1 for the rest; Paddle clips the gradients of each by their own norm.
    """

    lr_mult: float
    l1: float
    l2: float
    decoupled: float
    group: int = -1


def treatments(names: Iterable[str], facts: ParameterFacts, config: TorchConfig) -> dict[str, Treatment]:
    """Return how each of the trained parameters `names` is treated.

    `param_groups` does what it does in PaddleDetection 2.6 on Paddle: a text selects the parameters whose names contain it, and giving
    groups replaces the architecture's own factors and (but for AdamW) regularisers, also those of the parameters in no group. The gradients
    of each group, and those of the rest, are clipped by a norm of their own.

    Raises:
        InputError: a text selects no parameter, or two groups select the same.
    """
    builder, every = config.optimizer_builder, list(names)
    found = {name: _own(facts.settings.get(name), builder) for name in every}
    if builder.optimizer.param_groups:
        found = _grouped(found, facts, builder)
    if builder.layer_decay != 1:
        factors = {name: builder.layer_decay ** _depth(name, facts.layers) for name in every}
        found = {name: replace(one, lr_mult=one.lr_mult * factors[name]) for name, one in found.items()}
    return found


def _own(setting: ParameterSetting | None, builder: schema.OptimizerBuilder) -> Treatment:
    """Treat a parameter as the architecture has it: its own regulariser goes before the optimiser's (Paddle's ParamAttr)."""
    setting = setting or ParameterSetting()
    decoupled = _decoupled(builder) if setting.decoupled_decay else 0.0
    if setting.decay is not True:
        return Treatment(setting.lr_mult, 0.0, float(setting.decay), decoupled)
    return Treatment(setting.lr_mult, *_regularizer(builder), decoupled)


def _regularizer(builder: schema.OptimizerBuilder) -> tuple[float, float]:
    """Return the optimiser's own (L1, L2) coefficients."""
    regularizer = builder.regularizer
    if regularizer is None or isinstance(builder.optimizer, schema.AdamW):
        return 0.0, 0.0
    return (regularizer.factor, 0.0) if regularizer.type == "L1" else (0.0, regularizer.factor)


def _decoupled(builder: schema.OptimizerBuilder) -> float:
    return builder.optimizer.weight_decay if isinstance(builder.optimizer, schema.AdamW) else 0.0


def _grouped(found: Mapping[str, Treatment], facts: ParameterFacts, builder: schema.OptimizerBuilder) -> dict[str, Treatment]:
    adamw = isinstance(builder.optimizer, schema.AdamW)
    result = {name: replace(one, lr_mult=1.0) if adamw else Treatment(1.0, *_regularizer(builder), 0.0) for name, one in found.items()}
    group_of: dict[str, int] = {}
    for number, group in enumerate(builder.optimizer.param_groups):
        key = f"{_KEY}.{number}.params"
        for text in group.params:
            selected = [name for name in found if text in name or text in facts.paddle_names.get(name, "")]
            if not selected:
                raise InputError(
                    Problem(f"no trained parameter has {text!r} in its name; they are {listed(list(found), _MOST_NAMED)}", key=key)
                )
            for name in selected:
                if group_of.setdefault(name, number) != number:
                    raise InputError(Problem(f"{name} is in group {group_of[name]} too; a parameter is in one group at most", key=key))
                result[name] = replace(
                    _with_decay(result[name], group.weight_decay, adamw=adamw), lr_mult=group.learning_rate, group=number
                )
    return result


def _with_decay(one: Treatment, weight_decay: float | None, *, adamw: bool) -> Treatment:
    if weight_decay is None:
        return one
    return replace(one, decoupled=weight_decay) if adamw else replace(one, l1=0.0, l2=weight_decay)


def _depth(name: str, layers: Sequence[tuple[str, ...]]) -> int:
    """Return how many layers lie from a parameter's to what comes after the last one, where it is 0."""
    for index, beginnings in enumerate(layers):
        if name.startswith(beginnings):
            return len(layers) - index
    return 0
