"""Builders of torchvision's detectors at random weights: its own functions, or its classes on a backbone of timm. Nothing is downloaded.

torchvision decides batch norm and frozen layers by whether weights are given, and downloads what is named. So its functions are always
called without weights, and where `pretrain_weights` names some, the model becomes what the function would have built with them.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torchvision.models import detection
from torchvision.models.detection.anchor_utils import AnchorGenerator, DefaultBoxGenerator
from torchvision.ops import FeaturePyramidNetwork, FrozenBatchNorm2d, MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool, LastLevelP6P7

from runner.backends.torch.models.layers.norms import BatchNorm, GroupNorm
from runner.backends.torch.models.layers.schema import Timm
from runner.backends.torch.models.layers.timm_features import create_timm, features_of
from runner.backends.torch.models.torchvision_detector.facts import LEVELS_ADDED, MODEL_FACTS, ZERO_EPS_WEIGHTS, ModelFacts
from runner.backends.torch.models.torchvision_detector.schema import Anchors, TorchvisionDetector
from runner.backends.torch.models.weight_sources import is_weights_name
from runner.core.errors import InputError, Problem

_TRAINABLE = "trainable_backbone_layers"
_OUT_CHANNELS = 256
_MOBILENET_STAGES = (0, 2, 4, 7, 13, 16)
"""First layer of each stage of a MobileNetV3-Large, as torchvision counts them for trainable_backbone_layers."""
_VGG_STAGES = (0, 4, 9, 16, 23)
_VGG_LAYERS = 30
"""Layers of a VGG16 that SSD uses."""


def build_torchvision(detector: TorchvisionDetector, num_classes: int, weights: str | None) -> nn.Module:
    """Build torchvision's model at random weights drawn from torch's global generator, on the CPU.

    Args:
        detector: the config, without problems.
        num_classes: classes, without background.
        weights: what the model will be given; only a name of torchvision's weights changes how it is built.

    Raises:
        InputError: torchvision refuses an argument.
    """
    facts = MODEL_FACTS[detector.model]
    arguments = {name: value for name, value in detector.arguments.items() if name != _TRAINABLE}
    arguments["num_classes"] = num_classes + (1 if facts.has_background else 0)
    try:
        if detector.backbone is not None:
            model = _on_timm(detector, detector.backbone, facts, arguments)
        else:
            model = getattr(detection, detector.model)(weights=None, weights_backbone=None, **arguments)
    except (AssertionError, TypeError, ValueError) as error:
        text = f"torchvision's {detector.model} refuses {detector.arguments}: {error}"
        raise InputError(Problem(text, key="TorchvisionDetector")) from error
    if detector.backbone is None:
        _set_anchors(model, facts, detector.anchors)
    if detector.prior_probability is not None:
        bias = model.get_submodule("head.classification_head.cls_logits").bias
        nn.init.constant_(bias, -math.log((1 - detector.prior_probability) / detector.prior_probability))  # type: ignore[arg-type]
    _let_norms_take_one_cell(model)
    if weights is not None and is_weights_name(weights):
        _as_with_weights(model, facts, weights, detector.arguments.get(_TRAINABLE))
    return model


def _let_norms_take_one_cell(model: nn.Module) -> None:
    """Make the norm layers of torch those that also take one value per channel, as the 1 x 1 level of a single image has it."""
    for module in model.modules():
        own = {nn.BatchNorm2d: BatchNorm, nn.GroupNorm: GroupNorm}.get(type(module))
        if own is not None:
            module.__class__ = own  # the same tensors and names


# ------------------------------------------------------------------------------------------------------------ on timm
class TimmPyramid(nn.Module):
    """A network of timm with torchvision's feature pyramid: Float[B, 3, H, W] → its levels by name, finest first."""

    def __init__(self, config: Timm, out_channels: int, extra: nn.Module) -> None:
        super().__init__()
        self.body = create_timm(config)
        self.fpn = FeaturePyramidNetwork(list(features_of(config).channels), out_channels, extra_blocks=extra)
        self.out_channels = out_channels

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        """Compute the levels."""
        levels: OrderedDict[str, Tensor] = self.fpn(OrderedDict((str(index), level) for index, level in enumerate(self.body(images))))
        return levels


def _on_timm(detector: TorchvisionDetector, config: Timm, facts: ModelFacts, arguments: dict[str, Any]) -> nn.Module:
    """Build a class on a backbone of timm, its anchors in proportion to the strides as torchvision's are."""
    own, channels = features_of(config).strides, detector.out_channels or _OUT_CHANNELS
    strides = [*own, *(own[-1] * 2**extra for extra in range(1, LEVELS_ADDED[facts.kind] + 1))]
    extra = LastLevelMaxPool() if facts.kind == "FasterRCNN" else LastLevelP6P7(channels, channels)
    backbone = TimmPyramid(config, channels, extra)
    generator = _generator(detector.anchors, facts, strides)
    if facts.kind == "FasterRCNN":
        pool = MultiScaleRoIAlign([str(index) for index in range(len(own))], output_size=7, sampling_ratio=2)
        model: nn.Module = detection.FasterRCNN(backbone, rpn_anchor_generator=generator, box_roi_pool=pool, **arguments)
    else:
        model = getattr(detection, facts.kind)(backbone, anchor_generator=generator, **arguments)
    return model


def _generator(anchors: Anchors | None, facts: ModelFacts, strides: Sequence[int]) -> AnchorGenerator:
    if facts.kind == "FCOS":
        return AnchorGenerator(tuple((stride,) for stride in strides), ((1.0,),) * len(strides))
    if anchors is not None and anchors.sizes is not None:
        return AnchorGenerator(anchors.sizes, (anchors.aspect_ratios,) * len(anchors.sizes))
    ratios = ((0.5, 1.0, 2.0),) * len(strides)
    if facts.kind == "FasterRCNN":  # 32 pixels at stride 4
        return AnchorGenerator(tuple((8 * stride,) for stride in strides), ratios)
    bases = [4 * stride for stride in strides]  # 32 pixels at stride 8
    return AnchorGenerator(tuple((base, int(base * 2 ** (1 / 3)), int(base * 2 ** (2 / 3))) for base in bases), ratios)


def _set_anchors(model: Any, facts: ModelFacts, anchors: Anchors | None) -> None:
    """Replace the sizes of the anchors that a function has chosen."""
    if anchors is not None and anchors.scales is not None:
        own = model.anchor_generator
        model.anchor_generator = DefaultBoxGenerator(own.aspect_ratios, scales=list(anchors.scales), steps=own.steps, clip=own.clip)
    if anchors is not None and anchors.sizes is not None:
        place = model.rpn if facts.kind == "FasterRCNN" else model
        place.anchor_generator = AnchorGenerator(anchors.sizes, (anchors.aspect_ratios,) * len(anchors.sizes))


# ------------------------------------------------------------------------------------------------------- with weights
def _as_with_weights(model: nn.Module, facts: ModelFacts, weights: str, trainable: int | None) -> None:
    """Change a model that was built without weights into what torchvision's function builds with them."""
    backbone = model.get_submodule("backbone")
    if facts.frozen_norm:
        _freeze_norms(backbone.get_submodule("body"), eps=0.0 if weights in ZERO_EPS_WEIGHTS else None)
    layers = facts.default_trainable if trainable is None else trainable
    for name, parameter in backbone.named_parameters():
        stage = _stage(name, facts)
        if stage is not None and stage < facts.most_trainable - layers:
            parameter.requires_grad_(False)


def _freeze_norms(module: nn.Module, eps: float | None) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, FrozenBatchNorm2d(child.num_features, eps=child.eps if eps is None else eps))
        else:
            _freeze_norms(child, eps)


def _stage(name: str, facts: ModelFacts) -> int | None:
    """Return the stage of the backbone that a parameter belongs to, as trainable_backbone_layers counts them, the stem 0; None: it is
    part of none (the pyramid, the added layers)."""
    top, *below = name.split(".")
    if facts.body == "resnet":
        return None if top != "body" else int(below[0].removeprefix("layer")) if below[0].startswith("layer") else 0
    layer = None
    if top == "body":
        layer = int(below[0])
    elif top == "features":  # of SSDLite the first layers, and those from within the last but one stage on
        layer = int(below[1]) + int(below[0]) * _MOBILENET_STAGES[-2] if facts.body == "ssdlite" else int(below[0])
    elif top == "extra" and facts.body == "vgg" and below[0] == "0" and below[1].isdecimal():
        layer = _VGG_STAGES[-1] + int(below[1])
    stages = _VGG_STAGES if facts.body == "vgg" else _MOBILENET_STAGES
    return None if layer is None or (facts.body == "vgg" and layer >= _VGG_LAYERS) else bisect_right(stages, layer) - 1
