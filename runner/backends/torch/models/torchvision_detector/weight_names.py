"""Names of tensors in torchvision's files of weights, and what a `TorchvisionNetwork` calls them. Imports no torch."""

from __future__ import annotations

_LEVELS = range(5)
_FORMER_PYRAMID = tuple(
    (f"backbone.fpn.{blocks}.{level}.{kind}", f"model.backbone.fpn.{blocks}.{level}.0.{kind}")
    for blocks in ("inner_blocks", "layer_blocks")
    for level in _LEVELS
    for kind in ("weight", "bias")
)
"""Files made before torchvision 0.13 have the pyramid's convolutions under these names."""
_FORMER_RPN = tuple((f"rpn.head.conv.{kind}", f"model.rpn.head.conv.0.0.{kind}") for kind in ("weight", "bias"))
_FORMER_RETINANET = tuple(
    (f"head.{head}.conv.{2 * layer}.{kind}", f"model.head.{head}.conv.{layer}.0.{kind}")
    for head in ("classification_head", "regression_head")
    for layer in range(4)
    for kind in ("weight", "bias")
)
_VGG_TAIL = tuple((f"features.{layer}.", f"model.backbone.extra.0.{layer - 23}.") for layer in (24, 26, 28))

RENAMINGS = (
    (*_FORMER_PYRAMID, *_FORMER_RPN, ("", "model.")),  # a detector's
    (*_FORMER_PYRAMID, *_FORMER_RETINANET, ("", "model.")),
    (("", "model.backbone.body."),),  # a classification network's: of a ResNet, or of timm
    (("features.", "model.backbone.body."),),  # of a MobileNetV3
    (*_VGG_TAIL, ("features.", "model.backbone.features.")),  # of a VGG16
)
"""Beginnings of torchvision's names and what they become, see `Detector.renamings`."""
