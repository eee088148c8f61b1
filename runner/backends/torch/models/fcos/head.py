"""The FCOS head: two towers shared by all levels, and one learned scale per level (arXiv 1904.01355; PaddleDetection's
FCOSFeat and FCOSHead).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from runner.backends.torch.models.detector import ParameterSetting, settings
from runner.backends.torch.models.fcos import schema
from runner.backends.torch.models.layers.norms import NormType, norm_layer


@dataclass(frozen=True, slots=True)
class HeadOutputs:
    """Outputs of the head at each location, in the order of `locate`, in single precision.

    Args:
        logits: Float[B, L, C], of the classes.
        boxes: Float[B, L, 4], left, top, right, bottom after the level's scale and before `distances`.
        centerness: Float[B, L], logits.
        shapes: (height, width) of each level.
    """

    logits: Tensor
    boxes: Tensor
    centerness: Tensor
    shapes: tuple[tuple[int, int], ...]


def distances(raw: Tensor, normalised: bool) -> Tensor:
    """Distances from a location to the sides of its box, from the head's `boxes`: in strides by ReLU if `normalised`,
    else in pixels by exp.
    """
    return F.relu(raw) if normalised else torch.exp(raw)


class ConvNorm(nn.Module):
    """A 3x3 convolution with bias, and its norm."""

    def __init__(self, channels_in: int, channels_out: int, norm_type: NormType) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.norm = norm_layer(norm_type)(channels_out)

    def forward(self, features: Tensor) -> Tensor:
        """Convolve Float[B, C, h, w] → the same with `channels_out`."""
        out: Tensor = self.norm(self.conv(features))
        return out


class Towers(nn.Module):
    """The class tower and the box tower."""

    def __init__(self, config: schema.FCOSFeat) -> None:
        super().__init__()
        widths = [config.feat_in, *[config.feat_out] * config.num_convs]
        self.cls_subnet_convs = nn.ModuleList(
            ConvNorm(widths[index], config.feat_out, config.norm_type) for index in range(config.num_convs)
        )
        self.reg_subnet_convs = nn.ModuleList(
            ConvNorm(widths[index], config.feat_out, config.norm_type) for index in range(config.num_convs)
        )
        self.channels = widths[-1]

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return a level's features for the classes and for the boxes."""
        classes = boxes = features
        for cls_conv, reg_conv in zip(self.cls_subnet_convs, self.reg_subnet_convs, strict=True):
            classes = F.relu(cls_conv(classes), inplace=True)
            boxes = F.relu(reg_conv(boxes), inplace=True)
        return classes, boxes


class PredictionHead(nn.Module):
    """The towers, three predicting convolutions and the scales. PaddleDetection fixes the towers' width at 256; here it
    is feat_out.
    """

    def __init__(self, config: schema.FCOSHead) -> None:
        super().__init__()
        self.config = config
        self.fcos_feat = Towers(config.fcos_feat)
        channels = self.fcos_feat.channels
        self.fcos_head_cls = nn.Conv2d(channels, config.num_classes, 3, padding=1)
        self.fcos_head_reg = nn.Conv2d(channels, 4, 3, padding=1)
        self.fcos_head_centerness = nn.Conv2d(channels, 1, 3, padding=1)
        self.scales_regs = nn.ParameterList(nn.Parameter(torch.ones(1)) for _ in config.fpn_stride)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d) and layer.bias is not None:
                nn.init.normal_(layer.weight, std=0.01)
                nn.init.zeros_(layer.bias)
        nn.init.constant_(_bias(self.fcos_head_cls), -math.log((1 - config.prior_prob) / config.prior_prob))

    def forward(self, levels: Sequence[Tensor]) -> HeadOutputs:
        """Return the pyramid's levels, Float[B, feat_in, h, w] each."""
        on_class, on_box = [self.fcos_head_cls], [self.fcos_head_reg]
        (on_box if self.config.centerness_on_reg else on_class).append(self.fcos_head_centerness)
        class_predictor, box_predictor = _joined(on_class), _joined(on_box)
        logits, boxes, centerness = [], [], []
        for scale, level in zip(self.scales_regs, levels, strict=True):
            class_features, box_features = self.fcos_feat(level)
            from_class = _flat(F.conv2d(class_features, *class_predictor, padding=1))
            from_box = _flat(F.conv2d(box_features, *box_predictor, padding=1))
            logits.append(from_class[..., : self.config.num_classes])
            boxes.append(from_box[..., :4] * scale)
            centerness.append((from_box if self.config.centerness_on_reg else from_class)[..., -1])
        return HeadOutputs(
            logits=torch.cat(logits, dim=1),
            boxes=torch.cat(boxes, dim=1),
            centerness=torch.cat(centerness, dim=1),
            shapes=tuple((level.shape[2], level.shape[3]) for level in levels),
        )

    def start_at(self, distance: float) -> None:
        """Have the distances of a fresh head start at `distance` strides. As the weights are drawn they start next to zero, and one that is
        below zero everywhere gets no gradient through the ReLU (see docs/backends.md).
        """
        nn.init.constant_(_bias(self.fcos_head_reg), distance)

    def parameter_settings(self) -> dict[str, ParameterSetting]:
        """Return by parameter name: biases of the towers' convolutions learn twice as fast; norm layers do not decay."""
        found = settings(self)
        towers = {name: ParameterSetting(lr_mult=2.0) for name in found if name.startswith("fcos_feat.") and name.endswith(".conv.bias")}
        return found | towers


def _flat(level: Tensor) -> Tensor:
    """Reshape Float[B, K, h, w] → Float[B, h * w, K] in single precision."""
    return level.flatten(2).transpose(1, 2).float()


def _joined(layers: Sequence[nn.Conv2d]) -> tuple[Tensor, Tensor]:
    """Weight and bias of one convolution that does what `layers` do side by side.

    A convolution of four outputs takes as long as one of five, and as long as one of one (17 ms each, 256 channels in,
    4 images of 20 x 20, one core).
    """
    return torch.cat([layer.weight for layer in layers]), torch.cat([_bias(layer) for layer in layers])


def _bias(layer: nn.Conv2d) -> Tensor:
    if layer.bias is None:
        raise TypeError("the convolution has no bias")
    return layer.bias
