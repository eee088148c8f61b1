"""The models of transformers pass the contract suite of architectures."""

from __future__ import annotations

import pytest
from support.transformers_models import SMALL, small_config

from runner.backends.torch.models.transformers_detector import TransformersModel
from runner.backends.torch.schema import TorchConfig
from runner.testing.models import ModelContract

ALWAYS = ("rt_detr_v2", "d_fine", "deimv2", "detr", "deformable_detr")


@pytest.fixture(params=[name if name in ALWAYS else pytest.param(name, marks=pytest.mark.exhaustive) for name in SMALL])
def model(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class TestModels(ModelContract):
    """Each of them, two decoder layers deep and 32 wide."""

    plugin = TransformersModel

    @pytest.fixture
    def config(self, model: str) -> TorchConfig:
        return small_config(model)
