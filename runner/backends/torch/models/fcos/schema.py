"""Config of FCOS: the architecture, its head, its loss, and what each location learns. Imports no torch.

Defaults are PaddleDetection 2.6's where it has the key. A value typed as a Literal of what changes nothing is known there and not honoured
here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from runner.backends.torch.models.layers.schema import FPN, MobileNetV3, MultiClassNMS, ResNet, Timm
from runner.config.schema import Doc, Form, Fraction, Positive, Range, Shared


@dataclass(frozen=True, slots=True, kw_only=True)
class FCOSFeat:
    """The two towers of the head, shared by all levels."""

    form: ClassVar[Form] = "name"
    feat_in: Annotated[int, Doc("channels from the neck"), Range(1)] = 256
    feat_out: Annotated[int, Doc("channels of the towers"), Range(1)] = 256
    num_convs: Annotated[int, Doc("convolutions a tower"), Range(0, 16)] = 4
    norm_type: Annotated[Literal["bn", "sync_bn", "gn"], Doc("norm after each convolution (gn: 32 groups)")] = "bn"
    use_dcn: Annotated[Literal[False], Doc("deformable convolution is not supported")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FCOSLoss:
    """Focal loss, IoU loss weighted by centre-ness, and centre-ness (arXiv 1904.01355)."""

    form: ClassVar[Form] = "name"
    loss_alpha: Annotated[float, Doc("focal loss: weight of positives"), Fraction] = 0.25
    loss_gamma: Annotated[float, Doc("focal loss: focusing exponent"), Range(0)] = 2.0
    iou_loss_type: Annotated[Literal["giou", "iou", "linear_iou"], Doc("loss of the boxes")] = "giou"
    reg_weights: Annotated[float, Doc("weight of the box loss"), Range(0)] = 1.0
    quality: Annotated[Literal["centerness"], Doc("only centerness")] = "centerness"


@dataclass(frozen=True, slots=True, kw_only=True)
class FCOSHead:
    """FCOS head with one learned scale per level (PaddleDetection's definition)."""

    form: ClassVar[Form] = "section"
    num_classes: Annotated[int, Doc("classes, without background"), Range(1), Shared()] = 80
    fcos_feat: FCOSFeat = field(default_factory=FCOSFeat)
    fpn_stride: Annotated[tuple[int, ...], Doc("stride of each pyramid level in pixels"), Range(1)] = (8, 16, 32, 64, 128)
    prior_prob: Annotated[float, Doc("score every location starts with, below 1"), Range(0, 1, open_low=True)] = 0.01
    multiply_strides_reg_targets: Annotated[Literal[False], Doc("not supported")] = False
    norm_reg_targets: Annotated[bool, Doc("regress distances in strides (ReLU), else pixels (exp)")] = True
    centerness_on_reg: Annotated[bool, Doc("centre-ness from the box tower, else the class tower")] = True
    num_shift: Annotated[float, Doc("offset of a location inside its cell, in strides"), Fraction] = 0.5
    sqrt_score: Annotated[bool, Doc("score is sqrt(class * centre-ness), else their product")] = False
    fcos_loss: FCOSLoss = field(default_factory=FCOSLoss)
    nms: MultiClassNMS = field(default_factory=MultiClassNMS)
    trt: Annotated[Literal[False], Doc("TensorRT is not supported")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FCOS:
    """FCOS, the anchor-free one-stage detector (arXiv 1904.01355)."""

    form: ClassVar[Form] = "section"
    backbone: ResNet | MobileNetV3 | Timm
    neck: FPN
    fcos_head: FCOSHead


@dataclass(frozen=True, slots=True, kw_only=True)
class Gt2FCOSTarget:
    """Targets of each location, computed on the device for the whole batch."""

    form: ClassVar[Form] = "key"
    object_sizes_boundary: Annotated[
        tuple[float, ...], Doc("largest distance to a side, in pixels, that each level but the last is for"), Positive
    ]
    center_sampling_radius: Annotated[
        float, Doc("locations within this many strides of the centre are positive; 0: everywhere in the box"), Range(0)
    ]
    downsample_ratios: Annotated[tuple[int, ...], Doc("stride of each level; must equal FCOSHead.fpn_stride"), Range(1)]
    num_shift: Annotated[float, Doc("must equal FCOSHead.num_shift"), Fraction] = 0.5
    multiply_strides_reg_targets: Annotated[Literal[False], Doc("not supported")] = False
    norm_reg_targets: Annotated[bool, Doc("must equal FCOSHead.norm_reg_targets")] = True
