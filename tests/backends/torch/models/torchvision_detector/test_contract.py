"""torchvision's detectors pass the contract suite of architectures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from runner.backends.torch.models.layers.schema import Timm
from runner.backends.torch.models.torchvision_detector import TorchvisionModel
from runner.backends.torch.models.torchvision_detector.schema import TorchvisionDetector
from runner.backends.torch.schema import EvalReader, TorchConfig, TrainReader
from runner.backends.torch.transforms.schema import Decode, NormalizeImage, PadBatch, Permute, Resize
from runner.testing.models import CLASSES, ModelContract, config_for

SAMPLED: dict[str, Any] = {"box_batch_size_per_image": 16, "rpn_post_nms_top_n_test": 50}
ANY_SCORE: dict[str, Any] = {"score_thresh": 0.0}


def on_timm(model: Any, arguments: dict[str, Any]) -> TorchConfig:
    """A class of torchvision's on two stages of timm's smallest ResNet, 32 channels wide."""
    backbone = Timm(name="resnet10t", out_indices=(2, 3))
    return config_for(TorchvisionDetector(model=model, backbone=backbone, out_channels=32, arguments=arguments))


def squares(model: Any, side: int, arguments: dict[str, Any]) -> TorchConfig:
    """A model that is made for squares of `side` pixels."""
    steps: Sequence[Any] = (Decode(), Resize(target_size=(side, side), keep_ratio=False), NormalizeImage(), Permute())
    readers = {
        "train_reader": TrainReader(sample_transforms=tuple(steps), batch_transforms=(PadBatch(),), num_classes=CLASSES),
        "eval_reader": EvalReader(sample_transforms=tuple(steps), num_classes=CLASSES),
    }
    return config_for(TorchvisionDetector(model=model, arguments=arguments), **readers)


class TestFasterRCNN(ModelContract):
    """The class, whose samplers draw from torch's generator."""

    plugin = TorchvisionModel

    @pytest.fixture
    def config(self) -> TorchConfig:
        return on_timm("FasterRCNN", SAMPLED)


class TestRetinaNet(ModelContract):
    """The class."""

    plugin = TorchvisionModel

    @pytest.fixture
    def config(self) -> TorchConfig:
        return on_timm("RetinaNet", ANY_SCORE)


class TestFCOS(ModelContract):
    """The class."""

    plugin = TorchvisionModel

    @pytest.fixture
    def config(self) -> TorchConfig:
        return on_timm("FCOS", ANY_SCORE)


@pytest.mark.slow
class TestSSDLite(ModelContract):
    """A function, and a model of one size."""

    plugin = TorchvisionModel
    fixed_size = (320, 320)

    @pytest.fixture
    def config(self) -> TorchConfig:
        return squares("ssdlite320_mobilenet_v3_large", 320, {"topk_candidates": 20, "detections_per_img": 20})


@pytest.mark.exhaustive
class TestSSD300(ModelContract):
    """The other model of one size."""

    plugin = TorchvisionModel
    fixed_size = (300, 300)

    @pytest.fixture
    def config(self) -> TorchConfig:
        return squares("ssd300_vgg16", 300, {"topk_candidates": 20, "detections_per_img": 20})


FUNCTIONS = {
    "fasterrcnn_resnet50_fpn": SAMPLED,
    "fasterrcnn_resnet50_fpn_v2": SAMPLED,
    "fasterrcnn_mobilenet_v3_large_fpn": SAMPLED,
    "fasterrcnn_mobilenet_v3_large_320_fpn": {**SAMPLED, "rpn_score_thresh": 0.0},
    "retinanet_resnet50_fpn": ANY_SCORE,
    "retinanet_resnet50_fpn_v2": ANY_SCORE,
    "fcos_resnet50_fpn": ANY_SCORE,
}


@pytest.mark.exhaustive
class TestFunctions(ModelContract):
    """Every other function."""

    plugin = TorchvisionModel

    @pytest.fixture(params=FUNCTIONS)
    def config(self, request: pytest.FixtureRequest) -> TorchConfig:
        return config_for(TorchvisionDetector(model=request.param, arguments=FUNCTIONS[request.param]))
