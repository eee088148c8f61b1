"""Values of the nested keys that may be ``auto``: the batch size, which is measured, and the learning rate, which follows from it."""

from __future__ import annotations

import math
from typing import Any

from runner.backends.base import BatchSizeChoice, MeasuresBatchSize
from runner.config.node import Source, from_plain
from runner.core.errors import Problem
from runner.core.values import is_number
from runner.resolve.resolution import AUTO, Resolution

BATCH_SIZE = "TrainReader.batch_size"
LEARNING_RATE = "LearningRate.base_lr"
_REFERENCE = "LearningRate.reference"
STAND_IN = 2
"""Batch size that the rest of a config is checked with until it is measured: images of different sizes have to fit into one batch."""


def resolve_batch_size(resolution: Resolution, measured: BatchSizeChoice | None) -> None:
    """Replace ``TrainReader.batch_size: auto`` by the measured value, or by a stand-in."""
    node = resolution.tree.get(BATCH_SIZE)
    if node is None or node.value != AUTO or not isinstance(resolution.backend, MeasuresBatchSize):
        return
    if measured is None:
        resolution.unmeasured += (BATCH_SIZE,)
        resolution.notes.append(f"{BATCH_SIZE}: auto is measured when training starts")
    else:
        resolution.notes.append(f"{BATCH_SIZE}: auto is {measured.value} ({measured.why})")
    value = STAND_IN if measured is None else measured.value
    resolution.tree = resolution.tree.with_node(BATCH_SIZE, from_plain(value, node.source))


def resolve_learning_rate(resolution: Resolution) -> None:
    """Replace ``LearningRate.base_lr: auto`` by the rate of `reference`, scaled from its batch size to the run's."""
    tree = resolution.tree
    node = tree.get(LEARNING_RATE)
    if node is None or node.value != AUTO or not isinstance(resolution.backend, MeasuresBatchSize):
        return
    size, rate = (_number(resolution, f"{_REFERENCE}.{key}") for key in ("batch_size", "base_lr"))
    if not size or not rate:
        text = "auto needs a rate to start from: set LearningRate.reference, such as {batch_size: 16, base_lr: 0.01}"
        resolution.problems.append(Problem(text, where=str(node.source), key=LEARNING_RATE))
        resolution.tree = tree.with_node(LEARNING_RATE, from_plain(1.0, Source(AUTO)))
        return
    images = (_number(resolution, BATCH_SIZE) or 1) * (_number(resolution, "gradient_accumulation") or 1)
    scaling = tree.get("LearningRate.scaling")
    found = scaled_rate(rate, images / size, "linear" if scaling is None else scaling.value)
    if BATCH_SIZE in resolution.unmeasured:
        resolution.unmeasured += (LEARNING_RATE,)
    else:
        resolution.notes.append(f"{LEARNING_RATE}: auto is {found:g} for {images:g} images per step")
    resolution.tree = tree.with_node(LEARNING_RATE, from_plain(found, node.source))


def scaled_rate(rate: float, ratio: float, scaling: Any) -> float:
    """Scale a learning rate to `ratio` times the batch size it suits, to ten digits: linear (arXiv 1706.02677) or by the square root
    (arXiv 1802.09568)."""
    return float(f"{rate * (math.sqrt(ratio) if scaling == 'sqrt' else ratio):.10g}")


def _number(resolution: Resolution, key: str) -> float | None:
    node = resolution.tree.get(key)
    return float(node.value) if node is not None and is_number(node.value) else None
