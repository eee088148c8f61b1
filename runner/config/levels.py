"""`levels`, one key for the pyramid of FCOS: the stride of each level in pixels, such as ``[8, 16, 32]``.

It stands for what backbone, neck, head, targets and padding say of the same thing. Like `image_size`, a later layer that sets it replaces
what the layers below say; at the end, `fill` completes what is missing, and finds what contradicts it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, Final

from runner.config.image_size import operators
from runner.config.node import Node, from_plain
from runner.core.errors import Problem, keep_one

KEY: Final = "levels"
STRIDES: Final = (4, 8, 16, 32, 64, 128)
"""Strides of the levels that there are, in pixels."""
_DEEPEST: Final = 32
"""Stride of a backbone's last stage in pixels; the neck adds the levels above it."""
REACH_STRIDES: Final = 8
"""Largest distance from a location to a side, in strides, that a level is for (arXiv 1904.01355: 64 px at stride 8)."""
_MOBILENET_LAYERS: Final = {"large": {4: 4, 8: 6, 16: 12, 32: 15}, "small": {4: 2, 8: 4, 16: 9, 32: 12}}
"""Layer of MobileNetV3 with each stride, counted as PaddleDetection does; its `feature_maps` name them."""
_FOLLOWING: Final = frozenset(
    (
        "return_idx num_stages feature_maps spatial_scales extra_stage has_extra_convs fpn_stride object_sizes_boundary downsample_ratios"
        " pad_to_stride"
    ).split()
)
_BACKBONES: Final = ("ResNet", "MobileNetV3")


def strides_of(value: Any) -> list[int] | None:
    """Return the strides of a valid `levels`, each twice the one before; else None."""
    if not isinstance(value, list) or not value or any(type(stride) is not int or stride not in STRIDES for stride in value):
        return None
    doubled = all(high == 2 * low for low, high in pairwise(value))
    return value if doubled and value[0] <= _DEEPEST else None


def put_levels_aside(base: Node, levels: Node | None) -> Node:
    """Prepare the config `base` for a later layer that says ``levels: LEVELS``: give its modules those levels.

    A null, and what are no levels, changes nothing.
    """
    strides = None if levels is None else strides_of(levels.plain())
    if levels is None or strides is None:
        return base
    for dotted, value in list(_settings(base, strides, _BACKBONES)):
        if base.get(dotted.rpartition(".")[0]) is not None:
            base = base.with_node(dotted, from_plain(value, levels.source))
    return base


def fill(tree: Node) -> tuple[Node, list[Problem], list[str]]:
    """Complete what a whole config leaves to `levels`.

    Returns:
        The config; a problem for whatever contradicts `levels`; notes, of which there are none.
    """
    levels = tree.get(KEY)
    if levels is None or levels.value is None:
        return tree, [], []
    where = str(levels.source)
    if problem := _refusal(tree):
        return tree, [Problem(problem, where=where, key=KEY)], []
    strides, problems = strides_of(levels.plain()), []
    if strides is None:
        text = f"expected strides from {', '.join(map(str, STRIDES))}, each twice the one before, beginning at {_DEEPEST} or below"
        problems = [Problem(f"{text}; got {levels.plain()}", where=where, key=KEY)]
    settings = list(_settings(tree, strides or [8], (_backbone(tree),)))  # also without them, so that what needs them is not reported too
    missing = [dotted for dotted, _ in settings if (node := tree.get(dotted)) is None or node.value is None]
    for dotted, value in settings:
        node = tree.get(dotted)
        if node is None or dotted in missing:
            tree = tree.with_node(dotted, from_plain(value, levels.source))
        elif strides and node.plain() != value and not (dotted == "ResNet.num_stages" and type(node.value) is int and node.value > value):
            text = f"is {node.plain()}, but levels {strides} ({where}) needs {value}; {keep_one(KEY, bool(missing))}"
            problems.append(Problem(text, where=str(node.source), key=dotted))
            tree = tree.with_node(dotted, from_plain(value, levels.source))
    return tree, problems, []


def follows(dotted: str) -> bool:
    """Return whether a dotted key is one of those that `levels` stands for."""
    return any(part in _FOLLOWING for part in dotted.split("."))


def levels_in(flat: Mapping[str, Any]) -> Any:
    """Return the strides in pixels of the levels of a flattened config; None where it has none."""
    return flat.get("FCOSHead.fpn_stride")


def _refusal(tree: Node) -> str:
    """Say why a config cannot use `levels`; empty if it can."""
    architecture = tree.get("architecture")
    if architecture is None or architecture.value != "FCOS":
        name = "this config" if architecture is None else architecture.plain()
        return f"is for FCOS only, not for {name}: set the levels in the sections of its backbone, neck and head, and remove `levels`"
    if _backbone(tree) not in _BACKBONES:
        return f"is for the backbones {' and '.join(_BACKBONES)} only, not for {_backbone(tree)}; set its levels in its own section"
    return ""


def _backbone(tree: Node) -> str:
    node = tree.get("FCOS.backbone")
    return "ResNet" if node is None or not isinstance(node.value, str) else node.value


def _settings(tree: Node, strides: list[int], backbones: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Yield (dotted key, value) of everything that the levels decide."""
    own = [stride for stride in strides if stride <= _DEEPEST]
    extra = len(strides) - len(own)
    if "ResNet" in backbones:
        stages = [STRIDES.index(stride) for stride in own]
        yield "ResNet.return_idx", stages
        yield "ResNet.num_stages", stages[-1] + 1
    if "MobileNetV3" in backbones:
        size = tree.get("MobileNetV3.model_name")
        layers = _MOBILENET_LAYERS["small" if size is not None and size.value == "small" else "large"]
        yield "MobileNetV3.feature_maps", [layers[stride] for stride in own]
    yield "FPN.spatial_scales", [1 / stride for stride in own]
    yield "FPN.extra_stage", extra
    if extra > 1:
        yield "FPN.has_extra_convs", True
    yield "FCOSHead.fpn_stride", strides
    for dotted, name, _ in operators(tree):
        if name == "Gt2FCOSTarget":
            yield f"{dotted}.object_sizes_boundary", [REACH_STRIDES * stride for stride in strides[:-1]]
            yield f"{dotted}.downsample_ratios", strides
        elif name == "PadBatch":
            yield f"{dotted}.pad_to_stride", strides[-1]
