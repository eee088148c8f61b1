"""The depth of a ResNet, from the names of its tensors."""

from __future__ import annotations

import pytest
from torchvision import models

from runner.backends.torch.models.resnet_depth import resnet_name


@pytest.mark.parametrize("depth", [18, 34, 50, 101])
def test_a_whole_one(depth: int) -> None:
    names = getattr(models, f"resnet{depth}")().state_dict()
    assert resnet_name(f"backbone.{name}" for name in names) == f"ResNet-{depth}"


def test_its_first_stages_alone() -> None:
    names = [f"backbone.{name}" for name in models.resnet50().state_dict() if not name.startswith(("layer3", "layer4"))]
    assert resnet_name(names) == "ResNet-50 or 101"


def test_another_backbone() -> None:
    assert resnet_name(["backbone.features.0.0.weight", "fcos_head.scales_regs.0"]) == ""
    assert resnet_name(["backbone.layer1.0.conv1.weight"]) == ""
