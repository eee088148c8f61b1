"""Arguments are those of the installed torchvision: by name, by type, and never one that is swallowed without effect."""

from __future__ import annotations

import inspect
import subprocess
import sys
import typing
from pathlib import Path
from typing import Any

import pytest
from torchvision.models import detection

from runner.backends.torch.models.torchvision_detector.arguments import (
    RESERVED,
    argument_problem,
    arguments_of,
    torchvision_folder,
    weights_of,
)
from runner.backends.torch.models.torchvision_detector.facts import MODEL_FACTS
from runner.backends.torch.models.torchvision_detector.schema import TorchvisionDetector
from runner.config.bind import field_infos

FOLDER = torchvision_folder()
assert FOLDER is not None
V2 = "fasterrcnn_resnet50_fpn_v2"


def problem(model: str, name: str, value: Any) -> str:
    assert FOLDER is not None
    return argument_problem(model, name, value, arguments_of(model, FOLDER), "0.29")


def test_every_model_of_the_schema_has_its_facts() -> None:
    (info,) = (info for info in field_infos(TorchvisionDetector) if info.key == "model")
    assert typing.get_args(info.type) == tuple(MODEL_FACTS)


@pytest.mark.parametrize("model", MODEL_FACTS)
def test_the_arguments_read_from_the_source_are_those_of_the_signatures(model: str) -> None:
    assert FOLDER is not None
    made = getattr(detection, model)
    cls = made if inspect.isclass(made) else getattr(detection, MODEL_FACTS[model].kind, None) or detection.ssd.SSD
    expected: dict[str, inspect.Parameter] = dict(inspect.signature(cls.__init__).parameters)
    if not inspect.isclass(made):
        expected |= inspect.signature(inspect.unwrap(made)).parameters
    names = {name for name, one in expected.items() if one.kind is not one.VAR_KEYWORD and name != "self"}
    found = arguments_of(model, FOLDER)
    assert found.keys() == names
    for name, one in found.items():
        if one.kind in ("int", "float", "bool") and one.default is not None:
            assert one.default == expected[name].default and type(one.default) is type(expected[name].default)


def test_reading_them_loads_no_torch() -> None:
    code = (
        "import sys; from runner.backends.torch.models.torchvision_detector.arguments import arguments_of, torchvision_folder;"
        f"arguments_of({V2!r}, torchvision_folder()); sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True)


@pytest.mark.parametrize(
    ("model", "name", "value"),
    [
        (V2, "box_detections_per_img", 50),
        (V2, "box_score_thresh", 0),
        (V2, "bbox_reg_weights", [10, 10, 5.0, 5]),
        (V2, "trainable_backbone_layers", 0),
        ("FasterRCNN", "rpn_pre_nms_top_n_train", 500),
        ("retinanet_resnet50_fpn", "fg_iou_thresh", 0.6),
        ("fcos_resnet50_fpn", "center_sampling_radius", 2),
        ("ssd300_vgg16", "positive_fraction", 0.5),
        ("ssdlite320_mobilenet_v3_large", "topk_candidates", 100),
    ],
)
def test_what_is_taken(model: str, name: str, value: Any) -> None:
    assert problem(model, name, value) == ""


@pytest.mark.parametrize(
    ("model", "name", "value", "words"),
    [
        (V2, "box_detection_per_img", 50, "has no argument 'box_detection_per_img'; did you mean 'box_detections_per_img'"),
        (V2, "_skip_resize", True, "has no argument '_skip_resize'"),  # the transform would take it from **kwargs
        (V2, "detections_per_img", 50, "did you mean 'box_detections_per_img'"),  # the transform would swallow it
        ("ssdlite320_mobilenet_v3_large", "width_mult", 0.5, "has no argument 'width_mult'"),
        ("fcos_resnet50_fpn", "fg_iou_thresh", 0.5, "has no argument"),
        (V2, "box_detections_per_img", 50.0, "expected an integer (at least 1), got 50.0"),
        (V2, "box_detections_per_img", True, "expected an integer (at least 1), got True"),
        (V2, "box_detections_per_img", 0, "at least 1"),
        (V2, "box_score_thresh", "0.05", "expected a number (from 0 to 1), got '0.05'"),
        (V2, "box_score_thresh", 5, "from 0 to 1"),
        (V2, "bbox_reg_weights", [10, 10], "a list of 4 numbers"),
        ("ssd300_vgg16", "positive_fraction", 0, "more than 0"),
        (V2, "rpn_anchor_generator", {}, "anchors: {sizes"),
        (V2, "box_head", None, "an object of Python's"),
        ("ssdlite320_mobilenet_v3_large", "norm_layer", None, "an object of Python's"),
        *((V2, name, 1, why) for name, why in RESERVED.items()),
    ],
)
def test_what_is_refused(model: str, name: str, value: Any, words: str) -> None:
    assert words in problem(model, name, value)


def test_the_weights_that_a_function_takes() -> None:
    assert FOLDER is not None
    assert weights_of(V2, FOLDER) == ("FasterRCNN_ResNet50_FPN_V2_Weights", "ResNet50_Weights")
    assert weights_of("ssd300_vgg16", FOLDER) == ("SSD300_VGG16_Weights", "VGG16_Weights")
    assert weights_of("FasterRCNN", FOLDER) == ()


def test_a_torchvision_without_the_model(tmp_path: Path) -> None:
    (tmp_path / "models" / "detection").mkdir(parents=True)
    assert arguments_of(V2, tmp_path) == {}
