"""What does not fit together in the model part of a config. Imports no torch, so that `runner config check` answers at
once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from runner.backends.torch.schema import FCOS, FPN, FCOSHead, Gt2FCOSTarget, MobileNetV3, ResNet, TorchConfig
from runner.core.errors import Missing, Problem, nearest
from runner.training.common_config import check_initial_distance

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

_WEIGHTS_NAME = re.compile(r"\w+_Weights\.\w+")
_KNOWN_WEIGHTS = tuple(f"ResNet{depth}_Weights.IMAGENET1K_V1" for depth in (18, 34, 50, 101)) + (
    "ResNet50_Weights.IMAGENET1K_V2",
    "ResNet101_Weights.IMAGENET1K_V2",
    "MobileNet_V3_Large_Weights.IMAGENET1K_V1",
    "MobileNet_V3_Large_Weights.IMAGENET1K_V2",
    "MobileNet_V3_Small_Weights.IMAGENET1K_V1",
)
_ALTERNATIVES = (
    "give null (start from random weights), the path of a .pth, .pt or .pdparams file, or a torchvision weights name such as"
    " ResNet50_Weights.IMAGENET1K_V1"
)

_PADDLE_OTHERS = {
    ".pdopt": "the state of PaddlePaddle's optimiser, not weights (they are in the .pdparams beside it)",
    ".pdmodel": "an exported PaddlePaddle program, not weights",
    ".pdiparams": "the weights of an exported PaddlePaddle program, which have no names (the .pdparams it was exported from has them)",
}
"""What the endings stand for that are not read."""


def check_model(config: TorchConfig) -> list[Problem]:
    """Everything in `config` that keeps its model from being built or trained as PaddleDetection defines it; empty if
    all fits.
    """
    model = config.architecture
    problems = [*_backbone(model.backbone), *_neck(model), *_head(model.fcos_head, model.neck)]
    if not problems:  # the levels of a broken backbone or neck would only add noise
        problems += _levels(model)
    problems += _targets(config)
    problems += _shortcut(model.backbone, config.pretrain_weights)
    problems += check_initial_distance(config.initial_distance, has_effect=model.fcos_head.norm_reg_targets)
    if model.fcos_head.num_classes != config.num_classes:
        problems.append(
            Problem(
                f"is {model.fcos_head.num_classes}, but num_classes is {config.num_classes}: left out, it is the same",
                key="FCOSHead.num_classes",
            )
        )
    return problems


def check_weights(source: str | None) -> list[Problem]:
    """What can be told of `pretrain_weights` without reading it: a URL, a kind of file that is not read, a file that is
    not there.
    """
    key = "pretrain_weights"
    if source is None or is_weights_name(source):
        return []
    if "://" in source:
        return [Problem(f"{source} is a URL and nothing is downloaded from one: {_of_paddle(source)}{_ALTERNATIVES}", key=key)]
    suffix = Path(source).suffix.lower()
    if suffix in _PADDLE_OTHERS:
        return [Problem(f"{source} holds {_PADDLE_OTHERS[suffix]}: {_ALTERNATIVES}", key=key)]
    if suffix == ".safetensors":
        return [Problem(f"{source}: safetensors files are not read: save the tensors by torch.save, or {_ALTERNATIVES}", key=key)]
    path = Path(source).expanduser()
    if path.is_file():
        return []
    if path.exists():
        return [
            Problem(
                f"{source} is not a file (a folder of a file a parameter, as of PaddleDetection 0.x, is not read): {_ALTERNATIVES}", key=key
            )
        ]
    hint = nearest(source, _KNOWN_WEIGHTS) if "weights" in source.lower() else ""
    kind = Missing if suffix in (".pt", ".pth", ".pdparams") else Problem
    return [kind(f"there is no file {source}; {hint + ' Or ' if hint else ''}{_ALTERNATIVES}", key=key)]


def _of_paddle(url: str) -> str:
    """What to do where PaddleDetection would download `url`; empty if it is not one of its."""
    if url.endswith(".tar"):
        return "it has the ending of PaddleDetection 0.x's weights, which are not read; of the .pdparams of 2.x give the path, or "
    if is_paddle_file(url) or url.startswith("ppdet://"):
        return "download it and give the path of the file, train with backend: paddle, or "
    return ""


def is_paddle_file(source: str) -> bool:
    """Whether `source` has the ending of PaddlePaddle's weights (.pdema: of a run with a moving average, those without it)."""
    return source.lower().endswith((".pdparams", ".pdema"))


def is_weights_name(source: str) -> bool:
    """Whether `source` has the form of a torchvision weights name."""
    return _WEIGHTS_NAME.fullmatch(source) is not None


def weights_hint(name: str) -> str:
    """The nearest torchvision weights names that a backbone here can take."""
    return nearest(name, _KNOWN_WEIGHTS)


def backbone_strides(backbone: ResNet | MobileNetV3) -> tuple[int, ...]:
    """Stride in pixels of each level that the backbone hands on; its indices must be valid."""
    if isinstance(backbone, ResNet):
        return tuple(RESNET_STRIDES[index] for index in backbone.return_idx)
    strides = [2]
    for step in MOBILENET_BLOCK_STRIDES[backbone.model_name]:
        strides.append(strides[-1] * step)
    return tuple(strides[layer - 1] for layer in backbone.feature_maps)


def pyramid_strides(model: FCOS) -> tuple[int, ...]:
    """Stride in pixels of each level the head sees; the backbone's indices must be valid."""
    strides = backbone_strides(model.backbone)
    return strides + tuple(strides[-1] * 2**extra for extra in range(1, model.neck.extra_stage + 1))


def _ascending(values: Sequence[float]) -> bool:
    return all(low < high for low, high in pairwise(values))


def _backbone(backbone: ResNet | MobileNetV3) -> Iterator[Problem]:
    name, key, levels, groups = (
        ("ResNet", "return_idx", backbone.return_idx, 4)
        if isinstance(backbone, ResNet)
        else ("MobileNetV3", "feature_maps", backbone.feature_maps, 5)
    )
    if not levels or not _ascending(levels):
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


def _shortcut(backbone: ResNet | MobileNetV3, weights: str | None) -> Iterator[Problem]:
    """torchvision's smaller ResNets are not PaddleDetection's in their first block."""
    if isinstance(backbone, ResNet) and backbone.depth < 50 and backbone.first_shortcut == "projection" and is_weights_name(weights or ""):
        yield Problem(
            f"is {weights}, whose first block has an identity as its shortcut: give ResNet.first_shortcut: identity "
            "(PaddleDetection's ResNet-18 and 34 have a projection)",
            key="pretrain_weights",
        )


def _neck(model: FCOS) -> Iterator[Problem]:
    neck = model.neck
    if neck.extra_stage > 1 and not neck.has_extra_convs:
        yield Problem(f"is {neck.extra_stage}; more than 1 needs has_extra_convs: true", key="FPN.extra_stage")
    if neck.norm_type == "gn" and neck.out_channel % NORM_GROUPS:
        yield Problem(f"is {neck.out_channel}; norm_type gn needs a multiple of {NORM_GROUPS}", key="FPN.out_channel")


def _head(head: FCOSHead, neck: FPN) -> Iterator[Problem]:
    feat = head.fcos_feat
    if feat.feat_in != neck.out_channel:
        yield Problem(f"is {feat.feat_in}, but FPN.out_channel is {neck.out_channel}: they must be equal", key="FCOSFeat.feat_in")
    if feat.norm_type == "gn" and feat.num_convs and feat.feat_out % NORM_GROUPS:
        yield Problem(f"is {feat.feat_out}; norm_type gn needs a multiple of {NORM_GROUPS}", key="FCOSFeat.feat_out")
    if not feat.num_convs and feat.feat_out != feat.feat_in:
        yield Problem(
            f"is {feat.feat_out} but feat_in {feat.feat_in}: with num_convs 0 no layer changes the width",
            key="FCOSFeat.feat_out",
        )
    if head.prior_prob >= 1:
        yield Problem(f"is {head.prior_prob:g}; a score to start with must be below 1", key="FCOSHead.prior_prob")
    for key in ("nms_top_k", "keep_top_k"):
        if getattr(head.nms, key) == 0:
            yield Problem("is 0, which keeps no box; -1 keeps all", key=f"MultiClassNMS.{key}")


def _levels(model: FCOS) -> Iterator[Problem]:
    strides = backbone_strides(model.backbone)
    levels = "ResNet.return_idx" if isinstance(model.backbone, ResNet) else "MobileNetV3.feature_maps"
    if any(high != 2 * low for low, high in pairwise(strides)):
        yield Problem(f"gives levels of stride {list(strides)}; a pyramid needs each to be twice the one before", key=levels)
        return
    scales = model.neck.spatial_scales
    if len(scales) != len(strides) or any(abs(scale * stride - 1) > 1e-6 for scale, stride in zip(scales, strides, strict=True)):
        yield Problem(
            f"is {list(scales)}, but {levels} gives the strides {list(strides)}: it must be {[1 / s for s in strides]}",
            key="FPN.spatial_scales",
        )
    expected = pyramid_strides(model)
    if model.fcos_head.fpn_stride != expected:
        yield Problem(
            f"is {list(model.fcos_head.fpn_stride)}, but {levels} with FPN.extra_stage {model.neck.extra_stage} gives {list(expected)}",
            key="FCOSHead.fpn_stride",
        )


def _targets(config: TorchConfig) -> Iterator[Problem]:
    head, key = config.architecture.fcos_head, "TrainReader.batch_transforms"
    targets = [transform for transform in config.train_reader.batch_transforms if isinstance(transform, Gt2FCOSTarget)]
    if len(targets) != 1:
        yield Problem(f"has Gt2FCOSTarget {len(targets)} times; FCOS needs it once: it says what each location learns", key=key)
        return
    target, key = targets[0], f"{key}.Gt2FCOSTarget"
    for mine, theirs in (
        ("downsample_ratios", "fpn_stride"),
        ("num_shift", "num_shift"),
        ("norm_reg_targets", "norm_reg_targets"),
    ):
        got, expected = getattr(target, mine), getattr(head, theirs)
        if got != expected:
            yield Problem(
                f"is {_plain(got)}, but FCOSHead.{theirs} is {_plain(expected)}: they must be equal",
                key=f"{key}.{mine}",
            )
    boundary, levels = target.object_sizes_boundary, len(head.fpn_stride)
    if len(boundary) != levels - 1:
        yield Problem(
            f"has {len(boundary)} sizes; {levels} levels need {levels - 1}, one between each two",
            key=f"{key}.object_sizes_boundary",
        )
    if not _ascending(boundary):
        yield Problem(f"is {list(boundary)}; sizes must ascend", key=f"{key}.object_sizes_boundary")


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
