"""TranslationLog of the parts that the detectors of 0.x share: ResNet, FPN, non-maximum suppression."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from runner.config.legacy.keys import LEFT_OUT, Keys, Odd, TranslationLog, at, numbers, whole, wholes
from runner.config.node import Node

SHARED_CLASSES = "2.x takes the top-level num_classes, which a value here would override"
ANOTHER_NAME = "another name"
_FROM_RES2 = "counted from res2, which is 0 in 2.x and 2 in 0.x"
_AFFINE = "affine_channel"
_LAST_STAGE = 5


@dataclass
class Model:
    """State of the translation of one architecture.

    Args:
        top: the top-level keys; the sections are taken out of it.
        record: where changes and problems go.
        for_torch: the torch backend trains.
        sections: the 2.x sections made so far.
    """

    top: Keys
    record: TranslationLog
    for_torch: bool
    sections: dict[str, Node]

    def keys(self, section: str) -> Keys:
        """Return the keys of a section; none if it does not exist."""
        return Keys(self.top.take(section) or Node({}, self.top.node.source), section, self.record)

    def module(self, holder: Keys, key: str, default: str, can: Collection[str] = ()) -> Keys | None:
        """Return the keys of the module at `key`: a section by its name, a tag, or the keys of a `default`.

        None, with a problem, if it is not among `can` (default: `default` alone).
        """
        node = holder.take(key)
        name = default if node is None or node.tag is None else node.tag
        path, keys = name, node
        if node is None or (node.tag is None and isinstance(node.value, str)):
            path = name = default if node is None else str(node.value)
            keys = self.top.take(name) or Node({}, (node or holder.node).source)
        elif node.tag is None and node.mapping is None:
            self.record.problem(f"expected the name of a module, got {node.plain()!r}", node, holder.old(key))
            return None
        elif node.tag is None:
            path = holder.old(key)
        allowed = can or (default,)
        if name not in allowed:
            text = (
                f"{name} is not translated here; supported: {', '.join(allowed)}"
                if name
                else f"missing; expected one of {', '.join(allowed)}"
            )
            self.record.problem(text, node or holder.node, holder.old(key))
            return None
        assert keys is not None
        return Keys(keys, path, self.record, kind=name)

    def put(self, name: str, keys: Keys) -> None:
        """Finish `keys` and make it the section `name`."""
        self.sections[name] = keys.done()


def resnet(model: Model, keys: Keys, *, share_norm: bool) -> None:
    """Translate a ResNet or a ResNeXt into the section ResNet."""
    keys.to = "ResNet"
    keys.keep("depth", "variant", "freeze_norm", "lr_mult_list")
    _norm(model, keys)
    if share_norm:
        share_sync_bn(model, keys)
    if keys.kind == "ResNeXt":
        model.record.change(keys.path, "ResNet", "2.x builds it as a ResNet with groups", keys.node)
        keys.drop("2.x decays no frozen norm", "norm_decay")
        keys.fill("variant", "a")
        keys.keep("groups")
        keys.fill("groups", 64)
        keys.move("group_width", "base_width", ANOTHER_NAME)
        keys.fill("base_width", 4)
    keys.keep("norm_decay")
    keys.move("freeze_at", "freeze_at", f"{_FROM_RES2}; -1 freezes nothing", lambda node: max(whole(node) - 2, -1))
    keys.move("feature_maps", "return_idx", _FROM_RES2, lambda node: [stage - 2 for stage in _stages(node)])
    last = max(wholes(keys.new["return_idx"])) + 2 if "return_idx" in keys.new else _LAST_STAGE
    if last < _LAST_STAGE:
        keys.add("num_stages", last - 1, "0.x builds no stage beyond the last one it hands on")
    keys.move("dcn_v2_stages", "dcn_v2_stages", _FROM_RES2, lambda node: [stage - 2 for stage in _stages(node)] if node.plain() else [])
    for key in ("nonlocal_stages", "gcb_stages", "gcb_params"):
        keys.only(key, ([], {}, None), "2.x's ResNet cannot")
    keys.only("weight_prefix_name", ("", None), "2.x cannot put a prefix to the names of weights")
    model.put("ResNet", keys)


def _stages(node: Node) -> list[int]:
    stages = wholes(node)
    if not set(stages) <= {2, 3, 4, _LAST_STAGE}:
        raise Odd("stages from 2 to 5")
    return stages


def _norm(model: Model, keys: Keys) -> None:
    """Translate `norm_type` of a ResNet, whose default is affine_channel."""
    node = keys.take("norm_type")
    if node is not None and node.value != _AFFINE:
        keys.new["norm_type"] = node
        return
    frozen = keys.new.get("freeze_norm")
    if frozen is not None and frozen.value is False:
        text = "false with affine_channel: 2.x cannot train the scale and shift of a norm with fixed statistics; set norm_type: bn"
        model.record.problem(text, frozen, keys.old("freeze_norm"))
    keys.new["norm_type"] = at(node or keys.node, "bn")
    why = "affine_channel is a batch norm with its loaded statistics, scale and shift frozen, which freeze_norm says of bn"
    model.record.change(keys.old("norm_type") if node else "", keys.name("norm_type"), why, node or keys.node, "bn")


def share_sync_bn(model: Model, keys: Keys) -> None:
    """Make a backbone's ``sync_bn`` that of the whole net, as in 0.x."""
    node = keys.new.get("norm_type")
    if node is not None and node.value == "sync_bn":
        model.top.new["norm_type"] = keys.new.pop("norm_type")
        why = "0.x shares the statistics of every norm over the GPUs where the backbone's says so, 2.x where the top level says so"
        model.record.change(keys.old("norm_type"), "norm_type", why, node, "sync_bn")


def pyramid(model: Model, arch: Keys) -> int:
    """Translate `arch.fpn` into the section FPN; return its channels."""
    given = arch.node.get("fpn")
    fpn = model.module(arch, "fpn", "FPN")
    arch.new["neck"] = at(given or arch.node, "FPN")
    if given is not None:
        model.record.change(arch.old("fpn"), arch.name("neck"), ANOTHER_NAME, given, "FPN")
    if fpn is None:
        return 256
    fpn.to = "FPN"
    fpn.move("num_chan", "out_channel", ANOTHER_NAME, whole)
    fpn.fill("out_channel", 256, "0.x's default; 2.x has none")
    fpn.move("spatial_scale", "spatial_scales", "in the order of the backbone's levels", lambda node: numbers(node)[::-1])
    fpn.keep("has_extra_convs", "use_c5", "norm_type", "norm_decay", "freeze_norm")
    fpn.only("reverse_out", (False,), "2.x always hands on the finest level first")
    levels = len(fpn.new["spatial_scales"].items or ()) if "spatial_scales" in fpn.new else 4
    place = fpn.node.get("max_level") or fpn.node
    low, high = fpn.read("min_level", whole, 2), fpn.read("max_level", whole, 6)
    if "has_extra_convs" in fpn.new and fpn.new["has_extra_convs"].value is True:
        extra = max(0, high - (low + levels - 1))
    else:
        extra = 1 if high - low == levels else 0
    fpn.new["extra_stage"] = at(place, extra)
    before = "FPN.min_level, FPN.max_level" if place is not fpn.node else ""
    model.record.change(before, "FPN.extra_stage", f"2.x counts the levels above the backbone's; here {low} to {high}", place, extra)
    if fpn.new.get("norm_type", fpn.node).value == _AFFINE:
        model.record.problem("affine_channel in an FPN is not translated; give bn or gn", fpn.new["norm_type"], "FPN.norm_type")
    channels = fpn.new["out_channel"].value
    model.put("FPN", fpn)
    return channels if isinstance(channels, int) else 256


def suppression(model: Model, holder: Keys, to: str, defaults: dict[str, Any]) -> Node | None:
    """Translate `holder.nms`, which is called `to` in 2.x; `defaults` are those of 0.x where `holder` has none."""
    if holder.node.get("nms") is None:
        holder.take("nms")
        new = at(holder.node, {"name": "MultiClassNMS", **defaults})
        model.record.change("", to, LEFT_OUT, holder.node, new.plain())
        return new
    nms = model.module(holder, "nms", "MultiClassNMS", ("MultiClassNMS", "MatrixNMS"))
    if nms is None:
        return None
    nms.to = to
    nms.new["name"] = at(nms.node, nms.kind)
    nms.keep("score_threshold", "nms_top_k", "keep_top_k")
    if nms.kind == "MatrixNMS":
        nms.keep("post_threshold", "use_gaussian", "gaussian_sigma", "normalized", "background_label")
    else:
        nms.keep("nms_threshold", "nms_eta")
        nms.drop("2.x measures boxes from edge to edge, without the pixel that 0.x adds to widths and heights", "normalized")
        nms.drop("2.x has no background among the classes", "background_label")
    new = nms.done()
    model.record.change(nms.path, to, "2.x writes it there, with its name", nms.node, new.plain())
    return new
