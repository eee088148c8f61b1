"""`image_size`: one key for every size of a config."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner.config import image_size
from runner.config.load import load_config
from runner.config.node import Node, Source, from_plain
from runner.config.overrides import apply_mapping, apply_overrides
from runner.core.errors import InputError
from runner.resolve import resolve

PADDLE = """
eval_size: [640, 640]
TrainReader:
  inputs_def: {image_shape: [3, 640, 640]}
  sample_transforms:
    - Mosaic: {input_dim: [640, 640]}
    - PadResize: {target_size: 640}
  batch_transforms:
    - BatchRandomResize: {target_size: [320, 480, 640, 768], random_size: true, keep_ratio: false}
    - PadBatch: {pad_to_stride: 32}
EvalReader:
  sample_transforms:
    - Resize: {target_size: [640, 640], keep_ratio: false}
TestReader:
  inputs_def: {image_shape: [3, 640, 640]}
  sample_transforms:
    - Resize: {target_size: [640, 640], keep_ratio: false}
YOLOv3Head: {anchors: [[10, 13], [16, 30]]}
"""


def write(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def value(tree: Node, dotted: str) -> Any:
    node = tree.get(dotted)
    assert node is not None, dotted
    return node.plain()


def test_a_later_layer_sets_every_size(tmp_path: Path) -> None:
    write(tmp_path, "base.yml", PADDLE)
    tree = load_config(write(tmp_path, "over.yml", "_BASE_: base.yml\nimage_size: [320, 416]\n"))
    assert value(tree, "eval_size") == [320, 416]
    assert value(tree, "TrainReader.inputs_def.image_shape") == [3, 320, 416]
    assert value(tree, "TestReader.inputs_def.image_shape") == [3, 320, 416]
    assert value(tree, "TrainReader.sample_transforms.0.Mosaic.input_dim") == [320, 416]
    assert value(tree, "TrainReader.sample_transforms.1.PadResize.target_size") == [320, 416]
    assert value(tree, "EvalReader.sample_transforms.0.Resize.target_size") == [320, 416]
    assert value(tree, "TestReader.sample_transforms.0.Resize.target_size") == [320, 416]
    # evaluation went from 640 to 320 × 416: each size is scaled so, and is a multiple of 32
    assert value(tree, "TrainReader.batch_transforms.0.BatchRandomResize.target_size") == [[160, 192], [256, 320], [320, 416], [384, 512]]
    _, problems, notes = image_size.fill(tree)
    assert not problems
    assert "scaled with it" in notes[0] and "BatchRandomResize" in notes[0]
    assert "anchors" in notes[1] and "YOLOv3Head.anchors" in notes[1]


@pytest.mark.parametrize(
    "apply",
    [
        lambda tree: apply_overrides(tree, ["image_size=320"]),
        lambda tree: apply_mapping(tree, {"image_size": [320, 320]}, Source("sweep")),
    ],
)
def test_the_command_line_and_a_trial_are_layers(tmp_path: Path, apply: Any) -> None:
    tree = apply(load_config(write(tmp_path, "base.yml", PADDLE)))
    assert value(tree, "EvalReader.sample_transforms.0.Resize.target_size") == [320, 320]
    assert value(tree, "TrainReader.batch_transforms.0.BatchRandomResize.target_size") == [160, 256, 320, 384]


def test_what_has_no_size_of_its_own_gets_it() -> None:
    reader = {"sample_transforms": [{"Resize": {"keep_ratio": True}}, {"Mosaic": {}}, {"Pad": {}}, {"RandomFlip": {}}]}
    tree, problems, notes = image_size.fill(from_plain({"image_size": 96, "EvalReader": reader}, Source("here")))
    assert (problems, notes) == ([], [])
    assert value(tree, "EvalReader.sample_transforms") == [
        {"Resize": {"keep_ratio": True, "target_size": [96, 96]}},
        {"Mosaic": {"input_dim": [96, 96]}},
        {"Pad": {}},
        {"RandomFlip": {}},
    ]


def test_sizes_that_do_not_follow_are_named() -> None:
    own = [{"Resize": {"keep_ratio": False}}, {"RandomSelect": {"transforms1": [], "transforms2": []}}, {"v2.ScaleJitter": {}}]
    _, _, (note,) = image_size.fill(from_plain({"image_size": 96, "TrainReader": {"sample_transforms": own}}, Source("here")))
    names = ("1.RandomSelect", "2.v2.ScaleJitter")
    assert all(f"TrainReader.sample_transforms.{name}" in note for name in names) and "does not change the sizes" in note


def test_what_contradicts_it_is_an_error(tmp_path: Path) -> None:
    operators = "    - Resize: {target_size: [128, 128]}\n    - PadResize: {target_size: 96}\n"
    path = write(tmp_path, "both.yml", f"image_size: [96, 96]\nEvalReader:\n  sample_transforms:\n{operators}")
    _, problems, _ = image_size.fill(load_config(path))
    assert [problem.key for problem in problems] == ["EvalReader.sample_transforms.0.Resize.target_size"]
    assert problems[0].where == f"{path}:4"
    assert "contradicts image_size [96, 96]" in problems[0].message and "image_size=null" in problems[0].message


def test_null_is_not_advised_where_others_need_the_size() -> None:
    with pytest.raises(InputError, match=r"contradicts image_size \[320, 320\] .*; remove it, as image_size gives other values too$"):
        resolve("configs/fcos_small.yml", ["EvalReader.sample_transforms.1.Resize.target_size=[96, 96]"], to_run=False)


def test_it_needs_a_reader_that_resizes() -> None:
    _, problems, _ = image_size.fill(from_plain({"image_size": [96, 96]}, Source("here")))
    assert "no reader" in problems[0].message


@pytest.mark.parametrize("text", ["[0, 3]", "[1]", "abc", "[1.5, 2]", "true"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="image_size"):
        resolve("configs/fcos_tiny.yml", [f"image_size={text}"], to_run=False)


def test_null_leaves_the_sizes_alone() -> None:
    assert resolve("configs/fcos_tiny.yml", ["image_size=null"], to_run=False).plain["image_size"] is None


def test_the_resolved_config_repeats_itself_and_takes_another_size(tmp_path: Path) -> None:
    first = resolve("configs/fcos_tiny.yml", ["image_size=[64, 96]", "levels=[8, 16]"], to_run=False)
    path = write(tmp_path, "config.yml", first.yaml)
    assert resolve(path, to_run=False, settled=True).plain == first.plain
    other = resolve(path, ["image_size=[32, 32]", "levels=[8]"], to_run=False)
    assert [item["Resize"]["target_size"] for item in other.plain["EvalReader"]["sample_transforms"] if "Resize" in item] == [[32, 32]]
    assert other.plain["FCOSHead"]["fpn_stride"] == [8]


def test_spelled_out_or_by_one_key_the_run_is_the_same() -> None:
    from runner.config.dump import result_affecting

    size = "sample_transforms.2.Resize.target_size"
    spelled = ["TrainReader." + size + "=[64, 64]", "EvalReader.sample_transforms.1.Resize.target_size=[64, 64]"]
    one, other = (resolve("configs/fcos_tiny.yml", overrides, to_run=False) for overrides in (spelled, ["image_size=64"]))
    assert result_affecting(one.config) == result_affecting(other.config)


@pytest.mark.parametrize("text", ["abc", "[416]", "true"])
def test_one_mistake_is_one_message(text: str) -> None:
    with pytest.raises(InputError) as error:
        resolve("configs/fcos_small.yml", ["dataset=synthetic_pcb", f"image_size={text}"], to_run=False)
    assert {problem.key.split(".")[0] for problem in error.value.problems} == {"image_size"}


def test_a_null_where_no_operator_has_a_size_is_refused_by_its_own_key() -> None:
    with pytest.raises(InputError) as error:
        resolve("configs/fcos_small.yml", ["dataset=synthetic_pcb", "image_size=null"], to_run=False)
    (problem,) = error.value.problems
    assert (problem.key, problem.where) == ("image_size", "-o image_size=null") and "Resize.target_size without a size" in problem.message


@pytest.mark.parametrize("operator", ["!Resize {{{}}}", "{{name: Resize, {}}}", "Resize: {{{}}}"])
@pytest.mark.parametrize("size", ["target_size: [128, 128], ", ""])
def test_any_notation_of_an_operator_is_understood(tmp_path: Path, operator: str, size: str) -> None:
    lines = ["EvalReader:", "  sample_transforms:", f"    - {operator.format(f'{size}keep_ratio: false')}"]
    tree = load_config(write(tmp_path, "base.yml", "\n".join(lines)))
    tree, problems, _ = image_size.fill(apply_overrides(tree, ["image_size=[64, 96]"]))
    assert not problems
    dotted = "EvalReader.sample_transforms.0" + (".Resize" if operator.startswith("Resize") else "")
    assert value(tree, f"{dotted}.target_size") == [64, 96]
