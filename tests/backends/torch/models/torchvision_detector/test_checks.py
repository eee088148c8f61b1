"""Mistakes in a config of torchvision's detectors are found before anything is built."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.backends.torch import schema
from runner.backends.torch.models.layers import timm_features
from runner.backends.torch.models.layers.schema import Timm
from runner.backends.torch.models.torchvision_detector import checks
from runner.backends.torch.models.torchvision_detector.schema import Anchors, TorchvisionDetector
from runner.backends.torch.transforms import schema as transforms
from runner.testing.models import CLASSES, config_for

RESNET = Timm(name="resnet18", out_indices=(1, 2, 3))
V2 = "fasterrcnn_resnet50_fpn_v2"
OF_COCO = "FasterRCNN_ResNet50_FPN_V2_Weights.COCO_V1"
LITE = "ssdlite320_mobilenet_v3_large"


def problems(detector: TorchvisionDetector, **changes: Any) -> list[str]:
    return [str(problem) for problem in checks.check_torchvision(config_for(detector, **changes))]


def eval_reader(size: tuple[int, int], *, keep_ratio: bool = False, pad: int = 0) -> schema.EvalReader:
    steps = (transforms.Decode(), transforms.Resize(target_size=size, keep_ratio=keep_ratio), transforms.Permute())
    return schema.EvalReader(sample_transforms=steps, batch_transforms=(transforms.PadBatch(pad_to_stride=pad),), num_classes=CLASSES)


def train_reader(*args: Any, **changes: Any) -> schema.TrainReader:
    reader = eval_reader(*args, **changes)
    return schema.TrainReader(sample_transforms=reader.sample_transforms, batch_transforms=reader.batch_transforms, num_classes=CLASSES)


@pytest.mark.parametrize(
    "detector",
    [
        TorchvisionDetector(model=V2, arguments={"box_detections_per_img": 50}),
        TorchvisionDetector(model=V2, anchors=Anchors(sizes=((8,), (16,), (32,), (64,), (128,)))),
        TorchvisionDetector(model="retinanet_resnet50_fpn", prior_probability=0.05),
        TorchvisionDetector(model="FasterRCNN", backbone=RESNET, out_channels=64, anchors=Anchors(sizes=((8, 12),) * 4)),
        TorchvisionDetector(model="RetinaNet", backbone=RESNET),
        TorchvisionDetector(model="FCOS", backbone=RESNET, prior_probability=0.1),
    ],
)
def test_what_fits(detector: TorchvisionDetector) -> None:
    assert problems(detector) == []


@pytest.mark.parametrize(
    ("detector", "words"),
    [
        (TorchvisionDetector(model=V2, arguments={"box_detection": 1}), "TorchvisionDetector.box_detection: fasterrcnn"),
        (TorchvisionDetector(model=V2, backbone=RESNET), "has its own backbone: take it out, or give model: FasterRCNN"),
        (TorchvisionDetector(model=V2, out_channels=64), "has its own pyramid"),
        (TorchvisionDetector(model="FasterRCNN"), "TorchvisionDetector.backbone: missing: FasterRCNN is built on a backbone of timm"),
        (TorchvisionDetector(model="FCOS", backbone=RESNET, out_channels=48), "needs a multiple of 32"),
        (TorchvisionDetector(model="FCOS", backbone=RESNET, anchors=Anchors(sizes=((8,),))), "FCOS has no anchors"),
        (TorchvisionDetector(model=V2, anchors=Anchors(sizes=((8,),) * 4)), "has 4 levels; fasterrcnn_resnet50_fpn_v2 has 5"),
        (TorchvisionDetector(model=V2, anchors=Anchors(sizes=((8, 9),) * 5)), "6 anchors per location; the head of"),
        (TorchvisionDetector(model="FasterRCNN", backbone=RESNET, anchors=Anchors(sizes=((8,),) * 3)), "has 3 levels; FasterRCNN has 4"),
        (TorchvisionDetector(model="RetinaNet", backbone=RESNET, anchors=Anchors(sizes=((8,),) * 4 + ((8, 9),))), "the same number"),
        (TorchvisionDetector(model=V2, anchors=Anchors(scales=(0.1,) * 7)), "is for SSD"),
        (TorchvisionDetector(model=V2, prior_probability=0.1), "has no such prior"),
        (TorchvisionDetector(model="retinanet_resnet50_fpn", prior_probability=1), "must be below 1"),
        (TorchvisionDetector(model=V2, arguments={"rpn_bg_iou_thresh": 0.8}), "is 0.8, above rpn_fg_iou_thresh 0.7"),
        (TorchvisionDetector(model=V2, arguments={"trainable_backbone_layers": 3}), "has no effect without weights of torchvision"),
        (TorchvisionDetector(model="FasterRCNN", backbone=Timm(name="resnet19")), "Timm.name: timm"),
        (TorchvisionDetector(model="FasterRCNN", backbone=Timm(name="resnet18.a1_in1k")), "nothing is downloaded: give resnet18"),
        (TorchvisionDetector(model="FasterRCNN", backbone=Timm(name="hf-hub:timm/resnet18")), "has no network 'hf-hub:timm/resnet18'"),
        (TorchvisionDetector(model="FasterRCNN", backbone=replace(RESNET, out_indices=(1, 9))), "Timm.out_indices: is [1, 9]: resnet18"),
        (TorchvisionDetector(model="FasterRCNN", backbone=replace(RESNET, out_indices=(1, 3))), "features of stride [4, 16]"),
    ],
)
def test_what_does_not_fit(detector: TorchvisionDetector, words: str) -> None:
    (found,) = problems(detector)
    assert words in found


@pytest.mark.parametrize(
    ("detector", "weights", "words"),
    [
        (TorchvisionDetector(model=V2), "FasterRCNN_ResNet50_FPN_V2_Weights.COCO_V1", ""),
        (TorchvisionDetector(model=V2, arguments={"trainable_backbone_layers": 5}), "ResNet50_Weights.IMAGENET1K_V2", ""),
        (TorchvisionDetector(model=V2, arguments={"trainable_backbone_layers": 6}), "ResNet50_Weights.IMAGENET1K_V2", "has 5 such layers"),
        (
            TorchvisionDetector(model=V2),
            "ResNet18_Weights.IMAGENET1K_V1",
            "FasterRCNN_ResNet50_FPN_V2_Weights or ResNet50",
        ),
        (TorchvisionDetector(model="FCOS", backbone=RESNET), "ResNet18_Weights.IMAGENET1K_V1", "the backbone is resnet18 of timm"),
        (TorchvisionDetector(model=V2, built_with=OF_COCO, arguments={"trainable_backbone_layers": 5}), "a file.pth", ""),
        (TorchvisionDetector(model=V2, built_with=OF_COCO), "ResNet50_Weights.IMAGENET1K_V2", "but pretrain_weights is ResNet50_Weights"),
        (TorchvisionDetector(model=V2, built_with="ResNet18_Weights.IMAGENET1K_V1"), None, "TorchvisionDetector.built_with: is ResNet18"),
        (TorchvisionDetector(model="FCOS", backbone=RESNET, built_with=OF_COCO), None, "is built in one way"),
    ],
)
def test_weights_by_name(detector: TorchvisionDetector, weights: str | None, words: str) -> None:
    found = problems(detector, pretrain_weights=weights)
    assert len(found) == bool(words) and words in "".join(found)


def test_ssdlite_with_weights_of_its_backbone_is_another_network() -> None:
    readers = {"train_reader": train_reader((320, 320)), "eval_reader": eval_reader((320, 320))}
    name = "MobileNet_V3_Large_Weights.IMAGENET1K_V1"
    (found,) = problems(TorchvisionDetector(model=LITE), pretrain_weights=name, **readers)
    assert "twice the channels" in found
    assert problems(TorchvisionDetector(model=LITE), pretrain_weights="SSDLite320_MobileNet_V3_Large_Weights.COCO_V1", **readers) == []


@pytest.mark.parametrize(
    ("train", "evaluate", "words"),
    [
        (train_reader((320, 320)), eval_reader((320, 320), pad=32), []),
        (train_reader((320, 320), keep_ratio=True), eval_reader((320, 320)), ["TrainReader.sample_transforms: the model is made for"]),
        (train_reader((320, 320)), eval_reader((300, 300)), ["EvalReader.sample_transforms: the model is made for images of 320 x 320"]),
        (train_reader((320, 320), pad=128), eval_reader((320, 320)), ["TrainReader.batch_transforms: PadBatch pads 320 pixels"]),
    ],
)
def test_the_reader_of_a_model_of_one_size(train: schema.TrainReader, evaluate: schema.EvalReader, words: list[str]) -> None:
    found = problems(TorchvisionDetector(model=LITE), train_reader=train, eval_reader=evaluate)
    assert len(found) == len(words) and all(word in text for word, text in zip(words, found, strict=True))


def test_images_are_padded_as_torchvision_pads_them() -> None:
    train = train_reader((64, 96))
    (found,) = problems(TorchvisionDetector(model=V2), train_reader=train, eval_reader=eval_reader((64, 90)))
    assert found.startswith("EvalReader.batch_transforms: torchvision pads images to a multiple of 32")
    assert problems(TorchvisionDetector(model=V2), train_reader=train, eval_reader=eval_reader((64, 90), pad=64)) == []


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "torchvision_folder", lambda: None)
    assert problems(TorchvisionDetector(model=V2)) == []
    (found,) = problems(TorchvisionDetector(model=V2, arguments={"box_detections_per_img": 5}))
    assert "needs the package torchvision" in found and "pip install '.[torch]'" in found

    timm_features._features_of.cache_clear()
    monkeypatch.setattr(timm_features.importlib.util, "find_spec", lambda name: None if name == "timm" else name)
    (found,) = problems(TorchvisionDetector(model="FCOS", backbone=RESNET))
    assert "needs the package timm" in found and "pip install '.[timm]'" in found


def test_an_older_torchvision_without_the_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(checks, "torchvision_folder", lambda: tmp_path)
    (found,) = problems(TorchvisionDetector(model=V2, arguments={"box_detections_per_img": 5}))
    assert "has no fasterrcnn_resnet50_fpn_v2" in found
