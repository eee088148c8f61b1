"""The interface of a network to the training loop: losses in, detections out, and how each parameter is trained."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from runner.backends.torch.batch import Batch
from runner.core.errors import InputError


@dataclass(frozen=True, slots=True)
class ParameterSetting:
    """Setting of the optimiser for a parameter.

    Args:
        lr_mult: factor of the learning rate.
        decay: True, the optimiser's regulariser applies; False, none does; a number, L2 with this coefficient does
            instead.
        decoupled_decay: AdamW's own decay, which is not a regulariser, applies. PaddleDetection's reaches every parameter.
    """

    lr_mult: float = 1.0
    decay: bool | float = True
    decoupled_decay: bool = True


@dataclass(frozen=True, slots=True)
class Detections:
    """Objects found on an image, highest score first, on the CPU.

    Args:
        boxes: Float[N, 4], xyxy in pixels of the stored image. As in PaddleDetection they may reach beyond the image.
        scores: Float[N], 0 to 1.
        classes: Int64[N], 0-based.
    """

    boxes: Tensor
    scores: Tensor
    classes: Tensor


class Detector(nn.Module, ABC):
    """A network that is trained to find objects. Its state dict is what checkpoints keep, so names in it are for good."""

    class_outputs: tuple[str, ...] = ()
    """Names of the tensors whose first axis is the classes (see `class_rows`). Where weights say which classes they are for, rows go by the
    classes' names."""

    first_class: int = 0
    """Number of rows before those of the classes, in each of `class_outputs`: 1 with a background."""

    renamings: ClassVar[tuple[tuple[tuple[str, str], ...], ...]] = ()
    """Renamings of the beginnings of names in other programs' files, for each kind of file: (theirs, this network's). Those
    under which most of a file fits are taken."""

    @abstractmethod
    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Compute the losses of a batch by name, scalars: ``loss``, which is minimised, and the ``loss_…`` that it is the sum of.

        A term named ``loss_box`` is a 1 − IoU, by which `runner.training.learning` finds boxes that are not learned.
        """

    @abstractmethod
    def detect(self, batch: Batch) -> list[Detections]:
        """Find the objects on each image of `batch`; called in evaluation mode, without gradients. See `predict`."""

    @abstractmethod
    def parameter_settings(self) -> dict[str, ParameterSetting]:
        """Give every parameter's setting by its name, those of frozen ones (requires_grad False) too."""

    def paddle_names(self) -> Mapping[str, str]:
        """Map the names of parameters to PaddleDetection's, where it has the parameter: `param_groups` of a config may use either."""
        return {}

    def layers(self) -> Sequence[tuple[str, ...]]:
        """List the beginnings of the names of each layer's parameters, from the images on, without what comes after the last one. Called
        only where the architecture names OptimizerBuilder.layer_decay in `DetectorModel.honoured_keys`."""
        raise NotImplementedError

    def predict(self, batch: Batch) -> list[Detections]:
        """Find the objects on each image of `batch`, in pixels of the stored images, whatever the mode before; it is the same after."""
        training = self.training
        self.eval()
        try:
            with torch.no_grad():
                return self.detect(batch)
        finally:
            self.train(training)

    def checkpoint_gradients(self) -> None:
        """Have training keep less and compute parts of the network twice instead (`gradient_checkpointing`), with the same numbers. Called
        only where the architecture names that key in `DetectorModel.honoured_keys`."""
        raise NotImplementedError

    def own_name(self, name: str) -> str:
        """Return this network's name for a tensor of a file that the library which the network comes from has written."""
        return name

    def class_rows(self, name: str, tensor: Tensor, classes: int) -> Tensor | None:
        """View a tensor of the name of one of `class_outputs`, of this network or of another one with so many classes, with its
        `first_class` + `classes` rows first; None if it has another shape. What is written to the view is written to the tensor."""
        return tensor if len(tensor) == self.first_class + classes else None

    def check_weights(self, tensors: Mapping[str, Tensor]) -> None:
        """Refuse the tensors of a file that is not PaddleDetection's, by their names there, if they would fit and mean something else.

        Raises:
            InputError: its text follows the name of the file.
        """

    def exportable(self) -> nn.Module:
        """Return a network for `runner export`, in evaluation mode, with this one's weights.

        It takes Float[1, 3, H, W], as the reader makes it, and returns boxes, Float[N, 4], xyxy in pixels of that input, scores, Float[N],
        highest first, and classes, Int64[N], after suppression. Its forward is traced: only operators of torch and torchvision, no
        branches that depend on values.

        Raises:
            InputError: it cannot be exported. Its text follows the name of the architecture.
        """
        raise InputError("cannot be exported: its network does not say how (Detector.exportable)")

    def from_paddle(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Rename the tensors of a PaddleDetection file to this network's names; what the network has no place for keeps its own.

        Raises:
            InputError: they are of a network that only looks alike, or PaddleDetection has none like this. Its text follows the name of
                the file.
        """
        raise InputError("is PaddleDetection's, whose weights do not fit this architecture: give a .pt or .pth file")


def settings(
    module: nn.Module, *, lr_mult: float = 1.0, decay: bool | float = True, norm_decay: bool | float = False
) -> dict[str, ParameterSetting]:
    """Make a setting for every parameter of `module`, by name: with `norm_decay` for the scale and shift of norm layers, else `decay`."""
    found = {}
    for path, layer in module.named_modules():
        is_norm = isinstance(layer, nn.BatchNorm2d | nn.GroupNorm)
        setting = ParameterSetting(lr_mult, (norm_decay or False) if is_norm else decay)
        for name, _ in layer.named_parameters(recurse=False):
            found[f"{path}.{name}" if path else name] = setting
    return found


def prefixed(prefix: str, found: Mapping[str, ParameterSetting]) -> dict[str, ParameterSetting]:
    """Put the settings' names under `prefix.`."""
    return {f"{prefix}.{name}": setting for name, setting in found.items()}
