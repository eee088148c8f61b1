"""Lengths and milestones in iterations, which ppdet counts in epochs only. Imports no Paddle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.backends.paddle.schema import PaddleConfig
from runner.config.schema import Tagged
from runner.core.errors import InputError, Problem, TooFewImages
from runner.core.values import counted

IN_ITERATIONS = {"PiecewiseDecay": "milestone_iters", "CosineDecay": "max_iters"}
"""Schedule to its key of ours, which counts in iterations."""

_IN_EPOCHS = {"PiecewiseDecay": "milestones", "CosineDecay": "max_epochs"}


@dataclass(frozen=True, slots=True)
class Schedulers:
    """The members of ``LearningRate.schedulers`` in ppdet's keys.

    Args:
        members: each a `Tagged`.
        in_iterations: index of those whose lengths are iterations, not epochs.
        to_the_end: index of those without a length: with `max_iters` they span the training.
    """

    members: tuple[Tagged, ...]
    in_iterations: frozenset[int] = frozenset()
    to_the_end: frozenset[int] = frozenset()


def named(item: Any) -> tuple[str | None, Mapping[str, Any]]:
    """Return (name, keys) of a scheduler, written as a tag or as a mapping with ``name``."""
    if isinstance(item, Tagged):
        return item.name, item.keys if isinstance(item.keys, Mapping) else {}
    if isinstance(item, Mapping) and isinstance(item.get("name"), str):
        return str(item["name"]), {key: value for key, value in item.items() if key != "name"}
    return None, {}


def split(config: PaddleConfig) -> Schedulers | None:
    """Convert the schedulers to ppdet's form; None where the config leaves them to ppdet.

    Raises:
        InputError: a length is given in both units.
    """
    section = config.modules.get("LearningRate")
    given = section.get("schedulers") if isinstance(section, Mapping) else None
    if not isinstance(given, list):
        return None
    members: list[Tagged] = []
    in_iterations, to_the_end = set(), set()
    for index, item in enumerate(given):
        name, keys = named(item)
        ours, theirs = IN_ITERATIONS.get(str(name)), _IN_EPOCHS.get(str(name))
        keys = dict(keys)
        if ours is not None and theirs is not None:
            iterations = keys.pop(ours, None)
            if iterations is not None and keys.get(theirs) is not None:
                key = f"LearningRate.schedulers.{index}.{ours}"
                raise InputError(Problem(f"{ours} and {theirs} exclude each other; remove one", key=key))
            if iterations is not None:
                keys[theirs] = iterations
                in_iterations.add(index)
            elif name == "CosineDecay" and keys.get(theirs) is None:
                keys.pop(theirs, None)
                to_the_end.add(index)
        members.append(Tagged(str(name), keys))
    return Schedulers(tuple(members), frozenset(in_iterations), frozenset(to_the_end))


def steps_per_epoch(config: PaddleConfig, images: int) -> int:
    """Count the steps of one epoch over `images` training images, as ppdet's reader makes them.

    Raises:
        InputError: the images do not fill one batch.
    """
    reader = config.modules.get("TrainReader")
    keys = reader if isinstance(reader, Mapping) else {}
    size = keys.get("batch_size", 1)
    if type(size) is not int or size < 1:  # what the check says of the key; there is nothing to count with
        return 1
    batch = size * config.processes
    samples = images * config.train_dataset.repeat
    steps = samples // batch if keys.get("drop_last", True) else -(-samples // batch)
    if steps < 1:
        raise InputError(TooFewImages(f"{counted(samples, 'image')} cannot fill one batch of {batch}", key="TrainReader.batch_size"))
    return steps


def total_steps(config: PaddleConfig, per_epoch: int) -> int:
    """Return the length of training in steps."""
    return config.max_iters if config.max_iters is not None else (config.epoch or 0) * per_epoch
