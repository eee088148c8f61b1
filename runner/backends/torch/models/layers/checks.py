"""Checks of the shared layers' config: what keeps a backbone or a pyramid from being built. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from runner.backends.torch.models.layers.schema import FPN, Backbone, MultiClassNMS, ResNet, Timm
from runner.backends.torch.models.layers.timm_features import features_of
from runner.backends.torch.models.weight_sources import is_weights_name
from runner.core.errors import InputError, Problem

NORM_GROUPS = 32
"""Groups of every group norm, as in PaddleDetection."""

RESNET_STRIDES = (4, 8, 16, 32)
"""Stride in pixels of res2 … res5."""

MOBILENET_BLOCK_STRIDES = {
    "large": (1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1),
    "small": (2, 2, 1, 2, 1, 1, 1, 1, 2, 1, 1),
}
"""Stride of each block, relative to the one before it (arXiv 1905.02244, tables 1 and 2). The stem before them has
stride 2.
"""


def backbone_strides(backbone: Backbone) -> tuple[int, ...]:
    """List the stride in pixels of each level that the backbone hands on; its indices must be valid."""
    if isinstance(backbone, Timm):
        return features_of(backbone).strides
    if isinstance(backbone, ResNet):
        return tuple(RESNET_STRIDES[index] for index in backbone.return_idx)
    strides = [2]
    for step in MOBILENET_BLOCK_STRIDES[backbone.model_name]:
        strides.append(strides[-1] * step)
    return tuple(strides[layer - 1] for layer in backbone.feature_maps)


def pyramid_strides(backbone: Backbone, neck: FPN) -> tuple[int, ...]:
    """List the stride in pixels of each level the head sees; the backbone's indices must be valid."""
    strides = backbone_strides(backbone)
    return strides + tuple(strides[-1] * 2**extra for extra in range(1, neck.extra_stage + 1))


def levels_key(backbone: Backbone) -> str:
    """Name the config key that chooses the backbone's levels."""
    if isinstance(backbone, Timm):
        return "Timm.out_indices"
    return "ResNet.return_idx" if isinstance(backbone, ResNet) else "MobileNetV3.feature_maps"


def ascending(values: Sequence[float]) -> bool:
    """Return whether each value is more than the one before."""
    return all(low < high for low, high in pairwise(values))


def check_backbone(backbone: Backbone) -> Iterator[Problem]:
    """Find levels and layer factors that the network does not have."""
    if isinstance(backbone, Timm):
        yield from _check_timm(backbone)
        return
    name, key, levels, groups = (
        ("ResNet", "return_idx", backbone.return_idx, 4)
        if isinstance(backbone, ResNet)
        else ("MobileNetV3", "feature_maps", backbone.feature_maps, 5)
    )
    if not levels or not ascending(levels):
        yield Problem(f"is {list(levels)}: give at least one level, each once, in ascending order", key=f"{name}.{key}")
    if len(backbone.lr_mult_list) != groups:
        yield Problem(
            f"has {len(backbone.lr_mult_list)} factors; {name} has {groups} groups of layers",
            key=f"{name}.lr_mult_list",
        )
    if isinstance(backbone, ResNet):
        if any(index >= backbone.num_stages for index in levels):
            yield Problem(
                f"is {list(levels)}, but num_stages {backbone.num_stages} allows at most {backbone.num_stages - 1}",
                key="ResNet.return_idx",
            )
        return
    last = len(MOBILENET_BLOCK_STRIDES[backbone.model_name]) + 1
    if any(not 2 <= layer <= last for layer in levels):
        yield Problem(
            f"is {list(levels)}; the blocks of {backbone.model_name} are 2 to {last} (1 is the stem)",
            key="MobileNetV3.feature_maps",
        )
    if backbone.norm_type == "sync_bn" and backbone.freeze_norm:
        yield Problem("sync_bn has no effect with freeze_norm: give norm_type: bn", key="MobileNetV3.norm_type")


def _check_timm(backbone: Timm) -> Iterator[Problem]:
    levels = backbone.out_indices
    if not levels or not ascending(levels):
        yield Problem(f"is {list(levels)}: give at least one level, each once, in ascending order", key="Timm.out_indices")
        return
    try:
        features_of(backbone)
    except InputError as error:
        yield from error.problems


def check_shortcut(backbone: Backbone, weights: str | None) -> Iterator[Problem]:
    """Find torchvision's weights of a smaller ResNet that are for another first block than the config's."""
    if isinstance(backbone, ResNet) and backbone.depth < 50 and backbone.first_shortcut == "projection" and is_weights_name(weights or ""):
        yield Problem(
            f"is {weights}, whose first block has an identity as its shortcut: give ResNet.first_shortcut: identity "
            "(PaddleDetection's ResNet-18 and 34 have a projection)",
            key="pretrain_weights",
        )


def check_weights_for_timm(backbone: Backbone | None, weights: str | None) -> Iterator[Problem]:
    """Find torchvision's weights for a network of timm."""
    if isinstance(backbone, Timm) and is_weights_name(weights or ""):
        yield Problem(f"is {weights}, of torchvision; the backbone is {backbone.name} of timm: give null or a file", key="pretrain_weights")


def check_pyramid(neck: FPN) -> Iterator[Problem]:
    """Find extra levels that cannot be made, and a width that cannot be normalised."""
    if neck.extra_stage > 1 and not neck.has_extra_convs:
        yield Problem(f"is {neck.extra_stage}; more than 1 needs has_extra_convs: true", key="FPN.extra_stage")
    if neck.norm_type == "gn" and neck.out_channel % NORM_GROUPS:
        yield Problem(f"is {neck.out_channel}; norm_type gn needs a multiple of {NORM_GROUPS}", key="FPN.out_channel")


def check_levels(backbone: Backbone, neck: FPN) -> Iterator[Problem]:
    """Find levels of a valid backbone that make no pyramid, or another one than the pyramid's config says."""
    strides, levels = backbone_strides(backbone), levels_key(backbone)
    if any(high != 2 * low for low, high in pairwise(strides)):
        yield Problem(f"gives levels of stride {list(strides)}; a pyramid needs each to be twice the one before", key=levels)
        return
    scales = neck.spatial_scales
    if len(scales) != len(strides) or any(abs(scale * stride - 1) > 1e-6 for scale, stride in zip(scales, strides, strict=True)):
        yield Problem(
            f"is {list(scales)}, but {levels} gives the strides {list(strides)}: it must be {[1 / s for s in strides]}",
            key="FPN.spatial_scales",
        )


def check_nms(nms: MultiClassNMS) -> Iterator[Problem]:
    """Find limits that keep no box."""
    for key in ("nms_top_k", "keep_top_k"):
        if getattr(nms, key) == 0:
            yield Problem("is 0, which keeps no box; -1 keeps all", key=f"MultiClassNMS.{key}")
