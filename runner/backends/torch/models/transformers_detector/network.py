"""A detector of the library transformers as a `Detector`. Importing this module imports the library, which opens no network."""

from __future__ import annotations

import importlib
import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read when the library is imported; nothing here asks for a file, so this is a second lock
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import WeightRenaming, apply_renamings
from transformers.modeling_utils import PreTrainedModel
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.utils import logging as library_logging

from runner.backends.torch.batch import Batch
from runner.backends.torch.models.detector import Detections, Detector, ParameterSetting
from runner.backends.torch.models.transformers_detector.checks import image_stride, location_count, padded
from runner.backends.torch.models.transformers_detector.detections import detect
from runner.backends.torch.models.transformers_detector.families import FAMILIES, Family
from runner.backends.torch.models.transformers_detector.keys import PLACE, all_keys, given_keys
from runner.backends.torch.models.transformers_detector.losses import in_float32, weighted_terms
from runner.backends.torch.models.transformers_detector.schema import TransformersDetector
from runner.backends.torch.models.transformers_detector.targets import Inputs, inputs_of, labels_of
from runner.backends.torch.schema import TorchConfig
from runner.core.errors import InputError, Problem

_MODELS = "transformers.models"


class TransformersNetwork(Detector):
    """A network of transformers with that library's loss and its choice of detections.

    Args:
        network: at random weights.
        settings: what was asked for.
    """

    def __init__(self, network: PreTrainedModel, settings: TransformersDetector) -> None:
        super().__init__()
        self.network = network
        self.settings = settings
        self.family = FAMILIES[settings.model]
        network.loss_function = in_float32(network.loss_function)
        self.class_outputs = tuple(_class_outputs(network.config, self.family))
        self._keys = all_keys(settings)
        self._renamings = [one for one in get_model_conversion_mapping(network) if isinstance(one, WeightRenaming)]

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Compute ``loss`` and the terms it is the sum of, see docs/transformers.md."""
        inputs = self._inputs(batch)
        outputs = self._run(inputs, labels_of(batch, inputs.extents))
        losses = weighted_terms(outputs.loss_dict, self.network.config, is_weighted=self.family.is_pyramid)
        embedding = getattr(self.network.model, "denoising_class_embed", None)
        if embedding is not None and not any(len(classes) for classes in batch.classes):
            losses["loss"] = losses["loss"] + 0 * embedding.weight.sum()  # it is not used, and still gets a gradient
        return losses

    def detect(self, batch: Batch) -> list[Detections]:
        """Find the objects on each image, see `Detector.predict`."""
        inputs = self._inputs(batch)
        outputs = self._run(inputs)
        sides = inputs.extents / batch.scales.to(inputs.extents).flip(1)
        return detect(outputs.logits, outputs.pred_boxes, sides, scores=self.family.scores, limit=self.family.detections)

    def parameter_settings(self) -> dict[str, ParameterSetting]:
        """Give every parameter, by name, its learning-rate factor and weight decay."""
        found = {}
        backbone = f"network.{self.family.backbone}"
        norms = {name for name, layer in self.named_modules() if _is_norm(layer)}
        for name, _ in self.named_parameters():
            layer, _, kind = name.rpartition(".")
            decays = self.settings.norm_decay if layer in norms else kind != "bias" or self.settings.bias_decay
            factor = self.settings.backbone_lr_mult if name.startswith(backbone) else 1.0
            found[name] = ParameterSetting(lr_mult=factor, decay=decays, decoupled_decay=decays)
        return found

    def own_name(self, name: str) -> str:
        """Return the name for a tensor of a file of the library's. Published files have the names of older versions."""
        return f"network.{apply_renamings(name, self._renamings)}"

    def class_rows(self, name: str, tensor: Tensor, classes: int) -> Tensor | None:
        """View the rows of the classes: softmax has "no object" after them."""
        expected = classes + (self.family.scores == "softmax")
        return tensor[:classes] if len(tensor) == expected else None

    def _inputs(self, batch: Batch) -> Inputs:
        inputs = inputs_of(batch, stride=image_stride(self._keys), masked=not self.family.is_pyramid)
        sizes = [inputs.images.shape[-2:]] if inputs.mask is None else {(height, width) for height, width in batch.sizes.tolist()}
        for height, width in sizes:
            count = location_count(self._keys, height, width)
            if count is not None and count < self._keys["num_queries"]:
                text = f"is {self._keys['num_queries']}, but images of {height} x {width} have {count} locations to choose queries from"
                raise InputError(Problem(f"{text}: give fewer, or larger images", key=f"{PLACE}.num_queries"))
        return inputs

    def _run(self, inputs: Inputs, labels: list[dict[str, Tensor]] | None = None) -> Any:
        masks = {} if inputs.mask is None else {"pixel_mask": inputs.mask}
        return self.network(pixel_values=inputs.images, labels=labels, **masks)


def _class_outputs(config: Any, family: Family) -> list[str]:
    counts = {"layer": config.decoder_layers, "group": getattr(config, "group_detr", 1)}
    heads = [name.format(**{kind: number for kind in counts}) for name in family.class_outputs for number in range(_repeats(name, counts))]
    return [f"network.{head}.{kind}" for head in heads for kind in ("weight", "bias")]


def _repeats(name: str, counts: Mapping[str, int]) -> int:
    return next((count for kind, count in counts.items() if f"{{{kind}}}" in name), 1)


def _is_norm(layer: nn.Module) -> bool:
    return "Norm" in type(layer).__name__ and not list(layer.children())


def build(config: TorchConfig) -> TransformersNetwork:
    """Build the detector of a config without problems, at random weights.

    Raises:
        InputError: the library refuses the config, or cannot compute with it.
    """
    settings: TransformersDetector = config.architecture
    family = FAMILIES[settings.model]
    keys = given_keys(settings)
    network = _attempt(settings.model, lambda: _build(family, keys, config.num_classes))
    model = TransformersNetwork(network, settings)
    _attempt(settings.model, lambda: _try_out(model))
    return model


def _build(family: Family, keys: dict[str, Any], num_classes: int) -> PreTrainedModel:
    library_logging.set_verbosity_error()  # type: ignore[no-untyped-call] # the library's notes on its defaults
    package = f"{_MODELS}.{family.config.folder}"
    config_class = getattr(importlib.import_module(f"{package}.{family.config.module}"), family.config.name)
    network_class = getattr(importlib.import_module(f"{package}.modeling_{family.config.folder}"), family.network)
    if backbone := keys.get("backbone_config"):
        backbone = dict(backbone)
        keys = {**keys, "backbone_config": CONFIG_MAPPING[backbone.pop("model_type")](**backbone)}
    if hasattr(config_class, "disable_custom_kernels"):
        keys = {**keys, "disable_custom_kernels": True}
    network: PreTrainedModel = network_class(config_class(num_labels=num_classes, **keys))
    for name in family.never_used:
        if name in dict(network.named_parameters()):
            network.get_parameter(name).requires_grad_(False)
    return network


def _try_out(model: TransformersNetwork) -> None:
    """Compute the loss of one small image, without changing the model or drawing a random number."""
    keys, stride = model._keys, image_stride(model._keys)
    sides = range(padded(64, stride), 2**16, stride)
    side = next(side for side in sides if (count := location_count(keys, side, side)) is None or count >= keys["num_queries"])
    label = {"class_labels": torch.zeros(1, dtype=torch.int64), "boxes": torch.full((1, 4), 0.5)}
    mask = None if model.family.is_pyramid else torch.ones(1, side, side, dtype=torch.int64)
    training = model.training
    model.eval()
    with torch.no_grad():
        model._run(Inputs(torch.zeros(1, 3, side, side), mask, torch.full((1, 2), float(side))), [label])
    model.train(training)


def _attempt(name: str, action: Callable[[], Any]) -> Any:
    try:
        return action()
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # the library raises nearly anything on values that do not fit together
        text = " ".join(str(error).split())[:300]
        text = f"transformers cannot build {name} from these values: {type(error).__name__}: {text}"
        raise InputError(Problem(text, key=PLACE)) from error
