"""COCO results of images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from runner.backends.base import ImageRef
from runner.backends.torch import schema
from runner.backends.torch.amp import amp_type
from runner.backends.torch.checkpoint import load_weights, read_newest, read_verified
from runner.backends.torch.device import prepare
from runner.backends.torch.models.base import build_model
from runner.backends.torch.models.detector import Detections, Detector
from runner.backends.torch.reader import inference_batches
from runner.backends.torch.schema import TorchConfig
from runner.core.errors import InputError


class TorchPredictor:
    """The model in a checkpoint, or in the newest one of a run directory; the averaged weights where there are some.

    Raises:
        InputError: see `runner.backends.base.Backend.predictor`.
    """

    def __init__(self, config: TorchConfig, weights: Path, *, reader: str, batch_size: int | None, say: Callable[[str], None]) -> None:
        self._config = config
        section = reader_section(config, reader)
        self._reader = section if batch_size is None else replace(section, batch_size=batch_size)
        self._device = prepare(config)
        model = load_model(config, weights, say).to(self._device)
        self._model = model.to(memory_format=torch.channels_last) if config.channels_last else model

    def predict(self, images: Sequence[ImageRef], progress: Callable[[int, int], None] | None = None) -> list[dict[str, Any]]:
        """Predict COCO results of `images`, see `runner.backends.base.Predictor`."""
        return predict(self._model, self._config, self._reader, images, self._device, progress=progress)


def load_model(config: TorchConfig, weights: Path, say: Callable[[str], None]) -> Detector:
    """Return the model that `config` describes with the weights of a checkpoint (see
    `runner.store.checkpoints.locate`).
    """
    if weights.is_dir():
        folder, entry, state = read_newest(weights, say)
        source = folder.path / entry.file
    else:  # the file that was named, or an error: never another one in its place
        source, state = weights, read_verified(weights)
    model = build_model(config)
    load_weights(model, state, source, config, averaged=True)
    return model


def predict(
    model: Detector,
    config: TorchConfig,
    reader: schema.EvalReader | schema.TestReader,
    images: Sequence[ImageRef],
    device: torch.device,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """Compute the COCO results of `images` in their order; category_id is the contiguous class index from 0.

    Args:
        progress: called after every batch with the number of images done and of all. May raise to end it.
    """
    results: list[dict[str, Any]] = []
    done = 0
    half = amp_type(config, device)
    for packed in inference_batches(config, reader, images, pin_memory=device.type == "cuda"):
        batch = packed.to_batch(device, channels_last=config.channels_last)
        with torch.autocast(device.type, dtype=half, enabled=half is not None):
            detections = model.predict(batch)
        for image_id, found in zip(batch.ids, detections, strict=True):
            results += coco_results(image_id, found)
        done += len(batch.ids)
        if progress is not None:
            progress(done, len(images))
    return results


def coco_results(image_id: int, found: Detections) -> list[dict[str, Any]]:
    """Return the detections on one image as COCO results, boxes as [x, y, width, height] in pixels."""
    boxes = found.boxes.double().cpu()
    boxes[:, 2:] -= boxes[:, :2]
    columns = zip(boxes.tolist(), found.scores.double().tolist(), found.classes.tolist(), strict=True)
    return [{"image_id": image_id, "category_id": label, "bbox": box, "score": score} for box, score, label in columns]


def reader_section(config: TorchConfig, name: str) -> schema.EvalReader | schema.TestReader:
    """Return the reader section of that name. Raises InputError where the config has none."""
    sections = {"EvalReader": config.eval_reader, "TestReader": config.test_reader}
    section = sections.get(name)
    if section is None:
        raise InputError(f"the config has no {name}; there are {', '.join(key for key, value in sections.items() if value is not None)}")
    return section
