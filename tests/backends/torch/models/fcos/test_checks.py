"""What does not fit together in a config is named, key by key, and without torch."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from runner.backends.torch import schema
from runner.backends.torch.models.fcos import schema as fcos
from runner.backends.torch.models.fcos.checks import check_fcos
from runner.backends.torch.models.layers import schema as layers
from runner.backends.torch.models.layers.checks import pyramid_strides
from runner.backends.torch.transforms.schema import BatchTransform

TARGET = fcos.Gt2FCOSTarget(
    object_sizes_boundary=(64.0, 128.0, 256.0, 512.0),
    center_sampling_radius=1.5,
    downsample_ratios=(8, 16, 32, 64, 128),
)


def config(
    backbone: layers.ResNet | layers.MobileNetV3 | None = None,
    neck: dict[str, Any] | None = None,
    head: dict[str, Any] | None = None,
    transforms: tuple[BatchTransform, ...] = (TARGET,),
) -> schema.TorchConfig:
    """The article's model: ResNet-50, levels of stride 8 to 128."""
    default = {"spatial_scales": (1 / 8, 1 / 16, 1 / 32), "extra_stage": 2, "has_extra_convs": True, "use_c5": False}
    model = fcos.FCOS(
        backbone=backbone or layers.ResNet(return_idx=(1, 2, 3)),
        neck=layers.FPN(**{**default, **(neck or {})}),
        fcos_head=fcos.FCOSHead(**(head or {})),
    )
    return schema.TorchConfig(
        architecture=model,
        train_dataset=schema.COCODataSet(),
        eval_dataset=schema.COCODataSet(),
        train_reader=schema.TrainReader(sample_transforms=(), batch_transforms=transforms),
        eval_reader=schema.EvalReader(sample_transforms=()),
    )


def keys(given: schema.TorchConfig) -> list[str]:
    return [problem.key for problem in check_fcos(given)]


def test_the_articles_model_fits() -> None:
    assert keys(config()) == []
    assert pyramid_strides(config().architecture.backbone, config().architecture.neck) == (8, 16, 32, 64, 128)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (config(layers.ResNet(return_idx=(1, 2, 3), num_stages=3)), ["ResNet.return_idx"]),
        (config(layers.ResNet(return_idx=(2, 1, 3))), ["ResNet.return_idx"]),
        (config(layers.ResNet(return_idx=())), ["ResNet.return_idx"]),
        (config(layers.ResNet(return_idx=(0, 1, 3))), ["ResNet.return_idx"]),
        (config(layers.ResNet()), ["FPN.spatial_scales", "FCOSHead.fpn_stride"]),
        (config(layers.ResNet(return_idx=(1, 2, 3), lr_mult_list=(1.0,))), ["ResNet.lr_mult_list"]),
        (config(layers.MobileNetV3(feature_maps=(6, 12, 15))), []),
        (config(layers.MobileNetV3(feature_maps=(6, 12, 17))), ["MobileNetV3.feature_maps"]),
        (config(layers.MobileNetV3(model_name="small", feature_maps=(4, 9, 13))), ["MobileNetV3.feature_maps"]),
        (config(layers.MobileNetV3(feature_maps=(6, 7, 15))), ["MobileNetV3.feature_maps"]),
        (config(layers.MobileNetV3(lr_mult_list=(1.0,) * 4)), ["MobileNetV3.lr_mult_list"]),
        (config(layers.MobileNetV3(norm_type="sync_bn", freeze_norm=True)), ["MobileNetV3.norm_type"]),
        (config(neck={"has_extra_convs": False}), ["FPN.extra_stage"]),
        (config(neck={"spatial_scales": (0.25, 0.125, 0.0625)}), ["FPN.spatial_scales"]),
        (config(neck={"extra_stage": 1}), ["FCOSHead.fpn_stride"]),
        (config(neck={"out_channel": 128}), ["FCOSFeat.feat_in"]),
        (
            config(
                neck={"out_channel": 48, "norm_type": "gn"},
                head={"fcos_feat": fcos.FCOSFeat(feat_in=48, feat_out=40, norm_type="gn")},
            ),
            ["FPN.out_channel", "FCOSFeat.feat_out"],
        ),
        (config(head={"fcos_feat": fcos.FCOSFeat(num_convs=0, feat_out=64)}), ["FCOSFeat.feat_out"]),
        (config(head={"prior_prob": 1.0}), ["FCOSHead.prior_prob"]),
        (config(head={"num_classes": 6}), ["FCOSHead.num_classes"]),
        (
            config(head={"nms": layers.MultiClassNMS(nms_top_k=0, keep_top_k=0)}),
            ["MultiClassNMS.nms_top_k", "MultiClassNMS.keep_top_k"],
        ),
        (config(transforms=()), ["TrainReader.batch_transforms"]),
        (config(transforms=(TARGET, TARGET)), ["TrainReader.batch_transforms"]),
        (
            config(
                transforms=(
                    replace(
                        TARGET,
                        object_sizes_boundary=(128.0, 64.0),
                        downsample_ratios=(8, 16),
                        num_shift=0.0,
                        norm_reg_targets=False,
                    ),
                )
            ),
            [
                f"TrainReader.batch_transforms.Gt2FCOSTarget.{key}"
                for key in (
                    "downsample_ratios",
                    "num_shift",
                    "norm_reg_targets",
                    "object_sizes_boundary",
                    "object_sizes_boundary",
                )
            ],
        ),
    ],
)
def test_each_problem_names_its_key(given: schema.TorchConfig, expected: list[str]) -> None:
    assert keys(given) == expected


def test_messages_say_what_was_got_and_what_is_allowed() -> None:
    message = str(check_fcos(config(neck={"extra_stage": 1}))[0])
    assert message == ("FCOSHead.fpn_stride: is [8, 16, 32, 64, 128], but ResNet.return_idx with FPN.extra_stage 1 gives [8, 16, 32, 64]")


def test_loads_no_torch() -> None:
    code = "import sys; import runner.backends.torch.models.fcos; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_torchvisions_small_networks_need_their_shortcut() -> None:
    backbone = layers.ResNet(depth=18, return_idx=(1, 2, 3))
    weights = "ResNet18_Weights.IMAGENET1K_V1"
    (problem,) = check_fcos(replace(config(backbone=backbone), pretrain_weights=weights))
    assert problem.key == "pretrain_weights" and "ResNet.first_shortcut: identity" in problem.message
    fitting = replace(backbone, first_shortcut="identity")
    assert not check_fcos(replace(config(backbone=fitting), pretrain_weights=weights))


def test_distances_without_a_relu_need_no_start() -> None:
    assert not check_fcos(replace(config(), initial_distance=1.0))
    found = check_fcos(replace(config(head={"norm_reg_targets": False}), initial_distance=1.0))
    assert any(problem.key == "initial_distance" and "remove it" in problem.message for problem in found)
