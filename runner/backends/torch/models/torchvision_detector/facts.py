"""Facts about torchvision's detectors that its functions decide in their bodies. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["FasterRCNN", "RetinaNet", "FCOS", "SSD"]
Body = Literal["resnet", "mobilenet", "vgg", "ssdlite", "timm"]

LEVELS_ADDED: Final = {"FasterRCNN": 1, "RetinaNet": 2, "FCOS": 2}
"""Levels that each class has above those of its backbone (LastLevelMaxPool, LastLevelP6P7)."""
SIZE_DIVISOR_PX: Final = 32
"""Images are padded to a multiple of this (size_divisible of GeneralizedRCNNTransform), but for SSD."""
ZERO_EPS_WEIGHTS: Final = ("FasterRCNN_ResNet50_FPN_Weights.COCO_V1", "RetinaNet_ResNet50_FPN_Weights.COCO_V1")
"""Weights for which torchvision sets the eps of every FrozenBatchNorm2d to 0 (overwrite_eps)."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Facts about a model of torchvision.

    Args:
        kind: its class.
        body: its backbone.
        anchors: per location, for each level; empty where the model is made with any number (a bare class) or has no such anchors.
        size_px: side of the square image that it is made for; None: any.
        frozen_norm: given weights, torchvision builds the backbone with FrozenBatchNorm2d.
        most_trainable: largest trainable_backbone_layers.
        default_trainable: value taken with weights.
    """

    kind: Kind
    body: Body
    anchors: tuple[int, ...] = ()
    size_px: int | None = None
    frozen_norm: bool = False
    most_trainable: int = 0
    default_trainable: int = 0

    @property
    def has_background(self) -> bool:
        """Class 0 of its outputs is the background."""
        return self.kind in ("FasterRCNN", "SSD")


def _resnet(kind: Kind, anchors: tuple[int, ...], *, frozen_norm: bool) -> ModelFacts:
    return ModelFacts(kind, "resnet", anchors, frozen_norm=frozen_norm, most_trainable=5, default_trainable=3)


_MOBILENET = ModelFacts("FasterRCNN", "mobilenet", (15,) * 3, frozen_norm=True, most_trainable=6, default_trainable=3)

MODEL_FACTS: Final[dict[str, ModelFacts]] = {
    "fasterrcnn_resnet50_fpn": _resnet("FasterRCNN", (3,) * 5, frozen_norm=True),
    "fasterrcnn_resnet50_fpn_v2": _resnet("FasterRCNN", (3,) * 5, frozen_norm=False),
    "fasterrcnn_mobilenet_v3_large_fpn": _MOBILENET,
    "fasterrcnn_mobilenet_v3_large_320_fpn": _MOBILENET,
    "retinanet_resnet50_fpn": _resnet("RetinaNet", (9,) * 5, frozen_norm=True),
    "retinanet_resnet50_fpn_v2": _resnet("RetinaNet", (9,) * 5, frozen_norm=False),
    "fcos_resnet50_fpn": _resnet("FCOS", (), frozen_norm=True),
    "ssd300_vgg16": ModelFacts("SSD", "vgg", size_px=300, most_trainable=5, default_trainable=4),
    "ssdlite320_mobilenet_v3_large": ModelFacts("SSD", "ssdlite", size_px=320, most_trainable=6, default_trainable=6),
    "FasterRCNN": ModelFacts("FasterRCNN", "timm"),
    "RetinaNet": ModelFacts("RetinaNet", "timm"),
    "FCOS": ModelFacts("FCOS", "timm"),
}
SSD_SCALES: Final = 7
"""Scales of the default boxes of SSD300 and SSDLite: one more than they have levels."""
