"""Config of the layers that architectures share: backbones, the pyramid, and non-maximum suppression. Imports no torch.

Defaults are PaddleDetection 2.6's where it has the key. A value typed as a Literal of what changes nothing is known there and not honoured
here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from runner.config.schema import Doc, Form, Fraction, Positive, Range


@dataclass(frozen=True, slots=True, kw_only=True)
class ResNet:
    """ResNet backbone (torchvision's, which is variant b: the stride is in the 3x3 convolution)."""

    form: ClassVar[Form] = "section"
    depth: Annotated[Literal[18, 34, 50, 101], Doc("number of layers")] = 50
    variant: Annotated[Literal["b"], Doc("only b; torchvision has no a, c, d")] = "b"
    norm_type: Annotated[Literal["bn", "sync_bn"], Doc("sync_bn shares statistics over GPUs; the same as bn on one")] = "bn"
    freeze_norm: Annotated[bool, Doc("keep batch norm at its loaded statistics, scale and shift")] = True
    freeze_at: Annotated[int, Doc("freeze the stem and the stages up to this index (0 is res2); -1 freezes nothing"), Range(-1, 3)] = 0
    return_idx: Annotated[tuple[int, ...], Doc("stages handed to the neck, 0 is res2 (stride 4)"), Range(0, 3)] = (0, 1, 2, 3)
    num_stages: Annotated[int, Doc("stages built"), Range(1, 4)] = 4
    norm_decay: Annotated[float, Doc("weight decay of the norm layers' scale and shift"), Range(0)] = 0.0
    lr_mult_list: Annotated[tuple[float, ...], Doc("learning rate factor of each stage"), Range(0)] = (1.0, 1.0, 1.0, 1.0)
    groups: Annotated[Literal[1], Doc("grouped convolution is not supported")] = 1
    base_width: Annotated[Literal[64], Doc("only 64")] = 64
    dcn_v2_stages: Annotated[tuple[()], Doc("deformable convolution is not supported: give []")] = ()
    std_senet: Annotated[Literal[False], Doc("squeeze and excitation is not supported")] = False
    first_shortcut: Annotated[
        Literal["identity", "projection"],
        Doc("ours: shortcut of the first block at depth 18 and 34: projection (PaddleDetection) or identity (torchvision, the paper)"),
    ] = "projection"


@dataclass(frozen=True, slots=True, kw_only=True)
class MobileNetV3:
    """MobileNetV3 backbone (torchvision's)."""

    form: ClassVar[Form] = "section"
    scale: Annotated[float, Doc("width multiplier"), Positive] = 1.0
    model_name: Annotated[Literal["large", "small"], Doc("which of the two")] = "large"
    feature_maps: Annotated[
        tuple[int, ...],
        Doc("layers handed to the neck, counted as PaddleDetection does: 1 is the stem (large: 6, 12, 15 are strides 8, 16, 32)"),
        Range(2, 16),
    ] = (6, 12, 15)
    norm_type: Annotated[Literal["bn", "sync_bn"], Doc("see ResNet")] = "bn"
    freeze_norm: Annotated[bool, Doc("see ResNet")] = False
    norm_decay: Annotated[float, Doc("see ResNet"), Range(0)] = 0.0
    lr_mult_list: Annotated[tuple[float, ...], Doc("learning rate factor of each three blocks; the fifth is for all that remain")] = (
        1.0,
        1.0,
        1.0,
        1.0,
        1.0,
    )
    conv_decay: Annotated[float, Doc("weight decay of its convolutions, in place of the regulariser's"), Range(0)] = 0.0
    multiplier: Annotated[float, Doc("only 1"), Range(1, 1)] = 1.0
    with_extra_blocks: Annotated[Literal[False], Doc("SSD's extra blocks are not supported")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Timm:
    """A network of timm as backbone, at random weights. Needs the package timm."""

    form: ClassVar[Form] = "section"
    packages: ClassVar[tuple[str, ...]] = ("timm",)
    name: Annotated[str, Doc("timm's name of the network, without the name of weights: resnet50d")]
    out_indices: Annotated[tuple[int, ...], Doc("features handed on, as timm counts them (ResNet: 1 has stride 4)"), Range(0)] = (
        1,
        2,
        3,
        4,
    )
    norm_decay: Annotated[float, Doc("see ResNet"), Range(0)] = 0.0


Backbone = ResNet | MobileNetV3 | Timm


@dataclass(frozen=True, slots=True, kw_only=True)
class FPN:
    """Feature pyramid (arXiv 1612.03144) on torchvision's FeaturePyramidNetwork."""

    form: ClassVar[Form] = "section"
    out_channel: Annotated[int, Doc("channels of every level"), Range(1)] = 256
    spatial_scales: Annotated[tuple[float, ...], Doc("1 / stride of each backbone level used"), Positive] = (0.25, 0.125, 0.0625, 0.03125)
    extra_stage: Annotated[int, Doc("levels added above the backbone's"), Range(0, 4)] = 1
    has_extra_convs: Annotated[bool, Doc("make the added levels by stride-2 convolution (else by subsampling)")] = False
    use_c5: Annotated[bool, Doc("the first added level comes from the backbone (else from the pyramid)")] = True
    relu_before_extra_convs: Annotated[bool, Doc("ReLU before the second and later added convolutions")] = True
    norm_type: Annotated[Literal["bn", "gn", "sync_bn"] | None, Doc("norm after each convolution")] = None
    norm_decay: Annotated[float, Doc("weight decay of that norm"), Range(0)] = 0.0
    freeze_norm: Annotated[Literal[False], Doc("not supported in the neck")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiClassNMS:
    """Non-maximum suppression, class by class."""

    form: ClassVar[Form] = "name"
    score_threshold: Annotated[float, Doc("boxes below it are dropped"), Fraction] = 0.05
    nms_top_k: Annotated[int, Doc("best boxes of a class that enter; -1 is all"), Range(-1)] = -1
    keep_top_k: Annotated[int, Doc("boxes kept an image; -1 is all"), Range(-1)] = 100
    nms_threshold: Annotated[float, Doc("IoU above which the lesser box goes"), Fraction] = 0.5
    normalized: Annotated[Literal[True], Doc("only true (no +1 in widths)")] = True
    nms_eta: Annotated[float, Doc("only 1: adaptive NMS is not supported"), Range(1, 1)] = 1.0
