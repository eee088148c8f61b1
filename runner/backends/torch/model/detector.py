"""The whole FCOS detector."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from runner.backends.torch.batch import Batch
from runner.backends.torch.model.backbones import build_backbone
from runner.backends.torch.model.head import FCOSHead, HeadOutputs
from runner.backends.torch.model.layers import ParameterSetting, prefixed
from runner.backends.torch.model.locations import Locations, locate
from runner.backends.torch.model.loss import fcos_loss
from runner.backends.torch.model.neck import Neck
from runner.backends.torch.model.postprocess import Detections, detect
from runner.backends.torch.model.targets import assign
from runner.backends.torch.model_check import check_model
from runner.backends.torch.schema import FCOS, Gt2FCOSTarget, TorchConfig
from runner.core.errors import InputError


class FCOSDetector(nn.Module):
    """FCOS (arXiv 1904.01355) as PaddleDetection 2.6 defines it.

    Args:
        config: backbone, neck and head; must fit together (`check_model`).
        targets: how locations are matched to objects.
    """

    def __init__(self, config: FCOS, targets: Gt2FCOSTarget) -> None:
        super().__init__()
        self.config = config
        self.targets = targets
        self.backbone = build_backbone(config.backbone)
        self.neck = Neck(config.neck, self.backbone.channels)
        self.fcos_head = FCOSHead(config.fcos_head)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """``loss`` (what to minimise), and the ``loss_cls``, ``loss_box``, ``loss_centerness`` it is the sum of:
        scalars.
        """
        outputs, locations = self._look(batch.images)
        targets = assign(locations, batch.boxes, batch.classes, self.targets)
        head = self.config.fcos_head
        return fcos_loss(outputs, targets, head.fcos_loss, normalised=head.norm_reg_targets)

    def predict(self, batch: Batch) -> list[Detections]:
        """The detections on each image of `batch`, in pixels of the stored images. Without gradients and in evaluation
        mode, whatever the mode before.
        """
        training = self.training
        self.eval()
        try:
            with torch.no_grad():
                outputs, locations = self._look(batch.images)
                return detect(outputs, locations, batch.scales, self.config.fcos_head)
        finally:
            self.train(training)

    def parameter_settings(self) -> dict[str, ParameterSetting]:
        """For every parameter by name, PaddleDetection's learning-rate factor and weight decay. Frozen ones are there
        too; they have requires_grad False.
        """
        return (
            prefixed("backbone", self.backbone.parameter_settings())
            | prefixed("neck", self.neck.parameter_settings())
            | prefixed("fcos_head", self.fcos_head.parameter_settings())
        )

    def _look(self, images: Tensor) -> tuple[HeadOutputs, Locations]:
        outputs: HeadOutputs = self.fcos_head(self.neck(self.backbone(images)))
        head = self.config.fcos_head
        return outputs, locate(outputs.shapes, head.fpn_stride, head.num_shift, images.device)


def build_model(config: TorchConfig) -> FCOSDetector:
    """The detector that `config` describes, at random weights drawn from torch's global generator, on the CPU.

    Raises:
        InputError: parts of the config do not fit together (`check_model`).
    """
    problems = check_model(config)
    if problems:
        raise InputError(problems)
    targets = next(transform for transform in config.train_reader.batch_transforms if isinstance(transform, Gt2FCOSTarget))
    model = FCOSDetector(config.architecture, targets)
    if config.initial_distance:
        model.fcos_head.start_at(config.initial_distance)
    return model
