"""Other programs' names for the tensors of the shared layers: a backbone that a network has at ``backbone.``, a pyramid at ``neck.``.

All hold the same numbers in the same layout; only the names differ. No framework is needed here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")

TORCHVISION = (
    (("", "backbone."),),  # a classification network's
    (("module.", "backbone."),),  # the same, saved from several GPUs
    (("backbone.body.", "backbone."), ("backbone.fpn.", "neck.fpn.")),  # a detector's
)
"""Beginnings of torchvision's names and what they become, see `Detector.renamings`."""
TIMM = (("", "backbone.body."),)
"""The same for a network of timm."""

_NORM = {"weight": "weight", "bias": "bias", "running_mean": "_mean", "running_var": "_variance"}
_NOT_HERE = "which the torch backend has not: give weights without it, or train with backend: paddle"
_OTHER_NETWORKS = (
    (r"conv1\.conv1_1\.", f"a ResNet of variant c or d (vd, SSLD: three 3x3 convolutions in the stem), {_NOT_HERE}"),
    (r"\.conv_offset\.", f"a network with deformable convolution (dcn_v2_stages, use_dcn), {_NOT_HERE}"),
    (r"conv1\.res_conv1\.", f"a ResNeXt, {_NOT_HERE}"),
    (r"\.se\.(squeeze|extract)\.", f"a network with squeeze and excitation, {_NOT_HERE}"),
    (r"res2\.res2a\.branch2c\.", "a ResNet of 50 layers or more, and the model's has fewer (ResNet.depth)"),
    (
        r"res2\.res2a\.short\.",
        "a ResNet-18 or 34 of PaddleDetection, whose first block has a projection as its shortcut: set ResNet.first_shortcut: projection",
    ),
)
"""Names that a model has no place for though the rest of the file fits it, and what network the file is of."""


def other_network(names: Iterable[str]) -> str | None:
    """Say what other network than a model's ResNet PaddleDetection's `names` are of (those that renaming left as they were), and what to
    do; None if there is no sign of one.
    """
    found = list(names)
    return next((words for sign, words in _OTHER_NETWORKS if any(re.search(sign, name) for name in found)), None)


def shared_names(keys: Sequence[str]) -> dict[str, str]:
    """Map the names of a ResNet at ``backbone.`` and of a pyramid at ``neck.`` to PaddleDetection's; counters of batch norm and a
    MobileNetV3's have none there.

    Args:
        keys: of the torch model's state dict.
    """
    blocks = [_count(keys, rf"backbone\.layer{stage}\.(\d+)\.") for stage in range(1, 5)]
    levels = _count(keys, r"neck\.fpn\.inner_blocks\.(\d+)\.")
    normed = "neck.fpn.inner_blocks.0.1.weight" in keys
    found = {key: _backbone(key, blocks) or _neck(key, levels, normed) for key in keys}
    return {key: there for key, there in found.items() if there is not None}


def renamed(arrays: Mapping[str, T], names: Mapping[str, str]) -> dict[str, T]:
    """Put what a PaddleDetection file holds under a torch model's names, and under its own what that model has no place for.

    As in PaddleDetection, a classification network (names without ``backbone.``) goes into the backbone.

    Args:
        arrays: by PaddleDetection's names.
        names: the torch model's to PaddleDetection's.
    """
    ours = {there: key for key, there in names.items()}
    ours |= {there.removeprefix("backbone."): key for there, key in ours.items() if there.startswith("backbone.")}
    return {ours.get(there, there): array for there, array in arrays.items()}


def _count(keys: Sequence[str], pattern: str) -> int:
    return max((int(match[1]) + 1 for key in keys if (match := re.match(pattern, key))), default=0)


def _backbone(key: str, blocks: Sequence[int]) -> str | None:
    """Rename ``backbone.layer2.0.downsample.1.running_mean`` → ``backbone.res3.res3a.short.norm._mean``."""
    if match := re.fullmatch(r"backbone\.(conv|bn)1\.(\w+)", key):
        return conv_norm("backbone.conv1.conv1", match[1] == "bn", match[2])
    match = re.fullmatch(r"backbone\.layer(\d)\.(\d+)\.(?:(conv|bn)(\d)|downsample\.([01]))\.(\w+)", key)
    if match is None:
        return None
    stage, block = int(match[1]) + 1, int(match[2])
    many = stage == 4 and blocks[2] > 10  # of ResNet-101: res4a, res4b1, res4b2, …
    letter = f"b{block}" if many and block else chr(ord("a") + block)
    branch = "short" if match[5] else "branch2" + " abc"[int(match[4])]
    return conv_norm(f"backbone.res{stage}.res{stage}{letter}.{branch}", match[3] == "bn" or match[5] == "1", match[6])


def conv_norm(path: str, is_norm: bool, name: str) -> str | None:
    """Name a tensor of PaddleDetection's ConvNormLayer at `path`; None for what Paddle has not."""
    if not is_norm:
        return f"{path}.conv.{name}"
    return f"{path}.norm.{_NORM[name]}" if name in _NORM else None


def _neck(key: str, levels: int, normed: bool) -> str | None:
    """Rename ``neck.fpn.inner_blocks.0.0.weight`` → ``neck.fpn_inner_res3_sum_lateral.weight`` of three levels; with a norm
    ``….conv.weight``. The coarsest level is named res5, whatever stage it is of.
    """
    match = re.fullmatch(r"neck\.fpn\.(inner_blocks|layer_blocks|extra_blocks\.convs)\.(\d+)\.([01])\.(\w+)", key)
    if match is None:
        return None
    stage = 6 - levels + int(match[2])
    if match[1] == "inner_blocks":
        path = "neck.fpn_inner_res5_sum" if stage == 5 else f"neck.fpn_inner_res{stage}_sum_lateral"
    elif match[1] == "layer_blocks":
        path = f"neck.fpn_res{stage}_sum"
    else:
        path = f"neck.fpn_{6 + int(match[2])}"
    return conv_norm(path, match[3] == "1", match[4]) if normed else f"{path}.{match[4]}"
