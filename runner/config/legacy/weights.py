"""TranslationLog of 0.x's `pretrain_weights`: archives (`NAME.tar`) of a model store that 2.x no longer reads."""

from __future__ import annotations

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
_KEY = "pretrain_weights"


def translate_weights(node: Node, record: TranslationLog) -> Node:
    """Translate the node of `pretrain_weights`."""
    if not isinstance(node.value, str) or not node.value.rstrip("/").endswith(".tar"):
        return node
    name = node.value.rstrip("/").rsplit("/", 1)[-1].removesuffix(".tar")
    new = _SUCCESSORS.get(name, name)
    if new in _PUBLISHED:
        why = "2.x reads .pdparams files" + (f"; its configs start from {new} in place of {name}" if new != name else " of the same net")
        value = f"{_STORE}/{new}.pdparams"
        record.change(_KEY, _KEY, why, node, value)
        return at(node, value)
    why = "kept, and will be refused: the configs of 2.x name no .pdparams of that net; set a file, or null to start from random weights"
    record.change(_KEY, _KEY, why, node, node.value)
    return node
