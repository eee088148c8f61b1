"""Steps of `runner init`: measure the data, choose, probe the machine, fit the choice to the time, write it down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from runner.advice.choices import ENOUGH_VIEWS, Device, Speed, TrainingChoice, first_choice, fitted_choice, length_within, mirrored_classes
from runner.advice.measures import Measures, measure
from runner.advice.probe import ProbeFailed, probe
from runner.advice.written import Plan, expectation, to_config
from runner.core.errors import InputError
from runner.core.values import counted
from runner.data.choice import DatasetChoice
from runner.data.stats import load_sides
from runner.weights.locate import weights_problems

_RESNET18: Final = "ResNet18_Weights.IMAGENET1K_V1"
_BUSY: Final = 0.75
"""Share of the cores left by other processes below which a note says that the times are those of a busy machine."""


@dataclass(frozen=True, slots=True)
class AdviceRequest:
    """Wishes of the user.

    Args:
        dataset: name or spec path, as it was given.
        device: what trains.
        minutes: time for training and evaluation.
        command: the command line, for the file's first line.
    """

    dataset: str
    device: Device
    minutes: float
    command: str


@dataclass(frozen=True, slots=True)
class Advice:
    """Result of `advise`: the config as YAML, its expected time and memory in one sentence, and notes."""

    config: str
    expectation: str
    notes: tuple[str, ...]


def advise(
    request: AdviceRequest, chosen: DatasetChoice, say: Callable[[str], None], measure_speed: Callable[[str, int], Speed] = probe
) -> Advice:
    """Choose the keys of a config for a prepared data set.

    Args:
        chosen: the data set.
        say: called with one sentence on what is done.
        measure_speed: called with a config and its batch size; see `runner.advice.probe`.

    Raises:
        InputError: the data set is not prepared, or has no boxes.
        ProbeFailed: the config cannot be trained here.
    """
    sides = load_sides(chosen)
    data, eval_images = measure(sides["train"]), len(sides["val"].images)
    if not len(data.boxes):
        raise InputError(f"{chosen.name}: the training set has no boxes; check the source and its split: runner data stats {chosen.name}")
    weights = "" if weights_problems(_RESNET18) else _RESNET18  # those that this project has locked and this machine has
    plan = Plan(request.dataset, data, first_choice(data, request.device), request.command, "", weights, request.minutes)
    prober = _Prober(plan, say, measure_speed)
    choice, speed = prober.measure(plan.choice)
    fitted = fitted_choice(data, choice, speed, 60 * request.minutes, eval_images)
    if fitted != choice:
        fitted, speed = prober.measure(fitted)
    length = length_within(fitted, speed, 60 * request.minutes, eval_images, len(data.images))
    final = replace(fitted, steps=length)
    sentence = expectation(final, speed, eval_images)
    notes = [*prober.notes, *_notes(final, data, speed, request)]
    return Advice(to_config(replace(plan, choice=final, expectation=sentence)), sentence, tuple(notes))


class _Prober:
    """Probes of choices, each with the batch size halved until it fits into memory."""

    def __init__(self, plan: Plan, say: Callable[[str], None], measure_speed: Callable[[str, int], Speed]) -> None:
        self._plan = plan
        self._say = say
        self._measure_speed = measure_speed
        self.notes: list[str] = []

    def measure(self, choice: TrainingChoice) -> tuple[TrainingChoice, Speed]:
        """Return the choice, with a batch that fits into memory, and its costs. Raises ProbeFailed."""
        while True:
            size = "×".join(map(str, choice.size))
            self._say(f"measuring a few training steps: images of {size}, levels {list(choice.levels)}, batches of {choice.batch_size}")
            try:
                return choice, self._measure_speed(to_config(replace(self._plan, choice=replace(choice, steps=1))), choice.batch_size)
            except ProbeFailed as error:
                if not error.out_of_memory or choice.batch_size == 1:
                    raise
            self.notes.append(f"batches of {counted(choice.batch_size, 'image')} do not fit into memory: halved")
            choice = replace(choice, batch_size=choice.batch_size // 2)


def _notes(choice: TrainingChoice, data: Measures, speed: Speed, request: AdviceRequest) -> list[str]:
    notes = []
    views = choice.steps * choice.batch_size
    if views < ENOUGH_VIEWS / 2:
        more = max(1, round(request.minutes * ENOUGH_VIEWS / max(views, 1)))
        notes.append(
            f"{request.minutes:g} min is short: training will see {counted(views, 'image')} ({views / len(data.images):.1f} epochs), and a "
            f"randomly initialised detector usually needs about {ENOUGH_VIEWS}; --minutes {more} would be enough"
        )
    if mirrored := mirrored_classes(data.class_names):
        notes.append(f"images are not flipped horizontally: {', '.join(mirrored[:3])} would be another class, or none")
    if request.device == "cpu" and speed.free_share < _BUSY:
        notes.append(
            f"this machine is busy: other processes left {100 * speed.free_share:.0f} % of its cores to the measured steps, so training "
            "may end much earlier than expected; repeat the command with --force when the machine is idle"
        )
    return notes
