"""FCOS passes the contract suite of architectures."""

from __future__ import annotations

import pytest

from runner.backends.torch.models.fcos import FCOSModel
from runner.backends.torch.models.fcos.schema import FCOS, FCOSFeat, FCOSHead, Gt2FCOSTarget
from runner.backends.torch.models.layers.schema import FPN, MobileNetV3, MultiClassNMS, ResNet, Timm
from runner.backends.torch.schema import TorchConfig
from runner.testing.models import CLASSES, ModelContract, config_for

STRIDES = (8, 16, 32)


def fcos(backbone: ResNet | MobileNetV3 | Timm) -> TorchConfig:
    """Three levels, 32 channels wide."""
    head = FCOSHead(
        num_classes=CLASSES,
        fcos_feat=FCOSFeat(feat_in=32, feat_out=32, num_convs=1, norm_type="gn"),
        fpn_stride=STRIDES,
        nms=MultiClassNMS(score_threshold=0.0, nms_top_k=100, keep_top_k=20),
    )
    neck = FPN(out_channel=32, spatial_scales=(1 / 8, 1 / 16), extra_stage=1)
    target = Gt2FCOSTarget(object_sizes_boundary=(24.0, 48.0), center_sampling_radius=1.5, downsample_ratios=STRIDES)
    return config_for(FCOS(backbone=backbone, neck=neck, fcos_head=head), (target,))


class TestOnResNet(ModelContract):
    """On three stages of ResNet-18, its stem frozen."""

    plugin = FCOSModel

    @pytest.fixture
    def config(self) -> TorchConfig:
        return fcos(ResNet(depth=18, return_idx=(1, 2), num_stages=3))


class TestOnMobileNet(ModelContract):
    """On the smaller MobileNetV3."""

    plugin = FCOSModel

    @pytest.fixture
    def config(self) -> TorchConfig:
        return fcos(MobileNetV3(model_name="small", feature_maps=(4, 9)))


class TestOnTimm(ModelContract):
    """On a network of timm."""

    plugin = FCOSModel

    @pytest.fixture
    def config(self) -> TorchConfig:
        return fcos(Timm(name="resnet10t", out_indices=(2, 3)))
