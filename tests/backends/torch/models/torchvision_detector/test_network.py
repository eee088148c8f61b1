"""Additions of the interface to torchvision's models: sizes, precision, classes by name, and weights under their names."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
import torch
from torchvision.models import detection, mobilenet_v3_large, resnet50, vgg16

from runner.backends.torch.models.layers.schema import Timm
from runner.backends.torch.models.pretrained import load_pretrained
from runner.backends.torch.models.torchvision_detector.network import ReadImages, build
from runner.backends.torch.models.torchvision_detector.schema import TorchvisionDetector
from runner.backends.torch.schema import TorchConfig
from runner.core.errors import InputError
from runner.testing.models import CLASSES, batch, built, config_for


def on_timm(model: Any, **arguments: Any) -> TorchConfig:
    """A class of torchvision's on two stages of timm's smallest ResNet, 32 channels wide."""
    backbone = Timm(name="resnet10t", out_indices=(2, 3))
    return config_for(TorchvisionDetector(model=model, backbone=backbone, out_channels=32, arguments=arguments))


@pytest.mark.parametrize(
    ("model", "names"),
    [
        ("FasterRCNN", {"loss_classifier", "loss_box_reg", "loss_objectness", "loss_rpn_box_reg"}),
        ("RetinaNet", {"loss_classification", "loss_bbox_regression"}),
        ("FCOS", {"loss_classification", "loss_box", "loss_bbox_ctrness"}),  # its box loss is 1 - GIoU
    ],
)
def test_losses_have_torchvisions_names(model: str, names: set[str]) -> None:
    assert set(built(on_timm(model)).train()(batch())) == {"loss", *names}


def test_it_computes_what_torchvision_computes() -> None:
    """On one image without padding, with torchvision's own transform told to change nothing."""
    ours = built(on_timm("RetinaNet", score_thresh=0.0))
    given = batch((([[10.0, 8.0, 58.0, 52.0]]),), ([1],), (64, 96))
    images, targets = list(given.images), [{"boxes": given.boxes[0], "labels": given.classes[0]}]
    found, losses = ours.predict(given), built(on_timm("RetinaNet")).train()(given)
    model: Any = ours.model
    model.transform = detection.transform.GeneralizedRCNNTransform(64, 96, [0.0] * 3, [1.0] * 3)
    (theirs,) = model.eval()(images)
    assert torch.allclose(found[0].boxes, theirs["boxes"], atol=1e-4) and torch.equal(found[0].classes, theirs["labels"])
    assert torch.allclose(losses["loss"], sum(model.train()(images, targets).values()))


def test_boxes_are_clipped_to_the_image_without_its_padding() -> None:
    model = built(on_timm("FasterRCNN", box_score_thresh=0.0))
    whole, small = batch(), replace(batch(), sizes=torch.tensor([[40, 50], [64, 96]]))
    assert model.predict(whole)[0].boxes[:, 2].max() > 50
    first, second = model.predict(small)
    assert first.boxes[:, 2].max() <= 50 and first.boxes[:, 3].max() <= 40 and second.boxes[:, 2].max() > 50


def test_a_box_without_area_is_left_out() -> None:
    model = built(on_timm("RetinaNet")).train()
    with_flat = batch(([[10.0, 8.0, 58.0, 52.0], [5.0, 5.0, 5.0, 9.0]],), ([1, 0],))
    assert torch.equal(model(with_flat)["loss"], model(batch(([[10.0, 8.0, 58.0, 52.0]],), ([1],)))["loss"])


@pytest.mark.parametrize("model", ["FasterRCNN", "RetinaNet", "FCOS"])
def test_anchors_and_boxes_are_float32_under_autocast(model: str) -> None:
    network: Any = built(on_timm(model))
    made: list[torch.dtype] = []
    generator = network.model.rpn.anchor_generator if model == "FasterRCNN" else network.model.anchor_generator
    generator.register_forward_hook(lambda module, inputs, output: made.extend(one.dtype for one in output))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = network.train()(batch())
        found = network.predict(batch())
    assert set(made) == {torch.float32}
    assert all(value.dtype == torch.float32 for value in losses.values()) and found[0].boxes.dtype == torch.float32


def test_its_own_transform_is_off() -> None:
    network: Any = built(on_timm("FCOS"))
    assert isinstance(network.model.transform, ReadImages)


@pytest.mark.parametrize("model", ["FasterRCNN", "RetinaNet", "FCOS"])
def test_classes_of_a_file_are_matched_by_name(model: str, tmp_path: Path) -> None:
    theirs: Any = built(on_timm(model), seed=1)
    own: Any = built(on_timm(model), seed=2)
    before = {name: value.clone() for name, value in own.state_dict().items()}
    torch.save({"model": theirs.state_dict(), "classes": ["a", "b", "c"]}, tmp_path / "last.pt")
    report = load_pretrained(own, str(tmp_path / "last.pt"), lambda line: None, ("c", "new", "a"))
    assert not report.missing and not report.misfit
    assert own.class_outputs
    for name in own.class_outputs:
        now, there, first = (
            network.class_rows(name, state[name], CLASSES)[own.first_class :]
            for network, state in ((own, own.state_dict()), (theirs, theirs.state_dict()), (own, before))
        )
        assert torch.equal(now[0], there[2]) and torch.equal(now[1], first[1]) and torch.equal(now[2], there[0]), name
        if own.first_class:
            background = own.class_rows(name, own.state_dict()[name], CLASSES)[0]
            assert torch.equal(background, theirs.class_rows(name, theirs.state_dict()[name], CLASSES)[0])


def loaded(model: Any, tensors: dict[str, torch.Tensor], folder: Path) -> set[str]:
    """Names of what a model takes from a file."""
    network = build(config_for(TorchvisionDetector(model=model)))
    torch.save(tensors, folder / "weights.pth")
    return set(load_pretrained(network, str(folder / "weights.pth"), lambda line: None).loaded)


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    "model",
    ["fasterrcnn_resnet50_fpn_v2", "fasterrcnn_mobilenet_v3_large_fpn", "retinanet_resnet50_fpn_v2", "fcos_resnet50_fpn"],
)
def test_a_file_of_torchvisions_detector(model: str, tmp_path: Path) -> None:
    theirs = getattr(detection, model)(weights=None, weights_backbone=None).state_dict()
    taken = loaded(model, theirs, tmp_path)
    heads = ("cls_score", "bbox_pred", "cls_logits")
    left = {name for name in theirs if f"model.{name}" not in taken}
    assert all(any(head in name for head in heads) for name in left)


def test_a_file_of_a_network_with_frozen_norms_needs_one_like_it(tmp_path: Path) -> None:
    model, name = "fasterrcnn_mobilenet_v3_large_fpn", "FasterRCNN_MobileNet_V3_Large_FPN_Weights.COCO_V1"
    frozen = build(config_for(TorchvisionDetector(model=model, built_with=name)))
    torch.save({"model": frozen.state_dict()}, tmp_path / "last.pt")
    trained = build(config_for(TorchvisionDetector(model=model)))
    with pytest.raises(InputError, match="is of a network with frozen batch norm"):
        load_pretrained(trained, str(tmp_path / "last.pt"), lambda line: None)
    assert not load_pretrained(frozen, str(tmp_path / "last.pt"), lambda line: None).missing


def test_files_of_older_versions_have_other_names(tmp_path: Path) -> None:
    """The first RPN and pyramid of Faster R-CNN, as in the file of COCO_V1."""
    theirs = detection.fasterrcnn_mobilenet_v3_large_fpn(weights=None, weights_backbone=None).state_dict()
    names = {"rpn.head.conv.0.0.": "rpn.head.conv.", "_blocks.0.0.": "_blocks.0.", "_blocks.1.0.": "_blocks.1."}
    former = {reduce(lambda text, pair: text.replace(*pair), names.items(), name): value for name, value in theirs.items()}
    assert former.keys() != theirs.keys()
    taken = loaded("fasterrcnn_mobilenet_v3_large_fpn", former, tmp_path)
    for name in ("rpn.head.conv.0.0.weight", "backbone.fpn.inner_blocks.0.0.weight", "backbone.fpn.layer_blocks.1.0.bias"):
        assert f"model.{name}" in taken


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("model", "backbone", "part"),
    [
        ("fasterrcnn_resnet50_fpn", resnet50, "model.backbone.body."),
        ("fasterrcnn_mobilenet_v3_large_fpn", mobilenet_v3_large, "model.backbone.body."),
        ("ssd300_vgg16", vgg16, "model.backbone."),
    ],
)
def test_a_file_of_a_classification_network(model: str, backbone: Any, part: str, tmp_path: Path) -> None:
    theirs = backbone(weights=None).state_dict()
    taken = [name for name in loaded(model, theirs, tmp_path) if name.startswith(part) and "num_batches" not in name]
    assert len(taken) == len([name for name in theirs if not name.startswith(("fc.", "classifier.")) and "num_batches" not in name])
