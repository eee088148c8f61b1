"""Length of training, and warnings about a learning-rate schedule that does not end with it.

PaddleDetection counts the schedule and the training separately: `CosineDecay` has 1000 epochs by default, and milestones do not move. A
rate that has not fallen when the training ends gives a worse model, and a comparison of lengths then compares something else.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from runner.core.sentences import sentence
from runner.core.values import counted, format_value, is_number

LEFT: Final = 0.1
"""Largest share of the cosine's fall that may remain when the training ends: PaddleDetection's own configs leave up to 0.07 on purpose."""
_DEFAULT_EPOCHS: Final = 1000
_SCHEDULES: Final = "LearningRate.schedulers"


@dataclass(frozen=True, slots=True)
class Length:
    """Length of training in both units, as far as they are known.

    Args:
        iterations, epochs: None where they are not known.
        images: number of training images; None without the data.
    """

    iterations: float | None
    epochs: float | None
    images: int | None = None

    def __str__(self) -> str:
        parts = [f"{_number(self.iterations)} iterations"] if self.iterations is not None else []
        parts += [f"{_number(self.epochs)} epochs"] if self.epochs is not None else []
        return " = ".join(parts) + (f" of {counted(self.images, 'image')}" if self.images is not None and self.epochs is not None else "")


def training_length(config: Mapping[str, Any], images: int | None = None) -> Length | None:
    """Return the length of a training; None if its config gives none. `images` is the number per epoch, None if unknown."""
    return _both(config, images, config.get("max_iters"), config.get("epoch"))


def steps_per_epoch(config: Mapping[str, Any], images: int | None) -> int | None:
    """Return the optimiser steps of an epoch; None if unknown."""
    reader, data = config.get("TrainReader"), config.get("TrainDataset")
    if images is None or not isinstance(reader, Mapping):
        return None
    repeat = data.get("repeat", 1) if isinstance(data, Mapping) else 1
    sizes = (reader.get("batch_size", 1), config.get("gradient_accumulation", 1), config.get("processes", 1))
    if sizes[0] == "auto":
        return None  # measured when training starts
    group = math.prod(size if isinstance(size, int) else 1 for size in sizes)
    steps = images * repeat / max(group, 1)
    return (int(steps) if reader.get("drop_last", True) else math.ceil(steps)) or None


def schedule_warnings(config: Mapping[str, Any], images: int | None = None) -> list[str]:
    """Write one sentence for each part of the learning-rate schedule that does not end with the training."""
    length = training_length(config, images)
    rate = config.get("LearningRate")
    listed = rate.get("schedulers") if isinstance(rate, Mapping) else None
    if length is None or not isinstance(listed, list | tuple):
        return []
    result: list[str] = []
    for index, item in enumerate(listed):
        keys = item if isinstance(item, Mapping) else {}
        checks = {"CosineDecay": _cosine, "PiecewiseDecay": _piecewise, "LinearWarmup": _warmup, "ExpWarmup": _warmup}
        check = checks.get(str(keys.get("name")))
        warms_up = not isinstance(listed[0], Mapping) or listed[0].get("use_warmup", True)
        if check is not None and (check is not _warmup or warms_up):
            result += check(config, images, length, keys, f"{_SCHEDULES}.{index}")
    return result


def _cosine(config: Mapping[str, Any], images: int | None, length: Length, keys: Mapping[str, Any], here: str) -> Iterator[str]:
    iterations, epochs = keys.get("max_iters"), keys.get("max_epochs")
    if iterations is None and epochs is None and config.get("max_iters") is not None:
        return  # the cosine spans the training
    default = iterations is None and epochs is None
    span = _both(config, images, iterations, _DEFAULT_EPOCHS if default and iterations is None else epochs)
    share = None if span is None else _share(length, span)
    if span is None or share is None:
        return
    named = f"{span} (PaddleDetection's default)" if default else str(span)
    unit = "max_iters" if config.get("max_iters") is not None else "max_epochs"
    value = config.get("max_iters") if config.get("max_iters") is not None else config.get("epoch")
    known = {"place": here, "span": named, "length": length, "fix": f"-o {here}.{unit}={value}"}
    left = 0.5 * (1 + math.cos(math.pi * min(share, 1)))
    if left > LEFT:
        yield sentence("cosine-late", **known, share=f"{100 * (1 - left):.0f}")
    elif share > 1 / (1 - LEFT):
        then = "stays at its lowest" if keys.get("use_warmup", True) or keys.get("last_plateau_epochs") else "rises again"
        yield sentence("cosine-early", **known, then=then)


def _piecewise(config: Mapping[str, Any], images: int | None, length: Length, keys: Mapping[str, Any], here: str) -> Iterator[str]:
    iterations = keys.get("milestone_iters")
    epochs = None if iterations is not None else keys.get("milestones")
    places = iterations if iterations is not None else epochs if epochs is not None else [8, 11]
    if not isinstance(places, list | tuple):
        return
    unit = "milestones" if iterations is None else "milestone_iters"
    late = []
    for place in places:
        reached = _both(config, images, place if iterations is not None else None, place if iterations is None else None)
        share = _share(reached, length) if reached is not None else None
        if share is not None and share >= 1:
            late.append(place)
    if late:
        where = f"{', '.join(map(format_value, late))} {'epochs' if unit == 'milestones' else 'iterations'}"
        yield sentence("milestones-late", place=here, places=where, length=length, key=f"{here}.{unit}")


def _warmup(config: Mapping[str, Any], images: int | None, length: Length, keys: Mapping[str, Any], here: str) -> Iterator[str]:
    epochs = keys.get("epochs") if keys.get("epochs_first", True) else None
    steps = None if epochs is not None else keys.get("steps", 500)
    span = _both(config, images, steps, epochs)
    share = _share(span, length) if span is not None else None
    if share is not None and share >= 1 and steps != 0:
        yield sentence("warm-up-late", place=here, span=span, length=length, key=f"{here}.steps")


def _both(config: Mapping[str, Any], images: int | None, iterations: Any, epochs: Any) -> Length | None:
    """Convert a length given in either unit to both, as far as possible."""
    an_epoch = steps_per_epoch(config, images)
    if is_number(iterations):
        return Length(iterations, iterations / an_epoch if an_epoch else None, images)
    if is_number(epochs):
        return Length(epochs * an_epoch if an_epoch else None, epochs, images)
    return None


def _share(part: Length, whole: Length) -> float | None:
    """Compute `part` / `whole` in a unit that both have; None without one."""
    for one, other in ((part.iterations, whole.iterations), (part.epochs, whole.epochs)):
        if one is not None and other:
            return one / other
    return None


def _number(value: float) -> str:
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.2f}".rstrip("0").rstrip(".")


def length_warnings(trials: Sequence[tuple[str, Mapping[str, Any]]], images: int | None = None) -> list[str]:
    """Collect `schedule_warnings` of a sweep: those of the baseline, then those that only a trial has.

    Args:
        trials: (label, plain config) of each trial, the baseline first.
    """
    if not trials:
        return []
    result = schedule_warnings(trials[0][1], images)
    seen = {text.partition(":")[0] for text in result}
    for label, config in trials[1:]:
        for text in schedule_warnings(config, images):
            place = text.partition(":")[0]
            if place not in seen:
                seen.add(place)
                result.append(f"trial {label}: {text}")
    return result
