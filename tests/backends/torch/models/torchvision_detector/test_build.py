"""The networks equal those that torchvision builds: without weights, and module by module with weights by name."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn
from torchvision.models import detection, get_weight
from torchvision.models._api import WeightsEnum

from runner.backends.torch.models.layers.schema import Timm
from runner.backends.torch.models.torchvision_detector.build import build_torchvision
from runner.backends.torch.models.torchvision_detector.facts import MODEL_FACTS
from runner.backends.torch.models.torchvision_detector.schema import Anchors, TorchvisionDetector
from runner.core.errors import InputError

COCO_CLASSES = 91
V1, V2 = "fasterrcnn_resnet50_fpn", "fasterrcnn_resnet50_fpn_v2"
WEIGHTS = {
    V1: ("FasterRCNN_ResNet50_FPN_Weights.COCO_V1", "ResNet50_Weights.IMAGENET1K_V1"),
    V2: ("FasterRCNN_ResNet50_FPN_V2_Weights.COCO_V1", "ResNet50_Weights.IMAGENET1K_V2"),
    "fasterrcnn_mobilenet_v3_large_fpn": ("FasterRCNN_MobileNet_V3_Large_FPN_Weights.COCO_V1", "MobileNet_V3_Large_Weights.IMAGENET1K_V1"),
    "fasterrcnn_mobilenet_v3_large_320_fpn": ("FasterRCNN_MobileNet_V3_Large_320_FPN_Weights.COCO_V1",),
    "retinanet_resnet50_fpn": ("RetinaNet_ResNet50_FPN_Weights.COCO_V1", "ResNet50_Weights.IMAGENET1K_V1"),
    "retinanet_resnet50_fpn_v2": ("RetinaNet_ResNet50_FPN_V2_Weights.COCO_V1", "ResNet50_Weights.IMAGENET1K_V1"),
    "fcos_resnet50_fpn": ("FCOS_ResNet50_FPN_Weights.COCO_V1", "ResNet50_Weights.IMAGENET1K_V1"),
    "ssd300_vgg16": ("SSD300_VGG16_Weights.COCO_V1", "VGG16_Weights.IMAGENET1K_FEATURES"),
    "ssdlite320_mobilenet_v3_large": ("SSDLite320_MobileNet_V3_Large_Weights.COCO_V1",),
}


@pytest.fixture(autouse=True)
def nothing_is_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights are those that a model has already."""
    monkeypatch.setattr(WeightsEnum, "get_state_dict", lambda self, *args, **kwargs: {})
    monkeypatch.setattr(nn.Module, "load_state_dict", lambda self, state, *args, **kwargs: None)


def of_torchvision(model: str, weights: str | None, **arguments: Any) -> nn.Module:
    """Return what torchvision's function builds, without memory."""
    given: dict[str, Any] = {"weights": None, "weights_backbone": None}
    if weights is not None:
        given["weights_backbone" if "IMAGENET" in weights else "weights"] = get_weight(weights)
    with torch.device("meta"):
        built: nn.Module = getattr(detection, model)(**given, num_classes=COCO_CLASSES, **arguments)
    return built


def ours(model: Any, weights: str | None, **arguments: Any) -> nn.Module:
    classes = COCO_CLASSES - (1 if MODEL_FACTS[model].has_background else 0)
    with torch.device("meta"):
        return build_torchvision(TorchvisionDetector(model=model, arguments=arguments), classes, weights)


def modules(model: nn.Module) -> list[tuple[Any, ...]]:
    """Every module but the transform: name, type, eps and momentum of a norm, its tensors with shapes, and whether they are trained."""
    return [
        (
            name,
            "BatchNorm2d" if type(module).__name__ == "BatchNorm" else type(module).__name__,  # ours, see _let_norms_take_one_cell
            getattr(module, "eps", None),
            getattr(module, "momentum", None),
            [(key, value.shape, value.requires_grad) for key, value in module.named_parameters(recurse=False)],
            [(key, value.shape) for key, value in module.named_buffers(recurse=False)],
        )
        for name, module in model.named_modules()
        if not name.startswith("transform")
    ]


@pytest.mark.parametrize("model", WEIGHTS)
def test_without_weights(model: str) -> None:
    assert modules(ours(model, None)) == modules(of_torchvision(model, None))


@pytest.mark.parametrize(("model", "weights"), [(model, name) for model, names in WEIGHTS.items() for name in names])
def test_with_weights(model: str, weights: str) -> None:
    expected = modules(of_torchvision(model, weights))
    assert modules(ours(model, weights)) == expected
    trained = {flag for *_, tensors, _ in expected for _, _, flag in tensors}
    assert trained == ({True} if model.startswith("ssdlite") else {True, False})


@pytest.mark.exhaustive
@pytest.mark.parametrize("model", [V1, "fasterrcnn_mobilenet_v3_large_fpn", "ssd300_vgg16", "ssdlite320_mobilenet_v3_large"])
def test_every_number_of_trainable_layers(model: str) -> None:
    for layers in range(MODEL_FACTS[model].most_trainable + 1):
        arguments = {"trainable_backbone_layers": layers}
        assert modules(ours(model, WEIGHTS[model][0], **arguments)) == modules(of_torchvision(model, WEIGHTS[model][0], **arguments))


def test_the_weights_of_a_coco_model_set_eps_to_zero() -> None:
    of_coco, of_imagenet = (ours(V1, name) for name in WEIGHTS[V1])
    assert {module.eps for module in of_coco.modules() if type(module).__name__ == "FrozenBatchNorm2d"} == {0.0}
    assert {module.eps for module in of_imagenet.modules() if type(module).__name__ == "FrozenBatchNorm2d"} == {1e-5}


def test_arguments_reach_the_model() -> None:
    model: Any = ours(V2, None, box_detections_per_img=7, rpn_pre_nms_top_n_train=11)
    assert model.roi_heads.detections_per_img == 7 and model.rpn._pre_nms_top_n["training"] == 11


def test_what_torchvision_refuses_is_one_message() -> None:
    with pytest.raises(InputError, match="torchvision's fasterrcnn_resnet50_fpn refuses"):
        build_torchvision(TorchvisionDetector(model=V1, arguments={"rpn_bg_iou_thresh": 0.9}), 3, None)


def test_anchors_and_prior_replace_the_models_own() -> None:
    sizes = ((8.0,), (16.0,), (32.0,), (64.0,), (128.0,))
    with torch.device("meta"):
        model: Any = build_torchvision(TorchvisionDetector(model=V2, anchors=Anchors(sizes=sizes)), 3, None)
    assert model.rpn.anchor_generator.sizes == sizes
    scales = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
    lite: Any = build_torchvision(TorchvisionDetector(model="ssdlite320_mobilenet_v3_large", anchors=Anchors(scales=scales)), 3, None)
    assert lite.anchor_generator.scales == list(scales)
    fcos: Any = build_torchvision(
        TorchvisionDetector(model="FCOS", backbone=Timm(name="resnet10t", out_indices=(2,)), out_channels=32, prior_probability=0.2),
        3,
        None,
    )
    bias = fcos.head.classification_head.cls_logits.bias
    assert torch.allclose(bias, torch.full((3,), math.log(0.2 / 0.8)))
    assert fcos.anchor_generator.sizes == ((8,), (16,), (32,))


def test_on_five_levels_of_timm_the_anchors_are_torchvisions_own() -> None:
    four, three = Timm(name="resnet10t", out_indices=(1, 2, 3, 4)), Timm(name="resnet10t", out_indices=(2, 3, 4))
    faster: Any = build_torchvision(TorchvisionDetector(model="FasterRCNN", backbone=four), 3, None)
    assert faster.rpn.anchor_generator.sizes == detection.faster_rcnn._default_anchorgen().sizes
    assert faster.roi_heads.box_roi_pool.featmap_names == ["0", "1", "2", "3"]
    retina: Any = build_torchvision(TorchvisionDetector(model="RetinaNet", backbone=three), 3, None)
    assert retina.anchor_generator.sizes == detection.retinanet._default_anchorgen().sizes
