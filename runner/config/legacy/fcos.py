"""FCOS of 0.x (arXiv 1904.01355)."""

from __future__ import annotations

from typing import Any

from runner.config.legacy.keys import Keys, at, word
from runner.config.legacy.parts import SHARED_CLASSES, Model, pyramid, resnet, suppression
from runner.config.node import Node

_HEAD_NMS = {"score_threshold": 0.01, "nms_top_k": 1000, "nms_threshold": 0.45}


def fcos(model: Model) -> None:
    """Translate the sections of an FCOS: ResNet, FPN, FCOSHead."""
    arch = model.keys("FCOS")
    if (backbone := model.module(arch, "backbone", "", ("ResNet", "ResNeXt"))) is not None:
        resnet(model, backbone, share_norm=not model.for_torch)
    channels = pyramid(model, arch)
    if (head := model.module(arch, "fcos_head", "FCOSHead")) is not None:
        _fcos_head(model, head, channels)
    arch.new = {"backbone": at(arch.node, "ResNet"), **arch.new, "fcos_head": at(arch.node, "FCOSHead")}
    model.put("FCOS", arch)


def _fcos_head(model: Model, head: Keys, channels: int) -> None:
    head.to = "FCOSHead"
    head.drop(SHARED_CLASSES, "num_classes")
    head.keep("fpn_stride", "prior_prob", "norm_reg_targets", "centerness_on_reg")
    head.fill("norm_reg_targets", False)
    head.fill("centerness_on_reg", False)
    feat: dict[str, Any] = {"name": "FCOSFeat", "feat_in": channels, "feat_out": channels}
    for key, to, default in (("num_convs", "num_convs", 4), ("norm_type", "norm_type", "gn"), ("use_dcn_in_tower", "use_dcn", False)):
        given = head.take(key)
        feat[to] = given or default
        if given is not None:
            model.record.change(head.old(key), f"FCOSHead.fcos_feat.{to}", "the towers are a module of their own", given, given.plain())
        if given is not None and given.value == "affine_channel":
            model.record.problem("affine_channel in a head is not translated; give gn or bn", given, head.old(key))
    head.new["fcos_feat"] = at(head.node, feat)
    if (loss := model.module(head, "fcos_loss", "FCOSLoss")) is not None:
        head.new["fcos_loss"] = _loss(model, loss)
    if (nms := suppression(model, head, "FCOSHead.nms", _HEAD_NMS)) is not None:
        head.new["nms"] = nms
    model.put("FCOSHead", head)


def _loss(model: Model, loss: Keys) -> Node:
    loss.to = "FCOSHead.fcos_loss"
    loss.new["name"] = at(loss.node, "FCOSLoss")
    for key, value in (("loss_alpha", 0.25), ("loss_gamma", 2.0), ("reg_weights", 1.0)):
        given = loss.take(key)
        if given is not None and given.plain() == value:
            loss.new[key] = given
        elif given is not None:
            model.record.change(loss.old(key), "", f"0.x never used it: its loss always has {value:g}, which is 2.x's default", given)
    loss.move("iou_loss_type", "iou_loss_type", "2.x writes it in lower case", lambda node: word(node).lower())
    loss.fill("iou_loss_type", "iou")
    new = loss.done()
    model.record.change(loss.path, loss.to, "2.x writes it there, with its name", loss.node, new.plain())
    return new
