"""Facts about the models of transformers that are known here. Imports neither torch nor transformers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Scores = Literal["sigmoid", "softmax"]


@dataclass(frozen=True, slots=True)
class ConfigClass:
    """A config class of the library.

    Args:
        folder: in ``transformers/models``.
        module: the file in it, without its ending.
        name: the class.
    """

    folder: str
    module: str
    name: str


@dataclass(frozen=True, slots=True)
class Family:
    """A model of the library.

    Args:
        config: its config class.
        network: its class for object detection, in ``modeling_<folder>.py``.
        backbone: beginning of the names of the backbone's parameters.
        default_backbone: `model_type` of a `backbone_config` that does not say it.
        default_levels: what a `backbone_config` hands on if it does not say it.
        default_keys: further keys of the backbone that the library builds without a `backbone_config`.
        is_pyramid: a hybrid encoder joins levels of which each is half as large as the one before, and chooses queries among their
            locations (RT-DETR and what came of it). Padding is not masked. Else the library is given the mask of padding.
        scores: sigmoid of each class, or softmax with a last output for "no object".
        detections: detections per image; None: as many as queries.
        class_outputs: names of the layers whose outputs are the classes; ``{layer}`` counts the layers of the decoder, ``{group}`` the
            groups of queries.
        without_effect: declared keys that the library does not read when it detects objects.
        frozen_backbones: kinds of backbone of which the library trains nothing. It means to freeze a ResNet's first layers, and looks for
            their names by a part that no layer of its own ResNets has.
        never_used: parameters that no detector of the library uses.
    """

    config: ConfigClass
    network: str
    backbone: str
    default_backbone: str
    default_levels: Mapping[str, Any]
    is_pyramid: bool
    scores: Scores
    detections: int | None
    class_outputs: tuple[str, ...]
    without_effect: tuple[str, ...] = ()
    frozen_backbones: tuple[str, ...] = ()
    default_keys: Mapping[str, Any] = field(default_factory=dict)
    never_used: tuple[str, ...] = ()


_PYRAMID_LEVELS = {"out_indices": [2, 3, 4]}
_LAST_LEVEL = {"out_features": ["stage4"]}
_ENCODER_HEAD = ("model.enc_score_head",)
_DECODER_HEADS = ("model.decoder.class_embed.{layer}",)
_GROUP_HEADS = ("class_embed", "model.enc_out_class_embed.{group}")
_OUTER_HEADS = ("class_embed.{layer}",)
_RESNETS = ("resnet", "rt_detr_resnet")
_MASKS = ("mask_loss_coefficient", "dice_loss_coefficient")


def _own(folder: str, name: str) -> ConfigClass:
    return ConfigClass(folder, f"configuration_{folder}", name)


FAMILIES: dict[str, Family] = {
    "rt_detr": Family(
        config=_own("rt_detr", "RTDetrConfig"),
        network="RTDetrForObjectDetection",
        backbone="model.backbone.",
        default_backbone="rt_detr_resnet",
        default_levels=_PYRAMID_LEVELS,
        is_pyramid=True,
        scores="sigmoid",
        detections=None,
        class_outputs=_ENCODER_HEAD + _DECODER_HEADS,
        without_effect=("eos_coefficient",),
    ),
    "rt_detr_v2": Family(
        config=_own("rt_detr_v2", "RTDetrV2Config"),
        network="RTDetrV2ForObjectDetection",
        backbone="model.backbone.",
        default_backbone="rt_detr_resnet",
        default_levels=_PYRAMID_LEVELS,
        is_pyramid=True,
        scores="sigmoid",
        detections=None,
        class_outputs=_ENCODER_HEAD + _DECODER_HEADS + _OUTER_HEADS,
        without_effect=("eos_coefficient",),
    ),
    "d_fine": Family(
        config=_own("d_fine", "DFineConfig"),
        network="DFineForObjectDetection",
        backbone="model.backbone.",
        default_backbone="hgnet_v2",
        default_levels=_PYRAMID_LEVELS,
        is_pyramid=True,
        scores="sigmoid",
        detections=None,
        class_outputs=_ENCODER_HEAD + _DECODER_HEADS + _OUTER_HEADS,
        without_effect=("activation_dropout", "eos_coefficient"),
    ),
    "deimv2": Family(
        config=_own("deimv2", "Deimv2Config"),
        network="Deimv2ForObjectDetection",
        backbone="model.conv_encoder.model.",
        default_backbone="hgnet_v2",
        default_levels=_PYRAMID_LEVELS,
        is_pyramid=True,
        scores="sigmoid",
        detections=None,
        class_outputs=_ENCODER_HEAD + _DECODER_HEADS + _OUTER_HEADS,
        without_effect=("activation_dropout", "eos_coefficient"),
    ),
    "detr": Family(
        config=_own("detr", "DetrConfig"),
        network="DetrForObjectDetection",
        backbone="model.backbone.",
        default_backbone="resnet",
        default_levels=_LAST_LEVEL,
        is_pyramid=False,
        scores="softmax",
        detections=None,
        class_outputs=(),
        without_effect=("encoder_layerdrop", "decoder_layerdrop", *_MASKS),
        frozen_backbones=_RESNETS,
    ),
    "conditional_detr": Family(
        config=_own("conditional_detr", "ConditionalDetrConfig"),
        network="ConditionalDetrForObjectDetection",
        backbone="model.backbone.",
        default_backbone="resnet",
        default_levels=_LAST_LEVEL,
        is_pyramid=False,
        scores="sigmoid",
        detections=100,
        class_outputs=("class_labels_classifier",),
        without_effect=("encoder_layerdrop", "cls_loss_coefficient", *_MASKS),
        frozen_backbones=_RESNETS,
    ),
    "deformable_detr": Family(
        config=_own("deformable_detr", "DeformableDetrConfig"),
        network="DeformableDetrForObjectDetection",
        backbone="model.backbone.",
        default_backbone="resnet",
        default_levels=_PYRAMID_LEVELS,
        is_pyramid=False,
        scores="sigmoid",
        detections=100,
        class_outputs=_OUTER_HEADS,
        without_effect=(
            "max_position_embeddings",
            "encoder_layerdrop",
            "init_xavier_std",
            "return_intermediate",
            "eos_coefficient",
            *_MASKS,
        ),
        frozen_backbones=_RESNETS,
    ),
    "dab_detr": Family(
        config=_own("dab_detr", "DabDetrConfig"),
        network="DabDetrForObjectDetection",
        backbone="model.backbone.",
        default_backbone="resnet",
        default_levels=_LAST_LEVEL,
        is_pyramid=False,
        scores="sigmoid",
        detections=100,
        class_outputs=("class_embed",),
        without_effect=("cls_loss_coefficient",),
    ),
    "lw_detr": Family(
        config=_own("lw_detr", "LwDetrConfig"),
        network="LwDetrForObjectDetection",
        backbone="model.backbone.backbone.",
        default_backbone="lw_detr_vit",
        default_levels={},
        default_keys={"num_hidden_layers": 10, "hidden_size": 192, "out_indices": [2, 4, 5, 9]},
        is_pyramid=False,
        scores="sigmoid",
        detections=100,
        class_outputs=_GROUP_HEADS,
        without_effect=("dice_loss_coefficient", "eos_coefficient"),
    ),
    "rf_detr": Family(
        config=_own("rf_detr", "RfDetrConfig"),
        network="RfDetrForObjectDetection",
        backbone="model.backbone.backbone.",
        default_backbone="rf_detr_dinov2",
        default_levels={},
        default_keys={"num_attention_heads": 6, "hidden_size": 384, "out_features": ["stage2", "stage5", "stage8", "stage11"]},
        is_pyramid=False,
        scores="sigmoid",
        detections=100,
        class_outputs=_GROUP_HEADS,
        without_effect=(
            "dice_loss_coefficient",
            "eos_coefficient",
            "mask_loss_coefficient",
            "mask_point_sample_ratio",
            "mask_downsample_ratio",
            "mask_class_loss_coefficient",
            "mask_dice_loss_coefficient",
            "segmentation_head_activation_function",
            "intermediate_size",
        ),
        never_used=("model.backbone.backbone.embeddings.mask_token",),
    ),
}

BACKBONES: dict[str, ConfigClass] = {
    "rt_detr_resnet": ConfigClass("rt_detr", "configuration_rt_detr_resnet", "RTDetrResNetConfig"),
    "hgnet_v2": _own("hgnet_v2", "HGNetV2Config"),
    "resnet": _own("resnet", "ResNetConfig"),
    "timm_backbone": _own("timm_backbone", "TimmBackboneConfig"),
    "lw_detr_vit": ConfigClass("lw_detr", "configuration_lw_detr", "LwDetrViTConfig"),
    "rf_detr_dinov2": ConfigClass("rf_detr", "configuration_rf_detr", "RfDetrDinov2Config"),
}
"""Maps `model_type` of a `backbone_config` to its config class."""
