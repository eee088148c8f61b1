"""Checks of an FCOS config: what keeps it from being built or trained as PaddleDetection defines it. Imports no torch, so that
`runner config check` answers at once.
"""

from __future__ import annotations

from collections.abc import Iterator

from runner.backends.initial_distance import check_initial_distance
from runner.backends.torch.models.fcos.schema import FCOS, FCOSHead, Gt2FCOSTarget
from runner.backends.torch.models.layers import checks
from runner.backends.torch.models.layers.schema import FPN, Timm
from runner.backends.torch.schema import TorchConfig
from runner.core.errors import Problem


def check_fcos(config: TorchConfig) -> list[Problem]:
    """Find everything in `config` that does not fit its FCOS; empty if all fits."""
    model: FCOS = config.architecture
    problems = [*checks.check_backbone(model.backbone), *checks.check_pyramid(model.neck), *_head_problems(model.fcos_head, model.neck)]
    if not problems:  # the levels of a broken backbone or neck would only add noise
        problems += _levels(model)
    problems += _targets(config)
    problems += checks.check_shortcut(model.backbone, config.pretrain_weights)
    if isinstance(model.backbone, Timm):  # its network has stages of its own kind
        if config.gradient_checkpointing:
            problems.append(
                Problem("the backbone Timm does not have it; remove the key, or use a smaller batch", key="gradient_checkpointing")
            )
        if config.optimizer_builder.layer_decay != 1:
            problems.append(Problem("the backbone Timm does not have it; remove the key", key="OptimizerBuilder.layer_decay"))
    problems += checks.check_weights_for_timm(model.backbone, config.pretrain_weights)
    problems += check_initial_distance(config.initial_distance, has_effect=model.fcos_head.norm_reg_targets)
    if model.fcos_head.num_classes != config.num_classes:
        problems.append(
            Problem(
                f"is {model.fcos_head.num_classes}, but num_classes is {config.num_classes}: left out, it is the same",
                key="FCOSHead.num_classes",
            )
        )
    return problems


def _head_problems(head: FCOSHead, neck: FPN) -> Iterator[Problem]:
    feat = head.fcos_feat
    if feat.feat_in != neck.out_channel:
        yield Problem(f"is {feat.feat_in}, but FPN.out_channel is {neck.out_channel}: they must be equal", key="FCOSFeat.feat_in")
    if feat.norm_type == "gn" and feat.num_convs and feat.feat_out % checks.NORM_GROUPS:
        yield Problem(f"is {feat.feat_out}; norm_type gn needs a multiple of {checks.NORM_GROUPS}", key="FCOSFeat.feat_out")
    if not feat.num_convs and feat.feat_out != feat.feat_in:
        yield Problem(
            f"is {feat.feat_out} but feat_in {feat.feat_in}: with num_convs 0 no layer changes the width",
            key="FCOSFeat.feat_out",
        )
    if head.prior_prob >= 1:
        yield Problem(f"is {head.prior_prob:g}; a score to start with must be below 1", key="FCOSHead.prior_prob")
    yield from checks.check_nms(head.nms)


def _levels(model: FCOS) -> Iterator[Problem]:
    found = list(checks.check_levels(model.backbone, model.neck))
    yield from found
    key = checks.levels_key(model.backbone)
    expected = checks.pyramid_strides(model.backbone, model.neck)
    if model.fcos_head.fpn_stride != expected and not any(problem.key == key for problem in found):
        yield Problem(
            f"is {list(model.fcos_head.fpn_stride)}, but {key} with FPN.extra_stage {model.neck.extra_stage} gives {list(expected)}",
            key="FCOSHead.fpn_stride",
        )


def _targets(config: TorchConfig) -> Iterator[Problem]:
    head: FCOSHead = config.architecture.fcos_head
    key = "TrainReader.batch_transforms"
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
    if not checks.ascending(boundary):
        yield Problem(f"is {list(boundary)}; sizes must ascend", key=f"{key}.object_sizes_boundary")


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
