"""Updates against Paddle's formulas, written out by hand."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from runner.backends.torch import schema
from runner.backends.torch.models.detector import ParameterSetting
from runner.backends.torch.optimizer import Optimizer, clip_global_norm
from runner.backends.torch.parameter_groups import ParameterFacts
from runner.backends.torch.schema import TorchConfig
from runner.core.errors import InputError

Config = Callable[..., TorchConfig]
RATE = 0.1


def steps(
    config: TorchConfig, settings: dict[str, ParameterSetting] | None = None, count: int = 3, **builder: object
) -> tuple[Tensor, list[Tensor]]:
    """The parameter before, and after each of `count` steps with gradient 0.3 * step + 0.5 and sign changes."""
    start = torch.tensor([1.0, -2.0, 0.5, 3.0])
    parameter = nn.Parameter(start.clone())
    optimizer = Optimizer(
        [("p", parameter)], ParameterFacts(settings or {}), replace(config, optimizer_builder=schema.OptimizerBuilder(**builder))
    )  # type: ignore[arg-type]
    seen = []
    for step in range(count):
        parameter.grad = gradient(step)
        optimizer.set_learning_rate(RATE)
        optimizer.clip_and_regularize()
        optimizer.torch_optimizer.step()
        seen.append(parameter.detach().clone())
    return start, seen


def gradient(step: int) -> Tensor:
    return torch.tensor([1.0, -1.0, 2.0, 0.0]) * (0.3 * step + 0.5)


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum(config: Config, nesterov: bool) -> None:
    start, seen = steps(
        config(), optimizer=schema.Momentum(momentum=0.9, use_nesterov=nesterov), regularizer=schema.Regularizer(factor=0.01)
    )
    value, velocity = start, torch.zeros(4)
    for step, got in enumerate(seen):
        change = gradient(step) + 0.01 * value
        velocity = 0.9 * velocity + change
        value = value - RATE * (change + 0.9 * velocity if nesterov else velocity)
        torch.testing.assert_close(got, value)


@pytest.mark.parametrize("decoupled", [False, True])
def test_adam_and_adamw(config: Config, decoupled: bool) -> None:
    optimizer = schema.AdamW(weight_decay=0.05) if decoupled else schema.Adam()
    start, seen = steps(config(), optimizer=optimizer, regularizer=schema.Regularizer(factor=0.01))
    value, first, second = start.double(), torch.zeros(4).double(), torch.zeros(4).double()
    for step, got in enumerate(seen, 1):
        change = gradient(step - 1).double()
        if decoupled:
            value = value * (1 - RATE * 0.05)
        else:
            change = change + 0.01 * value
        first, second = 0.9 * first + 0.1 * change, 0.999 * second + 0.001 * change**2
        rate = RATE * (1 - 0.999**step) ** 0.5 / (1 - 0.9**step)
        value = value - rate * first / (second.sqrt() + 1e-8 * (1 - 0.999**step) ** 0.5)
        torch.testing.assert_close(got, value.float())


def test_l1_adds_the_sign(config: Config) -> None:
    start, seen = steps(config(), count=1, optimizer=schema.Momentum(momentum=0.0), regularizer=schema.Regularizer(type="L1", factor=0.2))
    torch.testing.assert_close(seen[0], start - RATE * (gradient(0) + 0.2 * start.sign()))


def test_clipping_comes_before_the_regularizer(config: Config) -> None:
    start, seen = steps(
        config(), count=1, optimizer=schema.Momentum(momentum=0.0), regularizer=schema.Regularizer(factor=0.5), clip_grad_by_norm=0.1
    )
    clipped = gradient(0) * 0.1 / gradient(0).norm()
    torch.testing.assert_close(seen[0], start - RATE * (clipped + 0.5 * start))


def test_clipping_by_value(config: Config) -> None:
    start, seen = steps(config(), count=1, optimizer=schema.Momentum(momentum=0.0), regularizer=None, clip_grad_by_value=0.6)
    torch.testing.assert_close(seen[0], start - RATE * gradient(0).clamp(-0.6, 0.6))


def test_the_norm_is_that_of_all_gradients_and_a_smaller_one_is_left() -> None:
    gradients = [torch.tensor([3.0]), torch.tensor([0.0, 4.0])]
    assert float(clip_global_norm(gradients, 10.0)) == 5
    assert gradients[0].item() == 3
    clip_global_norm(gradients, 1.0)
    torch.testing.assert_close(torch.cat(gradients), torch.tensor([0.6, 0.0, 0.8]))


@pytest.mark.parametrize(("decay", "expected"), [(True, 0.01), (False, 0.0), (0.3, 0.3), (0.0, 0.0)])
def test_a_parameters_own_settings(config: Config, decay: bool | float, expected: float) -> None:
    start, seen = steps(
        config(),
        {"p": ParameterSetting(0.5, decay)},
        1,
        optimizer=schema.Momentum(momentum=0.0),
        regularizer=schema.Regularizer(factor=0.01),
    )
    torch.testing.assert_close(seen[0], start - RATE * 0.5 * (gradient(0) + expected * start))


def test_adamw_adds_a_parameters_own_decay_to_its_gradient(config: Config) -> None:
    _, plain = steps(config(), {"p": ParameterSetting(1.0, False)}, optimizer=schema.AdamW())
    _, own = steps(config(), {"p": ParameterSetting(1.0, 0.5)}, optimizer=schema.AdamW())
    assert not torch.equal(plain[-1], own[-1])


def test_adamws_own_decay_can_leave_a_parameter_alone(config: Config) -> None:
    start, plain = steps(config(), optimizer=schema.AdamW(weight_decay=0.05), count=1)
    _, spared = steps(config(), {"p": ParameterSetting(decoupled_decay=False)}, optimizer=schema.AdamW(weight_decay=0.05), count=1)
    torch.testing.assert_close(spared[0] - plain[0], start * RATE * 0.05)


def test_a_state_goes_on_exactly_and_fits_its_own_optimizer_only(config: Config) -> None:
    parameter = nn.Parameter(torch.ones(3))
    optimizer = Optimizer([("p", parameter)], ParameterFacts(), config())
    parameter.grad = torch.ones(3)
    optimizer.set_learning_rate(0.1)
    optimizer.torch_optimizer.step()
    state = copy.deepcopy(optimizer.state_dict())
    twin_parameter = nn.Parameter(parameter.detach().clone())
    twin = Optimizer([("p", twin_parameter)], ParameterFacts(), config())
    twin.load_state_dict(state)
    for one, values in ((optimizer, parameter), (twin, twin_parameter)):
        values.grad = torch.ones(3)
        one.set_learning_rate(0.1)
        one.torch_optimizer.step()
    assert torch.equal(parameter, twin_parameter)
    other = Optimizer([("p", twin_parameter)], ParameterFacts(), config(optimizer_builder=schema.OptimizerBuilder(optimizer=schema.Adam())))
    with pytest.raises(InputError, match="SGD.*Adam"):
        other.load_state_dict(state)


def test_everything_frozen_is_an_error(config: Config) -> None:
    with pytest.raises(InputError, match="frozen"):
        Optimizer([("p", nn.Parameter(torch.ones(1), requires_grad=False))], ParameterFacts(), config())
