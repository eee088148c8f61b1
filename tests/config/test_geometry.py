"""Where training and evaluation see an image differently, and where they only seem to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from runner.config.geometry import differences, geometry_warnings, readers_of
from runner.config.load import load_config
from runner.config.node import flatten

ROOT = Path(__file__).resolve().parents[2]


def config(train: list[dict[str, Any]], eval_: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "TrainReader": {"sample_transforms": [{"Decode": {}}, *train], "batch_transforms": []},
        "EvalReader": {"sample_transforms": [{"Decode": {}}, *eval_]},
    }


def resize(size: Any, keep_ratio: bool = False, name: str = "Resize", **keys: Any) -> dict[str, Any]:
    return {name: {"target_size": size, "keep_ratio": keep_ratio, **keys}}


SAME: list[tuple[list[dict[str, Any]], list[dict[str, Any]]]] = [
    ([resize(128)], [resize([128, 128])]),
    ([resize([640, 704, 960], name="BatchRandomResize")], [resize([896, 896])]),
    ([resize([[640, 1333], [800, 1333]], True, "RandomResize")], [resize([800, 1333], True)]),
    ([resize([[640, 1333], [800, 1333]], True, "RandomResize", random_range=True)], [resize([700, 1333], True)]),
    ([{"RandomCrop": {}}, resize(128)], [resize(128)]),
    ([{"Mosaic": {}}], [resize(128)]),
    ([{"RandomSelect": {"transforms1": []}}], [resize(128)]),
    ([{"NormalizeImage": {}}], [{"NormalizeImage": {"mean": [0.485, 0.456, 0.406], "is_scale": True}}]),
    ([resize(128), {"PadBatch": {"pad_to_stride": 32}}], [resize(128), {"PadBatch": {"pad_to_stride": 16}}]),
    ([resize(128), {"PadBatch": {"pad_to_stride": 32}}], [resize(128)]),
    ([], []),
]


@pytest.mark.parametrize(("train", "eval_"), SAME)
def test_what_is_no_difference(train: list[dict[str, Any]], eval_: list[dict[str, Any]]) -> None:
    assert differences(config(train, eval_)) == []


@pytest.mark.parametrize(
    ("train", "eval_", "expected"),
    [
        ([resize(128)], [resize(96)], "size: 128×128 in training, 96×96 in evaluation"),
        ([resize([640, 800], name="BatchRandomResize")], [resize(896)], "size: 640×640 to 800×800 in training, 896×896 in evaluation"),
        ([resize([800, 1333], True)], [resize([800, 1000], True)], "size: 800×1333 in training, 800×1000 in evaluation"),
        ([resize(128)], [], "size: 128×128 in training, the image's own in evaluation"),
        ([resize([800, 800], True)], [resize([800, 800])], "keep_ratio: true in training, false in evaluation"),
        (
            [{"NormalizeImage": {"std": [1, 1, 1]}}],
            [{"NormalizeImage": {}}],
            "normalisation (std): [1, 1, 1] in training, [0.229, 0.224, 0.225]",
        ),
        (
            [{"NormalizeImage": {}}],
            [{"NormalizeImage": {"is_scale": False}}],
            "normalisation (is_scale): true in training, false in evaluation",
        ),
        ([{"NormalizeImage": {}}], [], "normalisation: NormalizeImage in training, none in evaluation"),
        (
            [resize([800, 1333], True), {"PadBatch": {"pad_to_stride": 32}}],
            [resize([800, 1333], True), {"PadBatch": {"pad_to_stride": 128}}],
            "padding: to a multiple of 32 in training, to a multiple of 128 in evaluation",
        ),
        ([resize(100), {"PadBatch": {"pad_to_stride": 32}}], [resize(100)], "padding: to a multiple of 32 in training, none in evaluation"),
        ([{"Decode": {"to_rgb": False}}], [], "channel order: to_rgb false in training, RGB in evaluation"),
    ],
)
def test_what_is_a_difference(train: list[dict[str, Any]], eval_: list[dict[str, Any]], expected: str) -> None:
    (found,) = differences(config(train, eval_))
    assert expected in str(found)
    (warning,) = geometry_warnings([("", config(train, eval_))])
    assert warning.startswith(f"training and evaluation differ in {found}")


@pytest.mark.parametrize(
    "path", sorted((ROOT / "configs").glob("f*.yml")) + sorted((ROOT / "configs").glob("y*.yml")), ids=lambda path: path.name
)
def test_the_configs_that_ship_raise_no_alarm(path: Path) -> None:
    plain = load_config(path).plain()
    assert geometry_warnings([("", plain)]) == []
    readers = readers_of(dict(flatten(plain)))
    for name in {"TrainReader", "EvalReader"} & plain.keys():
        assert readers[name]["sample_transforms"][0] == {"Decode": {}} and readers[name]["batch_size"] == plain[name]["batch_size"]


def varied(train: Mapping[str, Any], eval_: Mapping[str, Any], *keys: str) -> list[str]:
    base = config([resize(128)], [resize(128)])
    return geometry_warnings([("baseline", base), ("target_size=96", config([dict(train)], [dict(eval_)]))], keys)


TRAIN, EVAL = (f"{name}.sample_transforms.1.Resize.target_size" for name in ("TrainReader", "EvalReader"))


def test_a_trial_that_changes_one_reader_gets_the_line_that_couples_the_other() -> None:
    (warning,) = varied(resize(96), resize(128), TRAIN)
    assert "(trial target_size=96)" in warning and warning.endswith(f"to let the other reader follow: derive: {{{EVAL}: {TRAIN}}}")
    (warning,) = varied(resize(128), resize(96), EVAL)
    assert warning.endswith(f"derive: {{{TRAIN}: {EVAL}}}")
    (warning,) = varied(resize([96, 96]), resize(128), f"{TRAIN}.0", f"{TRAIN}.1")
    assert warning.endswith(f"derive: {{{EVAL}.0: {TRAIN}.0, {EVAL}.1: {TRAIN}.1}}")
    (warning,) = varied(resize(96), resize(128), "TrainReader.sample_transforms.1")
    assert warning.endswith(f"set {EVAL} in the same trial (design: list or zip)")
    assert varied(resize(96), resize(96), TRAIN, EVAL) == []


def test_what_the_baseline_has_is_said_once() -> None:
    base = config([resize(128)], [resize(96)])
    assert len(geometry_warnings([("baseline", base), ("lr=1", base), ("lr=2", base)], ["lr"])) == 1
