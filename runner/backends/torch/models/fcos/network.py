"""The whole FCOS detector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from runner.backends.torch.batch import Batch
from runner.backends.torch.models.detector import Detections, Detector, ParameterSetting, prefixed
from runner.backends.torch.models.fcos import detections
from runner.backends.torch.models.fcos.head import HeadOutputs, PredictionHead
from runner.backends.torch.models.fcos.locations import Locations, locate
from runner.backends.torch.models.fcos.loss import fcos_loss
from runner.backends.torch.models.fcos.schema import FCOS, Gt2FCOSTarget
from runner.backends.torch.models.fcos.targets import assign
from runner.backends.torch.models.fcos.weights import paddle_names
from runner.backends.torch.models.layers.backbones import build_backbone
from runner.backends.torch.models.layers.nms import suppress_traced
from runner.backends.torch.models.layers.pyramid import FeaturePyramid
from runner.backends.torch.models.layers.schema import ResNet
from runner.backends.torch.models.layers.weight_names import TIMM, TORCHVISION, other_network, renamed
from runner.backends.torch.schema import TorchConfig
from runner.core.errors import InputError


class FCOSDetector(Detector):
    """FCOS (arXiv 1904.01355) as PaddleDetection 2.6 defines it.

    Args:
        config: backbone, neck and head; must fit together (`runner.backends.torch.models.fcos.checks`).
        targets: how locations are matched to objects.
    """

    class_outputs = ("fcos_head.fcos_head_cls.weight", "fcos_head.fcos_head_cls.bias")
    renamings = (*TORCHVISION, TIMM)

    def __init__(self, config: FCOS, targets: Gt2FCOSTarget) -> None:
        super().__init__()
        self.config = config
        self.targets = targets
        self.backbone = build_backbone(config.backbone)
        self.neck = FeaturePyramid(config.neck, self.backbone.channels)
        self.fcos_head = PredictionHead(config.fcos_head)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Compute ``loss`` (what to minimise), and the ``loss_cls``, ``loss_box``, ``loss_centerness`` it is the sum of: scalars."""
        outputs, locations = self.run_head(batch.images)
        targets = assign(locations, batch.boxes, batch.classes, self.targets)
        head = self.config.fcos_head
        return fcos_loss(outputs, targets, head.fcos_loss, normalised=head.norm_reg_targets)

    def detect(self, batch: Batch) -> list[Detections]:
        """Find the objects on each image, see `Detector.predict`."""
        outputs, locations = self.run_head(batch.images)
        return detections.detect(outputs, locations, batch.scales, self.config.fcos_head)

    def paddle_names(self) -> Mapping[str, str]:
        """Map the names of its tensors to PaddleDetection's."""
        return paddle_names(self.state_dict(), self.config.fcos_head.fpn_stride)

    def layers(self) -> Sequence[tuple[str, ...]]:
        """List the backbone's stem and stages."""
        return [tuple(f"backbone.{name}." for name in names) for names in self.backbone.layers()]

    def checkpoint_gradients(self) -> None:
        """Have the backbone's stages computed twice."""
        self.backbone.recompute = True

    def exportable(self) -> nn.Module:
        """Return the network with its suppression, see `Detector.exportable`."""
        return ExportedFCOS(self)

    def from_paddle(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Rename the tensors of an FCOS of PaddleDetection's, or of what another network there shares with it."""
        named = renamed(tensors, self.paddle_names())
        why = other_network(named)
        if why is not None and isinstance(self.config.backbone, ResNet):
            raise InputError(f"is of {why}; its parts that fit would not work together")
        return named

    def parameter_settings(self) -> dict[str, ParameterSetting]:
        """Give every parameter, by name, PaddleDetection's learning-rate factor and weight decay."""
        return (
            prefixed("backbone", self.backbone.parameter_settings())
            | prefixed("neck", self.neck.parameter_settings())
            | prefixed("fcos_head", self.fcos_head.parameter_settings())
        )

    def run_head(self, images: Tensor) -> tuple[HeadOutputs, Locations]:
        """Compute Float[B, 3, H, W] → the outputs at each location, and the locations."""
        outputs: HeadOutputs = self.fcos_head(self.neck(self.backbone(images)))
        head = self.config.fcos_head
        return outputs, locate(outputs.shapes, head.fpn_stride, head.num_shift, images.device)


class ExportedFCOS(nn.Module):
    """FCOS from one prepared image to its detections, see `Detector.exportable`."""

    def __init__(self, detector: FCOSDetector) -> None:
        super().__init__()
        self.detector = detector
        self.eval()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute Float[1, 3, H, W] → boxes Float[N, 4], scores Float[N], classes Int64[N]."""
        head = self.detector.config.fcos_head
        boxes, scores = detections.candidates(*self.detector.run_head(images), head)
        return suppress_traced(boxes[0], scores[0], head.nms)


def build(config: TorchConfig) -> FCOSDetector:
    """Build the detector of a config without problems, at random weights."""
    targets = next(transform for transform in config.train_reader.batch_transforms if isinstance(transform, Gt2FCOSTarget))
    model = FCOSDetector(config.architecture, targets)
    if config.initial_distance:
        model.fcos_head.start_at(config.initial_distance)
    return model
