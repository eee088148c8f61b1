"""Groups of parameters by Paddle's definition, and the decay of the rate by layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from runner.backends.torch import schema
from runner.backends.torch.check import check
from runner.backends.torch.models.base import build_model
from runner.backends.torch.models.detector import ParameterSetting
from runner.backends.torch.models.fcos import FCOSModel
from runner.backends.torch.models.layers import schema as layers
from runner.backends.torch.optimizer import Optimizer
from runner.backends.torch.parameter_groups import ParameterFacts, Treatment, treatments
from runner.backends.torch.schema import ParamGroup, TorchConfig
from runner.core.errors import InputError

Config = Callable[..., TorchConfig]
NAMES = ("body.conv1.weight", "body.layer2.weight", "head.bias", "head.norm.weight")
FACTS = ParameterFacts(
    {"head.bias": ParameterSetting(lr_mult=2.0), "head.norm.weight": ParameterSetting(decay=False)},
    {"body.layer2.weight": "body.res3.weight"},
)


def treated(config: TorchConfig, optimizer: Any, **builder: Any) -> dict[str, Treatment]:
    return treatments(NAMES, FACTS, replace(config, optimizer_builder=schema.OptimizerBuilder(optimizer=optimizer, **builder)))


def test_without_groups_the_architecture_decides(config: Config) -> None:
    found = treated(config(), schema.Momentum(), regularizer=schema.Regularizer(factor=0.01))
    assert found["head.bias"] == Treatment(2.0, 0.0, 0.01, 0.0)
    assert found["head.norm.weight"] == Treatment(1.0, 0.0, 0.0, 0.0)


def test_groups_replace_what_the_architecture_has(config: Config) -> None:
    groups = (ParamGroup(params=("res3", "norm"), learning_rate=0.1, weight_decay=0.5), ParamGroup(params=("conv1",)))
    found = treated(config(), schema.Momentum(param_groups=groups), regularizer=schema.Regularizer(factor=0.01))
    assert list(found.values()) == [
        Treatment(1.0, 0.0, 0.01, 0.0, 1),
        Treatment(0.1, 0.0, 0.5, 0.0, 0),
        Treatment(1.0, 0.0, 0.01, 0.0),
        Treatment(0.1, 0.0, 0.5, 0.0, 0),
    ]
    found = treated(config(), schema.AdamW(param_groups=groups[:1], weight_decay=0.02))
    assert [(one.lr_mult, one.decoupled) for one in found.values()] == [(1.0, 0.02), (0.1, 0.5), (1.0, 0.02), (0.1, 0.5)]


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ((ParamGroup(params=("res5",)),), "param_groups.0.params: no trained parameter has 'res5' in its name; they are body.conv1.weight"),
        ((ParamGroup(params=("body",)), ParamGroup(params=("conv1",))), "param_groups.1.params: body.conv1.weight is in group 0 too"),
    ],
)
def test_groups_that_select_nothing_or_the_same(config: Config, groups: tuple[ParamGroup, ...], words: str) -> None:
    with pytest.raises(InputError) as error:
        treated(config(), schema.Adam(param_groups=groups))
    assert words in str(error.value)


def test_each_group_is_clipped_by_its_own_norm(config: Config) -> None:
    one, other = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    momentum = schema.Momentum(param_groups=(ParamGroup(params=("one",)),))
    builder = schema.OptimizerBuilder(optimizer=momentum, regularizer=None, clip_grad_by_norm=1.0)
    optimizer = Optimizer([("one", one), ("other", other)], ParameterFacts(), replace(config(), optimizer_builder=builder))
    one.grad, other.grad = torch.tensor([3.0]), torch.tensor([0.5])
    norm = optimizer.clip_and_regularize()
    assert norm is not None and norm.item() == pytest.approx((3.0**2 + 0.5**2) ** 0.5)
    assert (one.grad.item(), other.grad.item()) == (1.0, 0.5)


RESNET = {
    "backbone.conv1.weight": 0.5**4,
    "backbone.layer1.0.conv1.weight": 0.125,
    "backbone.layer2.0.conv1.weight": 0.25,
    "backbone.layer3.0.conv1.weight": 0.5,
}
MOBILENET = {"backbone.features.0.0.weight": 0.5**13, "backbone.features.12.block.0.0.weight": 0.5}


@pytest.mark.parametrize(("backbone", "factors"), [(None, RESNET), (layers.MobileNetV3(feature_maps=(7, 13)), MOBILENET)])
def test_layers_before_the_head_learn_slower(config: Config, backbone: Any, factors: dict[str, float]) -> None:
    here = config(optimizer_builder=schema.OptimizerBuilder(layer_decay=0.5))
    architecture = here.architecture
    model = build_model(replace(here, architecture=replace(architecture, backbone=backbone or architecture.backbone)))
    names = [name for name, _ in model.named_parameters()]
    facts = ParameterFacts(model.parameter_settings(), {}, model.layers())
    found, plain = treatments(names, facts, here), treatments(names, facts, config())
    ratio = {name: found[name].lr_mult / plain[name].lr_mult for name in names}
    assert {name: ratio[name] for name in factors} == pytest.approx(factors)
    assert {ratio[name] for name in names if not name.startswith("backbone.")} == {1.0}
    assert all(ratio[name] < 1 for name in names if name.startswith("backbone."))


def test_an_architecture_without_layers(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    here = config(optimizer_builder=schema.OptimizerBuilder(layer_decay=0.5))
    assert not [problem for problem in check(here) if "layer_decay" in problem.key]
    monkeypatch.setattr(FCOSModel, "honoured_keys", frozenset())
    (problem,) = [problem for problem in check(here) if "layer_decay" in problem.key]
    assert problem.message == "FCOS does not have it; remove the key, or give optimizer.param_groups factors"
