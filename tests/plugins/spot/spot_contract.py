"""The contract suite for `spot`, run where it is installed (see tests/plugins/test_models.py)."""

from __future__ import annotations

import pytest
from spot import Spot, SpotHead, SpotModel, SpotTarget

from runner.backends.torch.models.layers.schema import ResNet
from runner.backends.torch.schema import TorchConfig
from runner.testing.models import CLASSES, ModelContract, config_for


class TestSpot(ModelContract):
    """A ResNet-18's first half."""

    plugin = SpotModel

    @pytest.fixture
    def config(self) -> TorchConfig:
        backbone = ResNet(depth=18, return_idx=(1,), num_stages=2, freeze_at=-1, freeze_norm=False)
        return config_for(Spot(backbone=backbone, head=SpotHead(num_classes=CLASSES)), (SpotTarget(),))
