"""Translation of 0.x's YOLOv3 (arXiv 1804.02767), with the additions of PP-YOLO (arXiv 2007.12099)."""

from __future__ import annotations

from typing import Any

from runner.config.legacy.keys import Keys, Odd, at, whole, wholes
from runner.config.legacy.parts import ANOTHER_NAME, SHARED_CLASSES, Model, resnet, share_sync_bn, suppression
from runner.config.node import Node

FINE_GRAINED = "2.x has only the fine-grained loss, which learns from Gt2YoloTarget"
_BACKBONES = ("DarkNet", "MobileNet", "MobileNetV3", "ResNet", "ResNeXt")
_MOBILENET_V3 = {"large": {3: 7, 4: 13, 6: 16}, "small": {3: 4, 4: 9, 6: 12}}
"""The last layer of a stride, counted as 0.x does → counted as 2.x does."""

ANCHORS = [[10, 13], [16, 30], [33, 23], [30, 61], [62, 45], [59, 119], [116, 90], [156, 198], [373, 326]]
MASKS = [[6, 7, 8], [3, 4, 5], [0, 1, 2]]
STRIDES = [32, 16, 8]
"""Default of 0.x and 2.x where a head gives none."""


def yolov3(model: Model) -> None:
    """Translate the sections of a YOLOv3."""
    arch = model.keys("YOLOv3")
    arch.drop(FINE_GRAINED, "use_fine_grained_loss")
    backbone = model.module(arch, "backbone", "", _BACKBONES)
    if backbone is not None:
        name = "ResNet" if backbone.kind == "ResNeXt" else backbone.kind
        arch.new["backbone"] = at(arch.node.get("backbone") or arch.node, name)
        _backbone(model, backbone)
    neck = "YOLOv3FPN"
    if (head := model.module(arch, "yolo_head", "YOLOv3Head")) is not None:
        neck = _yolo_head(model, head)
    names = {"neck": neck, "yolo_head": "YOLOv3Head", "post_process": "BBoxPostProcess"}
    arch.new |= {key: at(arch.node, name) for key, name in names.items()}
    model.put("YOLOv3", arch)


def _backbone(model: Model, keys: Keys) -> None:
    name = keys.kind
    if name in ("ResNet", "ResNeXt"):
        resnet(model, keys, share_norm=True)
        return
    keys.keep("norm_type", "norm_decay")
    share_sync_bn(model, keys)
    keys.only("weight_prefix_name", ("", None), "2.x cannot put a prefix to the names of weights")
    if name == "DarkNet":
        keys.keep("depth")
        keys.move("freeze_at", "freeze_at", "the last frozen stage, counted from 0", lambda node: max(whole(node) - 1, -1))
    else:
        keys.keep("conv_decay", "extra_block_filters")
    if name == "MobileNet":
        keys.keep("conv_learning_rate", "with_extra_blocks")
        keys.move("conv_group_scale", "scale", ANOTHER_NAME)
    if name == "MobileNetV3":
        keys.keep("scale", "model_name", "lr_mult_list", "freeze_norm", "multiplier")
        keys.fill("model_name", "small")
        layers = _MOBILENET_V3.get(str(keys.new["model_name"].value), {})
        why = "the layers, counted from the stem, of the three strides that the head takes"
        keys.move("feature_maps", "feature_maps", why, lambda node: _last_layers(node, layers))
        if keys.node.get("feature_maps") is None:
            model.record.problem("missing: 0.x's default does not fit a YOLOv3", keys.node, keys.old("feature_maps"))
    model.put(name, keys)


def _last_layers(node: Node, layers: dict[int, int]) -> list[int]:
    levels = wholes(node)[-len(STRIDES) :]
    if not set(levels) <= set(layers):
        raise Odd(f"a list that ends with {sorted(layers)}")
    return [layers[level] for level in levels]


def _yolo_head(model: Model, head: Keys) -> str:
    """Translate the sections of neck, head, loss and post-processing; return the name of the neck."""
    head.drop(SHARED_CLASSES, "num_classes")
    head.keep("anchors", "anchor_masks", "iou_aware", "iou_aware_factor")
    head.only("norm_decay", (0, None), "2.x's neck and head decay no norm")
    head.only("weight_prefix_name", ("", None), "2.x cannot put a prefix to the names of weights")
    place = head.node.get("downsample")
    strides = head.read("downsample", wholes, STRIDES)
    decode: dict[str, Any] = {"name": "YOLOBox", "downsample_ratio": strides[0]}
    if place is not None:
        model.record.change(head.old("downsample"), "BBoxPostProcess.decode.downsample_ratio", "each next is half of it", place, strides[0])
    for key, why in (("clip_bbox", "the decoding has it"), ("scale_x_y", "the decoding has it")):
        if (given := head.take(key)) is not None:
            decode[key] = given
            model.record.change(head.old(key), f"BBoxPostProcess.decode.{key}", why, given, given.plain())
    neck = _neck(model, head)
    if (loss := model.module(head, "yolo_loss", "YOLOv3Loss")) is not None:
        head.new["loss"] = at(loss.node, "YOLOv3Loss")
        model.record.change(head.old("yolo_loss"), "YOLOv3Head.loss", ANOTHER_NAME, head.node.get("yolo_loss") or head.node, "YOLOv3Loss")
        _loss(model, loss)
    defaults = {"score_threshold": 0.01, "nms_top_k": 1000, "keep_top_k": 100, "nms_threshold": 0.45}
    nms = suppression(model, head, "BBoxPostProcess.nms", defaults)
    if nms is not None:
        threshold = nms.get("score_threshold")
        decode["conf_thresh"] = threshold or at(head.node, 0.05)
        model.record.change(
            "", "BBoxPostProcess.decode.conf_thresh", "0.x decodes what is above the NMS's threshold", nms, decode["conf_thresh"].plain()
        )
    model.put("YOLOv3Head", head)
    model.sections["BBoxPostProcess"] = at(head.node, {"decode": decode, **({"nms": nms} if nms is not None else {})})
    return neck


def _neck(model: Model, head: Keys) -> str:
    """Translate the section PPYOLOFPN, if the head has any of PP-YOLO's additions; return the name of the neck."""
    names = ("conv_block_num", "coord_conv", "drop_block", "block_size", "keep_prob", "spp")
    given = {key: node for key in names if (node := head.take(key)) is not None}
    name = "PPYOLOFPN" if given else "YOLOv3FPN"
    for key, node in given.items():
        model.record.change(head.old(key), f"{name}.{key}", "2.x has a neck between backbone and head", node, node.plain())
    if given:
        model.sections[name] = Node(given, head.node.source)
    return name


def _loss(model: Model, loss: Keys) -> None:
    loss.drop("2.x takes that of TrainReader", "batch_size", "train_batch_size")
    loss.drop(FINE_GRAINED, "use_fine_grained_loss")
    loss.keep("ignore_thresh", "label_smooth", "downsample", "scale_x_y")
    loss.fill("label_smooth", True)
    loss.only("match_score", (False,), "2.x cannot")
    for key, name in (("iou_loss", "IouLoss"), ("iou_aware_loss", "IouAwareLoss")):
        given = loss.node.get(key)
        if given is None or given.plain() is None:
            loss.take(key)
        elif (part := model.module(loss, key, name)) is not None:
            loss.new[key] = at(given, name)
            part.keep("loss_weight", "loss_square") if name == "IouLoss" else part.keep("loss_weight")
            part.move("ciou_term", "ciou", ANOTHER_NAME)
            part.drop("2.x needs no limit to the image's size here", "max_height", "max_width")
            model.put(name, part)
    model.put("YOLOv3Loss", loss)


def targets(head: Node | None, loss: Node | None) -> dict[str, Any]:
    """Return the keys of the Gt2YoloTarget that belongs to the sections of a head and its loss (both in 2.x)."""

    def of(section: Node | None, key: str, default: list[Any]) -> Any:
        return (section.get(key) if section is not None else None) or default

    return {
        "anchor_masks": of(head, "anchor_masks", MASKS),
        "anchors": of(head, "anchors", ANCHORS),
        "downsample_ratios": of(loss, "downsample", STRIDES),
    }
