"""TranslationLog of 0.x's reader operators (``- !ResizeImage {target_size: 800}``) into those of 2.x (``- Resize: {target_size: 800}``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.config.legacy.keys import Keys, Odd, TranslationLog, at, whole, wholes
from runner.config.node import Node
from runner.core.errors import nearest

NOT_IN_BOXES = "2.x flips, expands and crops boxes in pixels: NormalizeBox comes after"
_NO_MASKS = "2.x does it where there are masks"
_NEAREST = 0
"""OpenCV's INTER_NEAREST."""


@dataclass(frozen=True, slots=True)
class Op:
    """Rule for an operator and its keys.

    Args:
        name: its name in 2.x.
        keep: keys that mean the same.
        names: key → its name in 2.x.
        gone: key → reason why it needs no counterpart.
        only: key → (the one value that 2.x supports, 0.x's default, reason).
        fill: 0.x's defaults that differ from 2.x's.
        build: makes the keys that need more than that.
        why: further remarks.
    """

    name: str
    keep: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    gone: Mapping[str, str] = field(default_factory=dict)
    only: Mapping[str, tuple[Any, Any, str]] = field(default_factory=dict)
    fill: Mapping[str, Any] = field(default_factory=dict)
    build: Callable[[Keys], str | None] | None = None
    why: str = ""


def translate_op(node: Node, path: str, record: TranslationLog) -> Node | None:
    """Translate one element of `sample_transforms` or `batch_transforms`; None, with a problem, if 2.x has none.

    Args:
        path: its dotted key, for problems.
    """
    if node.tag is None:
        if node.mapping is not None and len(node.mapping) == 1:  # 2.x's way
            return node
        record.problem(f"expected an operator such as !DecodeImage {{to_rgb: true}}, got {node.plain()!r}", node, path)
        return None
    op = OPS.get(node.tag)
    if op is None:
        hint = nearest(node.tag, tuple(OPS))
        record.problem(f"operator {node.tag} is not translated" + (f"; {hint}" if hint else ""), node, path)
        return None
    quiet = TranslationLog(problems=record.problems)  # an operator is one change, not one per key
    keys = Keys(node, f"{path}.{node.tag}", quiet)
    keys.keep(*op.keep)
    for key, name in op.names.items():
        keys.move(key, name, "")
    for key, why in op.gone.items():
        keys.drop(why, key)
    for key, (value, default, why) in op.only.items():
        keys.only(key, (value,), why, default=default)
    for key, value in op.fill.items():
        keys.fill(key, value, "")
    name = (op.build(keys) if op.build is not None else None) or op.name
    new = at(node, {name: keys.done()})
    dropped = "; ".join(
        f"no {change.key_before.rpartition('.')[2]}: {change.why}" for change in quiet.changes if change.why and not change.key_after
    )
    why = "; ".join(part for part in (op.why, dropped) if part) or "2.x's name and way to write it"
    record.change(keys.path, f"{path}.{name}", why, node, (new.get(name) or new).plain())
    return new


def _resize(keys: Keys) -> str:
    """Translate ResizeImage: one size or several, at most max_size where that is not 0."""
    given = keys.node.get("target_size")
    sizes = _given_sizes(keys, "target_size")
    longest = keys.read("max_size", whole, 0)
    keys.keep("interp")
    limits = [[min(size, longest), longest] if longest else [size, size] for size in sizes]
    several = given is not None and given.items is not None
    if limits:
        new = {"target_size": limits if several else limits[0], "keep_ratio": longest != 0}
        keys.new = {**{key: at(given or keys.node, value) for key, value in new.items()}, **keys.new}
    return "RandomResize" if several else "Resize"


def _given_sizes(keys: Keys, key: str) -> list[int]:
    """Return the sizes of `key`; none, with a problem, if there are none."""
    if keys.node.get(key) is None:
        keys.record.problem("missing; expected a size in pixels", keys.node, keys.old(key))
    return keys.read(key, _sizes, [])


def _sizes(node: Node) -> list[int]:
    sizes = wholes(node)
    if min(sizes) <= 0:
        raise Odd("sizes above 0")
    return sizes


def _resize_any_interpolation(keys: Keys) -> None:
    """Translate RandomInterpImage: one size, a random interpolation."""
    _resize(keys)
    size = keys.new.pop("target_size", None)
    if size is not None:
        keys.new = {"target_size": at(size, [size]), **keys.new, "random_interp": at(keys.node, True)}


def _resize_to_square(keys: Keys) -> str:
    """Translate 0.x's Resize: one size or several, for both sides."""
    given = keys.node.get("target_dim")
    sizes = _given_sizes(keys, "target_dim")
    several = given is not None and given.items is not None
    interp = keys.take("interp")
    drawn = interp is not None and interp.value == "random"
    if interp is not None and not drawn:
        keys.new["interp"] = interp
    pairs = [[size, size] for size in sizes]
    if pairs:
        keys.new = {
            "target_size": at(given or keys.node, pairs if several or drawn else pairs[0]),
            "keep_ratio": at(keys.node, False),
            **keys.new,
        }
    if drawn:
        keys.new["random_interp"] = at(keys.node, True)
    return "RandomResize" if several or drawn else "Resize"


def _random_shape(keys: Keys) -> None:
    """Translate RandomShape: one of `sizes` for the whole batch."""
    place = keys.node.get("sizes") or keys.node
    sizes = _given_sizes(keys, "sizes")
    drawn = keys.take("random_inter") or at(keys.node, False)
    keys.new = {
        "target_size": at(place, sizes),
        "random_size": at(keys.node, True),
        "random_interp": drawn,
        "keep_ratio": at(keys.node, False),
    }
    if drawn.value is not True:
        keys.new["interp"] = at(keys.node, _NEAREST)


def _padding(keys: Keys) -> None:
    keys.move("pad_to_stride", "pad_to_stride", "", lambda node: max(0, whole(node)))


_CHANNELS_LAST = (False, True, "2.x normalises before Permute, with the channels last")
_RGB = "2.x trains on RGB"

OPS: dict[str, Op] = {
    "DecodeImage": Op(
        "Decode",
        only={"to_rgb": (True, None, _RGB)},
        gone=dict.fromkeys(("with_mixup", "with_cutmix"), "2.x decodes all images of a sample"),
    ),
    "ResizeImage": Op(
        "Resize",
        only={"use_cv2": (True, None, "2.x resizes by OpenCV, with its own numbers for interp")},
        gone={"resize_box": "2.x resizes boxes with the image"},
        build=_resize,
        why="2.x's target_size has both limits, and boxes are resized with the image",
    ),
    "RandomInterpImage": Op("RandomResize", build=_resize_any_interpolation, why="2.x draws the interpolation there"),
    "Resize": Op("Resize", build=_resize_to_square, why="target_dim is target_size"),
    "RandomShape": Op(
        "BatchRandomResize",
        gone={"resize_box": "2.x resizes the boxes too"},
        build=_random_shape,
        why="one size for a whole batch, boxes included",
    ),
    "RandomFlipImage": Op("RandomFlip", keep=("prob",), gone={"is_normalized": NOT_IN_BOXES, "is_mask_flip": _NO_MASKS}),
    "NormalizeImage": Op(
        "NormalizeImage", keep=("mean", "std", "is_scale"), only={"is_channel_first": _CHANNELS_LAST}, fill={"std": [1.0, 1.0, 1.0]}
    ),
    "Permute": Op("Permute", only={"to_bgr": (False, True, _RGB), "channel_first": (True, None, "2.x's channels come first")}),
    "ColorDistort": Op(
        "RandomDistort",
        keep=("hue", "saturation", "contrast", "brightness", "random_apply", "random_channel"),
        only={"hsv_format": (False, None, "2.x turns the hue in its own colour space")},
    ),
    "MixupImage": Op("Mixup", keep=("alpha", "beta")),
    "CutmixImage": Op("Cutmix", keep=("alpha", "beta")),
    "RandomExpand": Op("RandomExpand", keep=("ratio", "prob", "fill_value"), gone={"is_mask_expand": _NO_MASKS}),
    "ExpandImage": Op("RandomExpand", keep=("prob",), names={"max_ratio": "ratio", "mean": "fill_value"}),
    "RandomCrop": Op(
        "RandomCrop", keep=("aspect_ratio", "thresholds", "scaling", "num_attempts", "allow_no_crop", "cover_all_box", "is_mask_crop")
    ),
    "AutoAugmentImage": Op("AutoAugment", keep=("autoaug_type",), only={"is_normalized": (False, None, NOT_IN_BOXES)}),
    "GridMaskOp": Op("GridMask", keep=("use_h", "use_w", "rotate", "offset", "ratio", "mode", "prob", "upper_iter")),
    "RandomErasingImage": Op("RandomErasingImage", keep=("prob",), names={"sl": "lower", "sh": "higher", "r1": "aspect_ratio"}),
    "NormalizeBox": Op("NormalizeBox"),
    "PadBox": Op("PadBox", keep=("num_max_boxes",)),
    "BboxXYXY2XYWH": Op("BboxXYXY2XYWH"),
    "PadBatch": Op("PadBatch", gone={"use_padded_im_info": "2.x keeps the image's own size beside the padded one"}, build=_padding),
    "Gt2YoloTarget": Op(
        "Gt2YoloTarget",
        keep=("anchor_masks", "anchors", "downsample_ratios", "iou_thresh"),
        gone={"num_classes": "2.x takes the top-level num_classes"},
    ),
    "Gt2FCOSTarget": Op(
        "Gt2FCOSTarget",
        keep=("object_sizes_boundary", "center_sampling_radius", "downsample_ratios", "norm_reg_targets"),
        fill={"norm_reg_targets": False},
    ),
}
"""Every operator that is translated."""
