"""The config that `runner init` writes: the chosen keys on top of `configs/fcos_small.yml`, each with its reason as a comment."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from runner.advice.choices import (
    FINE_LEVEL_PX,
    GOOD_PX,
    LEAST_LONGER_PX,
    MOST_VIEWS,
    MULTIPLE,
    SAME_SHAPE,
    SEEN_STRIDES,
    Speed,
    TrainingChoice,
    mirrored_classes,
)
from runner.advice.hints import LEAST_PX, TAIL
from runner.advice.measures import Measures
from runner.core.values import counted

BASE: Final = "configs/fcos_small.yml"
_COMMENT_AT: Final = 44
"""Column at which comments begin, where the line is short enough."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a written config states.

    Args:
        dataset: name or spec path, as it was given.
        data: measures of its training set.
        choice: the chosen keys.
        command: the command line that wrote it.
        expectation: one sentence on time and memory; empty before the probe.
        weights: name of published weights; empty: random weights.
        minutes: time for the training.
    """

    dataset: str
    data: Measures
    choice: TrainingChoice
    command: str
    expectation: str = ""
    weights: str = ""
    minutes: float = 0.0


def to_config(plan: Plan) -> str:
    """Write the config as YAML with comments."""
    choice, data = plan.choice, plan.data
    height, width = (round(side) for side in data.typical)
    images, boxes, classes = counted(len(data.images), "image"), counted(len(data.boxes), "box"), counted(len(data.class_names), "class")
    what = f"{images} of {height}×{width} (height×width), {boxes}, {classes}"
    lines = [f"# Written by `{plan.command}` for {what}."]
    if plan.expectation:
        lines.append(f"# {plan.expectation}")
    rows = [*_head(plan), *_sizes(plan), *_readers(choice, data), *_length(plan)]
    return "\n".join([*lines, *(_row(text, comment) for text, comment in rows)]) + "\n"


def expectation(choice: TrainingChoice, speed: Speed, eval_images: int) -> str:
    """Write how long a training of this choice takes and how much memory it needs."""
    evaluation_s = eval_images * speed.eval_image_s
    minutes = (speed.start_s + choice.steps * speed.step_s + evaluation_s) / 60
    where = "this machine's GPU" if choice.device == "gpu" else "this machine's CPU"
    parts = f"{counted(choice.steps, 'step')} of {speed.step_s:.2g} s, start {speed.start_s:.0f} s, evaluation {evaluation_s:.0f} s"
    return f"Expected on {where}: {minutes:.1f} min ({parts}) and {speed.memory_gib:.1f} GiB of memory."


def _head(plan: Plan) -> Iterator[tuple[str, str]]:
    choice = plan.choice
    reason = "random weights learn fastest in a small network" if not plan.weights else "weights.lock has its published weights"
    yield f"_BASE_: {BASE}", f"FCOS on a ResNet-18: no anchors to fit to the boxes; {reason}"
    yield f"dataset: {_quoted(plan.dataset)}", ""
    yield f"use_gpu: {str(choice.device == 'gpu').lower()}", ""
    if plan.weights:
        yield f"pretrain_weights: {plan.weights}", "torchvision's, trained on ImageNet"
        yield "ResNet: {first_shortcut: identity}", "as in the network that these weights are of"


def _sizes(plan: Plan) -> Iterator[tuple[str, str]]:
    choice, data = plan.choice, plan.data
    axes = "shorter and longer side at most" if choice.keep_ratio else "height, width"
    smallest = f"{100 * TAIL:.0f} % of the boxes are below {choice.smallest_px:.0f} px at this size"
    yield f"image_size: {list(choice.size)}", f"{axes}; {smallest}: {_size_reason(choice, data)}"
    yield f"levels: {list(choice.levels)}", _level_reason(choice)


def _size_reason(choice: TrainingChoice, data: Measures) -> str:
    good, scale = GOOD_PX[choice.device], max(choice.size) / max(data.typical)
    if scale > 1.01 and choice.smallest_px / scale >= LEAST_PX:
        return f"the images' own size, rounded up to a multiple of {MULTIPLE}"
    if scale > 1.01:
        return f"larger than the images are, to give these boxes {LEAST_PX:.0f} px"
    if scale > 0.99:
        return "the images' own size"
    if choice.smallest_px >= good and max(choice.size) <= LEAST_LONGER_PX:
        return f"{LEAST_LONGER_PX} px are the least that show what tells classes apart"
    if choice.smallest_px < LEAST_PX:
        return f"{LEAST_PX:.0f} px would be better, but take too long"
    return f"about {good:.0f} px are enough for them, if the time allows it"


def _level_reason(choice: TrainingChoice) -> str:
    if choice.levels[0] == 4:
        fine = f"stride 4 for boxes below {FINE_LEVEL_PX:.0f} px"
    else:
        fine = f"stride 8 is fine enough from {FINE_LEVEL_PX:.0f} px"
    last = choice.levels[-1]
    longer = f"{100 * TAIL:.0f} % are longer than {choice.longest_px:.0f} px"
    return f"{fine}; stride {last} sees boxes of up to {SEEN_STRIDES * last} px whole, {longer}"


def _readers(choice: TrainingChoice, data: Measures) -> Iterator[tuple[str, str]]:
    custom = choice.keep_ratio or not choice.flip
    resize = f"    - Resize: {{keep_ratio: {str(choice.keep_ratio).lower()}, interp: 3}}"
    shape = f"aspect ratios differ by more than a factor of {SAME_SHAPE}: no image is distorted" if choice.keep_ratio else ""
    after = ["    - NormalizeImage: {}", "    - Permute: {}"]
    yield "TrainReader:", ""
    if custom:
        yield "  sample_transforms:", ""
        yield "    - Decode: {}", ""
        if choice.flip:
            yield "    - RandomFlip: {}", ""
        else:
            yield (
                "",
                f"no RandomFlip: flipped horizontally, {', '.join(mirrored_classes(data.class_names)[:3])} would be another class or none",
            )
        yield resize, shape
        yield from ((line, "") for line in after)
    if choice.batch_size >= 8:
        batch = "enough for batch norm"
    elif choice.batch_size == len(data.images):
        batch = "the whole training set"
    else:
        batch = "smaller than usual, for more steps in the time"
    yield f"  batch_size: {choice.batch_size}", batch
    if custom:
        yield "EvalReader:", "resized as in training"
        yield "  sample_transforms:", ""
        yield from ((line, "") for line in ["    - Decode: {}", resize, *after])


def _length(plan: Plan) -> Iterator[tuple[str, str]]:
    choice = plan.choice
    views = choice.steps * choice.batch_size
    epochs = views / max(1, len(plan.data.images))
    limit = "what fits into" if views < MOST_VIEWS else "at most"
    yield f"max_iters: {choice.steps}", f"{limit} {plan.minutes:g} min: {counted(views, 'image')} seen, {epochs:.1f} epochs"
    yield f"snapshot_iter: {max(1, choice.steps // 4)}", "checkpoints on the way; evaluation at the end (`--eval`: at each)"
    yield "LearningRate:", ""
    yield f"  base_lr: {choice.base_lr:g}", "0.002 for AdamW with batches of 8, with the square root of the batch size"
    yield "  schedulers:", ""
    yield "    - !CosineDecay {}", "ends with the training"
    yield f"    - !LinearWarmup {{start_factor: 0.1, steps: {choice.warmup_steps}}}", "a tenth of the training, at most 100 steps"


def _row(text: str, comment: str) -> str:
    return f"{text:<{_COMMENT_AT}} # {comment}" if comment else text


def _quoted(text: str) -> str:
    """Return a text as YAML, quoted where it is not a plain word."""
    plain = text.replace("_", "").replace("-", "").isalnum() and text.isascii() and not text[0].isdigit()
    return text if plain and text.lower() not in ("yes", "no", "on", "off", "true", "false", "null", "y", "n") else json.dumps(text)
