"""Networks of timm: what they hand on, and what is refused."""

from __future__ import annotations

import pytest
import torch

from runner.backends.torch.models.layers import checks
from runner.backends.torch.models.layers.backbones import build_backbone
from runner.backends.torch.models.layers.schema import FPN, Timm
from runner.backends.torch.models.layers.timm_features import features_of
from runner.core.errors import InputError

NETWORKS = [
    Timm(name="resnet10t", out_indices=(1, 2, 3)),
    Timm(name="mobilenetv3_small_050", out_indices=(2, 3)),
    Timm(name="hgnetv2_b0", out_indices=(1, 2, 3)),
    Timm(name="convnext_atto", out_indices=(0, 1, 2)),
    Timm(name="efficientnet_b0", out_indices=(2, 3, 4)),
]


@pytest.mark.parametrize("config", NETWORKS, ids=lambda config: config.name)
def test_the_network_hands_on_what_is_promised_and_trains_all_it_has(config: Timm) -> None:
    network = build_backbone(config)
    levels = network(torch.zeros(1, 3, 64, 96))
    promised = features_of(config)
    assert [(level.shape[1], 64 // level.shape[2], 96 // level.shape[3]) for level in levels] == [
        (channels, stride, stride) for channels, stride in zip(promised.channels, promised.strides, strict=True)
    ]
    torch.stack([level.sum() for level in levels]).sum().backward()
    assert all((one.grad is not None) == one.requires_grad for one in network.parameters())
    assert bool(promised.unused) == config.name.startswith("mobilenet")  # timm keeps its last stage
    assert network.parameter_settings().keys() == {name for name, _ in network.named_parameters()}


def test_the_levels_of_a_pyramid_are_checked_against_the_networks() -> None:
    assert checks.backbone_strides(NETWORKS[0]) == (4, 8, 16)
    (problem,) = checks.check_levels(NETWORKS[0], FPN(spatial_scales=(1 / 8, 1 / 16)))
    assert "Timm.out_indices gives the strides [4, 8, 16]" in str(problem)
    assert [str(one) for one in checks.check_backbone(Timm(name="resnet10t", out_indices=(2, 1)))][0].endswith("in ascending order")
    assert "'resnet10'" in "".join(map(str, checks.check_backbone(Timm(name="resnet10"))))


@pytest.mark.parametrize(("name", "words"), [("swin_tiny_patch4_window7_224", "images of any size"), ("resnet50.a1_in1k", "give resnet50")])
def test_networks_that_are_refused(name: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        features_of(Timm(name=name, out_indices=(0, 1)))
