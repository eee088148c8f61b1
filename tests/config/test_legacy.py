"""The older dialect is recognised by any of its signs, and answered as what it is."""

from __future__ import annotations

import pytest

from runner.config.legacy import older_dialect
from runner.config.load import load_config, parse
from runner.config.node import Source

READER = """
TrainReader:
  inputs_def:
    fields: [image, im_id, gt_bbox, gt_class]
  dataset:
    !COCODataSet
    dataset_dir: dataset/pcb
    anno_path: train.json
    with_background: false
  sample_transforms:
  - !DecodeImage {to_rgb: true}
  - !ResizeImage {target_size: 800, max_size: 1333, interp: 1, use_cv2: true}
  - !Permute {channel_first: true}
  batch_size: 2
"""


@pytest.mark.parametrize(
    ("text", "line", "sign"),
    [
        ("architecture: FCOS\nlog_smooth_window: 20\n", 2, "log_smooth_window"),
        ("architecture: FCOS\nFCOS: {fpn: FPN}\n_READER_: 'fcos_reader.yml'\n", 3, "_READER_"),
        (READER, 5, "dataset"),
        ("TrainReader:\n  inputs_def: {fields: [image]}\n", 2, "inputs_def.fields"),
        ("EvalReader:\n  bufsize: 16\n", 2, "bufsize"),
        ("TestReader:\n  sample_transforms:\n    - !ResizeImage {target_size: 800}\n", 3, "!ResizeImage"),
        ("TrainReader:\n  sample_transforms:\n    - Decode: {}\n    - !MixupImage\n", 4, "!MixupImage"),
        ("TrainReader: {use_process: true}\n", 1, "use_process"),
    ],
)
def test_signs_of_the_older_dialect(text: str, line: int, sign: str) -> None:
    problem = older_dialect(parse(text, lambda number: Source("old.yml", number)))
    assert problem is not None and problem.where == f"old.yml:{line}"
    assert "older dialect (0.x)" in problem.message and sign in problem.message


@pytest.mark.parametrize("name", ["fcos_r50_fpn_1x.yml", "fcos_tiny.yml"])
def test_the_newer_shape_is_no_older_dialect(name: str) -> None:
    assert older_dialect(load_config(f"configs/{name}")) is None
