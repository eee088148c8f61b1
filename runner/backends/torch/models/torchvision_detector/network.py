"""torchvision's detectors behind the interface of ours: the reader's batches in, losses and detections out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList

from runner.backends.torch.batch import Batch
from runner.backends.torch.models.detector import Detections, Detector, ParameterSetting, settings
from runner.backends.torch.models.torchvision_detector.build import build_torchvision
from runner.backends.torch.models.torchvision_detector.facts import MODEL_FACTS
from runner.backends.torch.models.torchvision_detector.weight_names import RENAMINGS
from runner.backends.torch.schema import TorchConfig
from runner.core.errors import InputError
from runner.weights.names import without_pin

_GIOU_LOSSES = ("FCOS", "retinanet_resnet50_fpn_v2")
"""Classes and functions whose box loss is a 1 - GIoU."""

_CLASS_OUTPUT = re.compile(r"box_predictor\.|classification_head\.(cls_logits|module_list\.\d+(\.1)?)\.(weight|bias)$")


class PaddedImages(ImageList):  # type: ignore[misc]  # torchvision has no types
    """Images of a batch, Float[B, 3, H, W], with their sizes before padding. Iterates over the padded ones, as torchvision's models do."""

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.tensors)


class ReadImages(nn.Module):
    """Stand-in for GeneralizedRCNNTransform: the reader has resized, normalised and padded already."""

    def forward(self, images: PaddedImages, targets: Any = None) -> tuple[PaddedImages, Any]:
        """Return both as they are."""
        return images, targets

    def postprocess(self, result: Any, image_shapes: Any, original_image_sizes: Any) -> Any:
        """Return `result`, whose boxes are in pixels of the resized images."""
        return result


class TorchvisionNetwork(Detector):
    """A detector of torchvision.

    Its features and its heads' outputs are float32 also under autocast: torchvision makes anchors and decodes boxes in their type, and
    bfloat16 tells only every eighth pixel beyond 1,024 apart.

    Args:
        model: of torchvision.models.detection.
        num_classes: classes, without background.
        has_background: its class 0 is the background.
        loss_names: names of its losses here, where they differ from ``loss_`` and torchvision's.
        norm_decay: weight decay applies to norm layers too.
    """

    renamings = RENAMINGS

    def __init__(
        self, model: nn.Module, num_classes: int, *, has_background: bool, loss_names: Mapping[str, str], norm_decay: bool
    ) -> None:
        super().__init__()
        model.transform = ReadImages()
        for part in ("backbone", "rpn.head", "roi_heads.box_predictor", "head"):
            if part.partition(".")[0] in dict(model.named_children()):
                model.get_submodule(part).register_forward_hook(_in_float32)
        self.model = model
        self.num_classes = num_classes
        self.first_class = 1 if has_background else 0
        self.loss_names = dict(loss_names)
        self.norm_decay = norm_decay
        self.class_outputs = tuple(name for name, _ in self.named_parameters() if _CLASS_OUTPUT.search(name))

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Compute ``loss`` and torchvision's terms that it is the sum of: ``loss_classifier``, ``loss_box_reg``, …"""
        losses: dict[str, Tensor] = self.model(_images(batch), self._targets(batch))
        named = {self.loss_names.get(name, f"loss_{name.removeprefix('loss_')}"): value for name, value in losses.items()}
        return {"loss": torch.stack(list(named.values())).sum(), **named}

    def detect(self, batch: Batch) -> list[Detections]:
        """Find the objects on each image, see `Detector.predict`. As torchvision does, boxes are clipped to the image."""
        found = self.model(_images(batch))
        factors = batch.scales.float().flip(1).repeat(1, 2)
        return [
            Detections((one["boxes"].float() / factor).cpu(), one["scores"].float().cpu(), (one["labels"] - self.first_class).cpu())
            for one, factor in zip(found, factors, strict=True)
        ]

    def check_weights(self, tensors: Mapping[str, Tensor]) -> None:
        """Refuse a detector's file that was made with frozen batch norm where this network's is trained (see `Detector.check_weights`)."""
        own = [name for name in self.state_dict() if name.endswith("num_batches_tracked")]
        norms = [name for name in tensors if ".body." in name and name.endswith("running_mean")]
        frozen = norms and not any(name.endswith("num_batches_tracked") for name in tensors)
        if frozen and any(".body." in name for name in own):
            raise InputError(
                "is of a network with frozen batch norm, as torchvision builds it for weights: name these in TorchvisionDetector.built_with"
                " (those that pretrain_weights named where the file comes from)"
            )

    def class_rows(self, name: str, tensor: Tensor, classes: int) -> Tensor | None:
        """View a class output with its rows first, see `Detector.class_rows`. torchvision has the anchors of a location before the classes,
        and the sides of a class's box after them."""
        sides = 4 if "bbox_pred" in name else 1
        anchors = len(self.get_parameter(name)) // ((self.first_class + self.num_classes) * sides)
        rows = self.first_class + classes
        return tensor.view(anchors, rows, sides, *tensor.shape[1:]).movedim(1, 0) if len(tensor) == anchors * rows * sides else None

    def parameter_settings(self) -> dict[str, ParameterSetting]:
        """Give every parameter the optimiser's learning rate and weight decay."""
        return settings(self, norm_decay=self.norm_decay)

    def _targets(self, batch: Batch) -> list[dict[str, Tensor]]:
        """Return the objects as torchvision takes them; it refuses boxes without area, which resizing may leave."""
        targets = []
        for boxes, classes in zip(batch.boxes, batch.classes, strict=True):
            keep = (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
            targets.append({"boxes": boxes[keep].float(), "labels": classes[keep] + self.first_class})
        return targets


def _images(batch: Batch) -> PaddedImages:
    return PaddedImages(batch.images, [(int(height), int(width)) for height, width in batch.sizes.tolist()])


def _in_float32(module: nn.Module, inputs: Any, output: Any) -> Any:
    """Convert what a module returns, a tensor, or tensors in lists and mappings, to float32."""
    if isinstance(output, Tensor):
        return output.float()
    if isinstance(output, Mapping):
        return type(output)((key, _in_float32(module, inputs, value)) for key, value in output.items())  # type: ignore[call-arg]
    return type(output)(_in_float32(module, inputs, value) for value in output)


def build(config: TorchConfig) -> TorchvisionNetwork:
    """Build the detector of a config without problems, at random weights."""
    detector = config.architecture
    facts = MODEL_FACTS[detector.model]
    has_giou = facts.kind in _GIOU_LOSSES or detector.model in _GIOU_LOSSES
    return TorchvisionNetwork(
        build_torchvision(detector, config.num_classes, detector.built_with or without_pin(config.pretrain_weights or "")),
        config.num_classes,
        has_background=facts.has_background,
        loss_names={"bbox_regression": "loss_box"} if has_giou else {},
        norm_decay=detector.norm_decay,
    )
