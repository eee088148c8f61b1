"""What PaddleDetection 2.6 calls the tensors of an FCOS on ResNet, and what the torch backend calls them.

Both hold the same numbers in the same layout; only the names differ. Neither framework is needed here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")

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
    """What other network than a model's ResNet PaddleDetection's `names` are of (those that `to_torch` left as they were), and what to do:
    in words, or None.
    """
    found = list(names)
    return next((words for sign, words in _OTHER_NETWORKS if any(re.search(sign, name) for name in found)), None)


def paddle_names(keys: Iterable[str], strides: Sequence[int]) -> dict[str, str]:
    """Our name → PaddleDetection's, for those of `keys` that it has; counters of batch norm and MobileNetV3's it has not.

    Args:
        keys: of the torch model's state dict.
        strides: of the head's levels in pixels (FCOSHead.fpn_stride).
    """
    keys = list(keys)
    blocks = [_count(keys, rf"backbone\.layer{stage}\.(\d+)\.") for stage in range(1, 5)]
    levels = _count(keys, r"neck\.fpn\.inner_blocks\.(\d+)\.")
    normed = "neck.fpn.inner_blocks.0.1.weight" in keys
    names = {}
    for key in keys:
        there = _backbone(key, blocks) or _neck(key, levels, normed) or _head(key, strides)
        if there is not None:
            names[key] = there
    return names


def to_paddle(state: Mapping[str, T], strides: Sequence[int]) -> dict[str, T]:
    """A torch model's `state` under PaddleDetection's names; without what it has no name for."""
    return {there: state[key] for key, there in paddle_names(state, strides).items()}


def to_torch(arrays: Mapping[str, T], keys: Iterable[str], strides: Sequence[int]) -> dict[str, T]:
    """What a PaddleDetection file holds under the names of a torch model, and under its own what that model has no place for.

    As in PaddleDetection, a pyramid's levels are matched from the coarsest of the backbone's down, a head's scales by
    stride, and a classification network (names without ``backbone.``) goes into the backbone.

    Args:
        arrays: by PaddleDetection's names.
        keys, strides: of the model, see `paddle_names`.
    """
    ours = {there: key for key, there in paddle_names(keys, strides).items()}
    ours |= {there.removeprefix("backbone."): key for there, key in ours.items() if there.startswith("backbone.")}
    return {ours.get(there, there): array for there, array in arrays.items()}


def _count(keys: Sequence[str], pattern: str) -> int:
    return max((int(match[1]) + 1 for key in keys if (match := re.match(pattern, key))), default=0)


def _backbone(key: str, blocks: Sequence[int]) -> str | None:
    """``backbone.layer2.0.downsample.1.running_mean`` → ``backbone.res3.res3a.short.norm._mean``."""
    if match := re.fullmatch(r"backbone\.(conv|bn)1\.(\w+)", key):
        return _conv_norm("backbone.conv1.conv1", match[1] == "bn", match[2])
    match = re.fullmatch(r"backbone\.layer(\d)\.(\d+)\.(?:(conv|bn)(\d)|downsample\.([01]))\.(\w+)", key)
    if match is None:
        return None
    stage, block = int(match[1]) + 1, int(match[2])
    many = stage == 4 and blocks[2] > 10  # of ResNet-101: res4a, res4b1, res4b2, …
    letter = f"b{block}" if many and block else chr(ord("a") + block)
    branch = "short" if match[5] else "branch2" + " abc"[int(match[4])]
    return _conv_norm(f"backbone.res{stage}.res{stage}{letter}.{branch}", match[3] == "bn" or match[5] == "1", match[6])


def _conv_norm(path: str, is_norm: bool, name: str) -> str | None:
    if not is_norm:
        return f"{path}.conv.{name}"
    return f"{path}.norm.{_NORM[name]}" if name in _NORM else None


def _neck(key: str, levels: int, normed: bool) -> str | None:
    """``neck.fpn.inner_blocks.0.0.weight`` → ``neck.fpn_inner_res3_sum_lateral.weight`` of three levels; with a norm
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
    return _conv_norm(path, match[3] == "1", match[4]) if normed else f"{path}.{match[4]}"


def _head(key: str, strides: Sequence[int]) -> str | None:
    if match := re.fullmatch(r"fcos_head\.scales_regs\.(\d+)", key):
        return f"fcos_head.p{int(math.log2(strides[int(match[1])]))}_feat.scale_reg"
    if match := re.fullmatch(r"(fcos_head\.fcos_feat)\.(cls|reg)_subnet_convs\.(\d+)\.(conv|norm)\.(\w+)", key):
        return _conv_norm(f"{match[1]}.fcos_head_{match[2]}_tower_conv_{match[3]}", match[4] == "norm", match[5])
    return key if re.fullmatch(r"fcos_head\.fcos_head_(cls|reg|centerness)\.(weight|bias)", key) else None
