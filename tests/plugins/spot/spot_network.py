"""The network of `spot`."""

from __future__ import annotations

from typing import Any

import torch
from spot import STRIDE, SpotTarget
from torch import Tensor, nn
from torch.nn import functional as F

from runner.backends.torch.batch import Batch
from runner.backends.torch.models.detector import Detections, Detector, ParameterSetting, prefixed, settings
from runner.backends.torch.models.layers.backbones import build_backbone
from runner.backends.torch.models.layers.weight_names import TORCHVISION


class SpotDetector(Detector):
    """Class logits, and the box's sides in strides, per cell."""

    class_outputs = ("classify.weight", "classify.bias")
    renamings = TORCHVISION

    def __init__(self, config: Any, target: SpotTarget) -> None:
        super().__init__()
        self.config, self.target = config, target
        self.backbone = build_backbone(config.backbone)
        (channels,) = self.backbone.channels
        self.classify = nn.Conv2d(channels, config.head.num_classes, 1)
        self.measure = nn.Conv2d(channels, 4, 1)
        nn.init.constant_(self.classify.bias, -2.0)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Compute ``loss_cls`` and ``loss_size``."""
        logits, sides, centres = self._cells(batch.images)
        cls, size = [], []
        for image, (boxes, classes) in enumerate(zip(batch.boxes, batch.classes, strict=True)):
            wanted = torch.zeros_like(logits[image])
            cells = torch.cdist((boxes[:, :2] + boxes[:, 2:]) / 2, centres).argmin(dim=1)
            wanted[cells, classes] = 1.0
            cls.append(F.binary_cross_entropy_with_logits(logits[image], wanted))
            given = torch.cat((centres[cells] - boxes[:, :2], boxes[:, 2:] - centres[cells]), dim=1) / STRIDE
            size.append((sides[image, cells] - given).abs().sum() / max(1, len(boxes)))
        loss_cls, loss_size = torch.stack(cls).mean(), torch.stack(size).mean() * self.target.size_weight
        return {"loss": loss_cls + loss_size, "loss_cls": loss_cls, "loss_size": loss_size}

    def detect(self, batch: Batch) -> list[Detections]:
        """Take the cells with the best scores."""
        logits, sides, centres = self._cells(batch.images)
        found = []
        for image, scale in enumerate(batch.scales):
            scores, classes = logits[image].sigmoid().max(dim=1)
            best = scores.argsort(descending=True, stable=True)[: self.config.head.keep_top_k]
            reach = sides[image, best].relu() * STRIDE
            boxes = torch.cat((centres[best] - reach[:, :2], centres[best] + reach[:, 2:]), dim=1) / scale.flip(0).repeat(2)
            found.append(Detections(boxes.cpu(), scores[best].cpu(), classes[best].cpu()))
        return found

    def parameter_settings(self) -> dict[str, ParameterSetting]:
        """The head learns twice as fast."""
        head = prefixed("classify", settings(self.classify, lr_mult=2.0)) | prefixed("measure", settings(self.measure, lr_mult=2.0))
        return prefixed("backbone", self.backbone.parameter_settings()) | head

    def _cells(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Float[B, L, C] logits, Float[B, L, 4] sides, Float[L, 2] centres in pixels."""
        (features,) = self.backbone(images)
        height, width = features.shape[2:]
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        centres = (torch.stack((x, y), dim=2).reshape(-1, 2).to(images.device) + 0.5) * STRIDE
        logits, sides = (layer(features).flatten(2).transpose(1, 2).float() for layer in (self.classify, self.measure))
        return logits, sides, centres


def build(config: Any) -> SpotDetector:
    """Build the network."""
    targets = [one for one in config.train_reader.batch_transforms if isinstance(one, SpotTarget)]
    return SpotDetector(config.architecture, targets[0] if targets else SpotTarget())
