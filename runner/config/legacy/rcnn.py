"""Translation of 0.x's Faster R-CNN (arXiv 1506.01497), with a feature pyramid and without."""

from __future__ import annotations

from typing import Any

from runner.config.legacy.keys import Keys, Odd, at, elements, number, numbers, whole
from runner.config.legacy.parts import ANOTHER_NAME, SHARED_CLASSES, Model, pyramid, resnet, suppression
from runner.config.node import Node

_BOX_WEIGHTS = (10.0, 10.0, 5.0, 5.0)
_STRADDLING = "2.x learns from the anchors that reach beyond the image too"
_PROPOSALS = {"pre_nms_top_n": 6000, "post_nms_top_n": 1000}


def faster_rcnn(model: Model) -> None:
    """Translate the sections of a Faster R-CNN."""
    arch = model.keys("FasterRCNN")
    if (backbone := model.module(arch, "backbone", "", ("ResNet", "ResNeXt"))) is not None:
        resnet(model, backbone, share_norm=True)
    with_pyramid = (fpn := arch.node.get("fpn")) is not None and fpn.plain() is not None
    if with_pyramid:
        pyramid(model, arch)
    else:
        arch.only("fpn", (None,), "expected the name of an FPN")
    arch.only("rpn_only", (False,), "2.x always trains both stages")
    rpn = model.module(arch, "rpn_head", "FPNRPNHead" if with_pyramid else "RPNHead")
    if rpn is not None:
        _proposals(model, rpn, with_pyramid=with_pyramid)
    roi = model.module(arch, "roi_extractor", "FPNRoIAlign" if with_pyramid else "RoIAlign")
    assigner = model.module(arch, "bbox_assigner", "BBoxAssigner")
    weights = _assigner(model, assigner) if assigner is not None else list(_BOX_WEIGHTS)
    if (head := model.module(arch, "bbox_head", "BBoxHead")) is not None:
        _rcnn_head(model, head, roi, weights)
    names = {"rpn_head": "RPNHead", "bbox_head": "BBoxHead", "bbox_post_process": "BBoxPostProcess"}
    arch.new = {"backbone": at(arch.node, "ResNet"), **arch.new, **{key: at(arch.node, name) for key, name in names.items()}}
    model.put("FasterRCNN", arch)


def _proposals(model: Model, rpn: Keys, *, with_pyramid: bool) -> None:
    """Translate the section RPNHead."""
    if with_pyramid:
        model.record.change(rpn.path, "RPNHead", "2.x has one class for both", rpn.node)
    rpn.to = "RPNHead"
    low, high = 2, 6
    start = 32.0
    if with_pyramid:
        low, high = rpn.read("min_level", whole, 2), rpn.read("max_level", whole, 6)
        start = rpn.read("anchor_start_size", number, start)
        rpn.drop("2.x takes the channels of the pyramid", "num_chan")
    rpn.only("num_classes", (1,), "2.x only tells objects from background here")
    anchors = _part(rpn, "anchor_generator")
    anchors.keep("aspect_ratios")
    anchors.only("variance", ([1, 1, 1, 1],), "2.x's have no variance")
    if with_pyramid:
        anchors.drop("a pyramid's anchors grow from anchor_start_size, and their strides are those of the levels", "anchor_sizes", "stride")
        levels = range(low, min(high, low + 8) + 1)
        sizes = [[start * 2 ** (level - low)] for level in levels]
        anchors.add("anchor_sizes", sizes, f"one list per level, from anchor_start_size {start:g}", rpn.node.get("anchor_start_size"))
        anchors.add("strides", [2**level for level in levels], f"of the levels {low} to {high}", rpn.node.get("min_level"))
    else:
        anchors.keep("anchor_sizes")
        anchors.move("stride", "strides", "one for both axes", lambda node: [_one_number(node)])
    rpn.new["anchor_generator"] = anchors.done()
    assign = _part(rpn, "rpn_target_assign")
    for key in ("batch_size_per_im", "fg_fraction", "negative_overlap", "positive_overlap"):
        assign.move(f"rpn_{key}", key, ANOTHER_NAME)
    assign.keep("use_random")
    assign.drop(_STRADDLING, "rpn_straddle_thresh")
    rpn.new["rpn_target_assign"] = assign.done()
    for key, whole_default in (("train_proposal", {"pre_nms_top_n": 12000, "post_nms_top_n": 2000}), ("test_proposal", _PROPOSALS)):
        given = rpn.node.get(key) is not None
        part = _part(rpn, key)
        part.keep("min_size", "nms_thresh", "pre_nms_top_n", "post_nms_top_n", "eta")
        for name, value in (_PROPOSALS if given else whole_default).items():
            part.fill(name, value)
        rpn.new[key] = part.done()
    model.put("RPNHead", rpn)


def _part(holder: Keys, key: str) -> Keys:
    """Return the keys of an inline module of `holder`, whose place in 2.x is the same."""
    node = holder.take(key) or Node({}, holder.node.source)
    return Keys(node, holder.old(key), holder.record, to=holder.name(key))


def _one_number(node: Node) -> float:
    values = {number(item) for item in elements(node)}
    if len(values) != 1:
        raise Odd("the same number for both axes")
    return values.pop()


def _assigner(model: Model, assigner: Keys) -> list[float]:
    """Translate the section BBoxAssigner; return the weights of the box's four numbers, which are in the head in 2.x."""
    assigner.keep("batch_size_per_im", "fg_fraction", "fg_thresh")
    assigner.move("bg_thresh_hi", "bg_thresh", "background reaches from 0 up to it")
    assigner.only("bg_thresh_lo", (0,), "2.x's background starts at an overlap of 0")
    assigner.move("shuffle_before_sample", "use_random", ANOTHER_NAME)
    assigner.drop(SHARED_CLASSES, "num_classes")
    weights = _weights(assigner, "bbox_reg_weights", "BBoxHead.bbox_weight")
    model.put("BBoxAssigner", assigner)
    return weights


def _weights(keys: Keys, key: str, to: str) -> list[float]:
    given = keys.node.get(key)
    weights = keys.read(key, _inverted, list(_BOX_WEIGHTS))
    if given is not None:
        keys.record.change(keys.old(key), to, "2.x multiplies by what 0.x divides by", given, weights)
    return weights


def _inverted(node: Node) -> list[float]:
    values = numbers(node)
    if len(values) != len(_BOX_WEIGHTS) or not all(values):
        raise Odd("four numbers that are not 0")
    return [round(1 / value, 9) for value in values]


def _rcnn_head(model: Model, head: Keys, roi: Keys | None, weights: list[float]) -> None:
    """Translate the sections BBoxHead and BBoxPostProcess."""
    head.to = "BBoxHead"
    head.drop(SHARED_CLASSES, "num_classes")
    inner = model.module(head, "head", "", ("TwoFCHead", "XConvNormHead", "ResNetC5"))
    extractor, resolution = _extractor(model, roi) if roi is not None else ({}, 7)
    if inner is not None:
        head.new["head"] = at(inner.node, _inner_head(model, inner, resolution))
        if inner.kind == "ResNetC5":
            head.add("with_pool", True, "0.x always pools what comes out of a ResNetC5")
    head.new["roi_extractor"] = at(roi.node if roi is not None else head.node, extractor)
    head.new["bbox_assigner"] = at(head.node, "BBoxAssigner")
    head.new["bbox_weight"] = at(head.node, weights)
    head.only("bbox_loss", ("SmoothL1Loss", None), "2.x's box loss is L1, and no other is translated")
    model.record.change("", "BBoxHead, RPNHead", "the losses of the boxes are smooth L1 in 0.x and L1 in 2.x", head.node)
    coder = _part(head, "box_coder")
    decode = _weights(coder, "prior_box_var", "BBoxPostProcess.decode.prior_box_var")
    coder.only("code_type", ("decode_center_size",), "2.x has no other")
    coder.drop("2.x's boxes are in pixels", "box_normalized", "axis")
    coder.done()
    nms = suppression(model, head, "BBoxPostProcess.nms", {"score_threshold": 0.05, "nms_threshold": 0.5, "keep_top_k": 100})
    post = {"decode": {"name": "RCNNBox", "prior_box_var": decode}, "nms": nms or at(head.node, {"name": "MultiClassNMS"})}
    model.put("BBoxHead", head)
    model.sections["BBoxPostProcess"] = at(head.node, post)


def _inner_head(model: Model, inner: Keys, resolution: int) -> str:
    """Translate the section between the regions' features and the two outputs; return its name."""
    if inner.kind == "ResNetC5":
        inner.to = "Res5Head"
        inner.keep("depth")
        inner.only("variant", ("b",), "2.x's Res5Head has no other variant than b")
        inner.only("freeze_norm", (True,), "2.x's Res5Head freezes its norms")
        inner.drop("2.x's Res5Head always ends the ResNet, its norms frozen", "norm_type", "norm_decay", "freeze_at", "feature_maps")
        inner.only("weight_prefix_name", ("", None), "2.x cannot put a prefix to the names of weights")
        model.put("Res5Head", inner)
        return "Res5Head"
    inner.move("mlp_dim", "out_channel", ANOTHER_NAME)
    if inner.kind == "XConvNormHead":
        inner.move("num_conv", "num_convs", ANOTHER_NAME)
        inner.keep("conv_dim", "norm_type", "freeze_norm")
        if "norm_type" not in inner.new:
            model.record.problem("missing: 2.x's XConvNormHead needs a norm (gn, bn, sync_bn)", inner.node, inner.old("norm_type"))
    if resolution != 7:
        inner.add("resolution", resolution, "that of the regions' features")
    model.put(inner.kind, inner)
    return inner.kind


def _extractor(model: Model, roi: Keys) -> tuple[dict[str, Any], int]:
    """Translate `BBoxHead.roi_extractor`; also return its resolution."""
    place, roi.to = roi.path, "BBoxHead.roi_extractor"
    low = high = None
    if roi.kind == "FPNRoIAlign":
        roi.move("box_resolution", "resolution", ANOTHER_NAME, whole)
        roi.keep("canconical_level", "canonical_size")
        low, high = roi.read("min_level", whole, 2), roi.read("max_level", whole, 5)
        roi.drop("there are no masks", "mask_resolution")
    else:
        roi.move("resolution", "resolution", "one for both axes", lambda node: int(_one_number(node)))
        roi.drop("2.x takes that of the backbone's level", "spatial_scale")
    roi.fill("resolution", 7)
    roi.keep("sampling_ratio")
    if low is not None and high is not None and (low, high) != (2, 5):
        roi.add("start_level", low - 2, "counted from res2")
        roi.add("end_level", high - 2, "counted from res2")
    resolution = roi.new["resolution"].value
    new = roi.done()
    model.record.change(place, roi.to, "2.x writes it inside the head", roi.node, new.plain())
    return dict(new.mapping or {}), resolution if isinstance(resolution, int) else 7
