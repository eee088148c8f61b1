"""Config of torchvision's detectors. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from runner.backends.torch.models.layers.schema import Timm
from runner.config.schema import Doc, Form, Positive, Range, Rest


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchors:
    """Numbers of torchvision's AnchorGenerator (Faster R-CNN, RetinaNet) or DefaultBoxGenerator (SSD), in place of the model's own."""

    form: ClassVar[Form] = "plain"
    sizes: Annotated[
        tuple[tuple[float, ...], ...] | None, Doc("AnchorGenerator: for each level, finest first, its sizes in pixels"), Positive
    ] = None
    aspect_ratios: Annotated[tuple[float, ...], Doc("AnchorGenerator: height / width of the anchors of each size"), Positive] = (
        0.5,
        1.0,
        2.0,
    )
    scales: Annotated[tuple[float, ...] | None, Doc("DefaultBoxGenerator: seven box sizes, as fractions of the image's side"), Positive] = (
        None
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchvisionDetector:
    """A detector of torchvision, by torchvision's definition, see [models.md](models.md#torchvision)."""

    form: ClassVar[Form] = "section"
    model: Annotated[
        Literal[
            "fasterrcnn_resnet50_fpn",
            "fasterrcnn_resnet50_fpn_v2",
            "fasterrcnn_mobilenet_v3_large_fpn",
            "fasterrcnn_mobilenet_v3_large_320_fpn",
            "retinanet_resnet50_fpn",
            "retinanet_resnet50_fpn_v2",
            "fcos_resnet50_fpn",
            "ssd300_vgg16",
            "ssdlite320_mobilenet_v3_large",
            "FasterRCNN",
            "RetinaNet",
            "FCOS",
        ],
        Doc("function of torchvision.models.detection, or one of its classes, which are built on a backbone of timm"),
    ]
    backbone: Annotated[Timm | None, Doc("ours: for a class, what it is built on")] = None
    out_channels: Annotated[int | None, Doc("of a class's FeaturePyramidNetwork: channels of each level; null: 256"), Range(1)] = None
    anchors: Annotated[Anchors | None, Doc("ours: sizes of the anchors; null: the model's own")] = None
    prior_probability: Annotated[
        float | None,
        Doc("RetinaNet and FCOS: score that every location starts with, below 1; null: torchvision's 0.01"),
        Range(0, 1, open_low=True),
    ] = None
    built_with: Annotated[
        str | None,
        Doc("ours: torchvision's weights that the network is built for (frozen layers and norms); null: those that pretrain_weights names"),
    ] = None
    norm_decay: Annotated[bool, Doc("ours: weight decay applies to norm layers too, as in torchvision's own training script")] = True
    arguments: Annotated[
        dict[str, Any], Doc("every other key: an argument of the function or of its class, as the installed torchvision has it"), Rest()
    ] = field(default_factory=dict)
