"""TranslationLog of 0.x's `pretrain_weights`: archives (`NAME.tar`) of a model store that 2.x no longer reads."""

from __future__ import annotations

from typing import Any

from runner.config.legacy.keys import TranslationLog, at
from runner.config.node import Node

_STORE = "https://paddledet.bj.bcebos.com/models/pretrained"
_PUBLISHED = frozenset(
    """DarkNet53_pretrained HRNet_W18_C_pretrained MobileNetV1_pretrained MobileNetV1_ssld_pretrained MobileNetV3_large_x0_5_pretrained
    MobileNetV3_large_x1_0_ssld_pretrained MobileNetV3_small_x1_0_ssld_pretrained Res2Net50_26w_4s_pretrained Res2Net50_vd_26w_4s_pretrained
    ResNeXt101_vd_64x4d_pretrained ResNeXt50_32x4d_pretrained ResNet101_pretrained ResNet101_vd_pretrained ResNet101_vd_ssld_pretrained
    ResNet18_vd_pretrained ResNet34_pretrained ResNet34_vd_pretrained ResNet50_cos_pretrained ResNet50_vd_pretrained
    ResNet50_vd_ssld_v2_pretrained VGG16_caffe_pretrained""".split()
)
"""Weights that the configs of PaddleDetection 2.6 name."""
_SUCCESSORS = {"ResNet50_vd_ssld_pretrained": "ResNet50_vd_ssld_v2_pretrained"}
_OF_TORCHVISION = {
    ("ResNet50_cos_pretrained", 50): "ResNet50_Weights.IMAGENET1K_V1",
    ("ResNet50_pretrained", 50): "ResNet50_Weights.IMAGENET1K_V1",
    ("ResNet101_pretrained", 101): "ResNet101_Weights.IMAGENET1K_V1",
}
"""Weights of 0.x and the depth → those of the same net. PaddleDetection's ResNet-18 and 34 have a projection more than torchvision's."""
_KEY = "pretrain_weights"


def translate_weights(node: Node, backbone: dict[str, Any], *, for_torch: bool, record: TranslationLog) -> Node:
    """Translate the node of `pretrain_weights`.

    Args:
        backbone: the 2.x keys of the ResNet that the config trains, plain; empty if it is another backbone.
        for_torch: the torch backend trains: weights of torchvision replace Paddle's where net and data are the same.
    """
    if not isinstance(node.value, str) or not node.value.rstrip("/").endswith(".tar"):
        return node
    name = node.value.rstrip("/").rsplit("/", 1)[-1].removesuffix(".tar")
    depth, variant = backbone.get("depth", 50), backbone.get("variant", "b")
    stand_in = _OF_TORCHVISION.get((name, depth)) if backbone and isinstance(depth, int) and variant == "b" else None
    if for_torch and stand_in is not None:
        why = (
            f"torch fetches no address of Paddle's (it reads {name}.pdparams as a file, if you have it); torchvision's weights are of "
            f"the same net (ResNet-{depth}, variant b), trained on the same data (ImageNet), in another training"
        )
        return _changed(node, stand_in, why, record)
    new = _SUCCESSORS.get(name, name)
    if new in _PUBLISHED:
        why = "2.x reads .pdparams files" + (f"; its configs start from {new} in place of {name}" if new != name else " of the same net")
        return _changed(node, f"{_STORE}/{new}.pdparams", why, record)
    why = "kept, and will be refused: the configs of 2.x name no .pdparams of that net; set a file, or null to start from random weights"
    record.change(_KEY, _KEY, why, node, node.value)
    return node


def _changed(node: Node, value: str, why: str, record: TranslationLog) -> Node:
    record.change(_KEY, _KEY, why, node, value)
    return at(node, value)
