"""`levels`: one key for the pyramid of FCOS."""

from __future__ import annotations

import pytest

from runner.config.levels import strides_of
from runner.core.errors import InputError
from runner.resolve import resolve

TINY, LARGE = "configs/fcos_tiny.yml", "configs/fcos_r50_fpn_1x.yml"


def test_a_second_level_of_the_small_config() -> None:
    plain = resolve(TINY, ["levels=[8, 16]"], to_run=False).plain
    assert (plain["ResNet"]["return_idx"], plain["ResNet"]["num_stages"]) == ([1, 2], 3)
    assert (plain["FPN"]["spatial_scales"], plain["FPN"]["extra_stage"]) == ([0.125, 0.0625], 0)
    assert plain["FCOSHead"]["fpn_stride"] == [8, 16]
    targets = next(item["Gt2FCOSTarget"] for item in plain["TrainReader"]["batch_transforms"] if "Gt2FCOSTarget" in item)
    assert (targets["object_sizes_boundary"], targets["downsample_ratios"]) == ([64], [8, 16])
    for reader in ("TrainReader", "EvalReader"):
        assert {"PadBatch": {"pad_to_stride": 16}} in plain[reader]["batch_transforms"]


def test_the_large_configs_own_levels_change_nothing() -> None:
    one, other = (resolve(LARGE, overrides, to_run=False).plain for overrides in ([], ["levels=[8, 16, 32, 64, 128]"]))
    assert other.pop("levels") == [8, 16, 32, 64, 128]
    one.pop("levels")
    assert one == other


def test_levels_above_the_backbone_are_the_necks() -> None:
    plain = resolve(TINY, ["levels=[16, 32, 64, 128]"], to_run=False).plain
    assert (plain["ResNet"]["return_idx"], plain["FPN"]["extra_stage"], plain["FPN"]["has_extra_convs"]) == ([2, 3], 2, True)


def test_another_backbone() -> None:
    overrides = ["FCOS.backbone=MobileNetV3", "MobileNetV3={}", "levels=[8, 16]"]
    assert resolve(TINY, overrides, to_run=False).plain["MobileNetV3"]["feature_maps"] == [6, 12]


def test_what_contradicts_it_is_an_error() -> None:
    with pytest.raises(InputError, match=r"FPN.extra_stage: is 1, but levels \[8, 16\] .* needs 0"):
        resolve(TINY, ["levels=[8, 16]", "FPN.extra_stage=1"], to_run=False)


@pytest.mark.parametrize("override", ["FCOSHead.fpn_stride=[16]", "levels=8", "levels=[8, a]", "levels=[64]", "levels={a: 1}"])
def test_one_mistake_is_one_message(override: str) -> None:
    with pytest.raises(InputError) as refused:
        resolve("configs/fcos_small.yml", [override], to_run=False)
    assert len(refused.value.problems) == 1 and "null` keeps" not in str(refused.value)


def test_null_is_advised_where_nothing_else_needs_the_key() -> None:
    with pytest.raises(InputError, match=r"`-o levels=null` keeps this one"):
        resolve(LARGE, ["levels=[8, 16, 32, 64, 128]", "FCOSHead.fpn_stride=[16]"], to_run=False)


def test_other_architectures_are_refused_by_name() -> None:
    with pytest.raises(InputError, match="levels: is for FCOS only, not for YOLOv3"):
        resolve("configs/yolov3_darknet.yml", ["levels=[8, 16]"], to_run=False)


@pytest.mark.parametrize("text", ["[8, 32]", "[64]", "[16, 8]", "[]", "8", "[8, 16.0]", "[12]", "[true]"])
def test_what_are_no_levels_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="levels"):
        resolve(TINY, [f"levels={text}"], to_run=False)


def test_strides() -> None:
    assert strides_of([4, 8, 16, 32, 64, 128]) == [4, 8, 16, 32, 64, 128]
    assert strides_of([32, 64]) == [32, 64]
    assert strides_of("8") is None
