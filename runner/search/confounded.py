"""Confounded factors of a sweep: keys that change together, so that their effects cannot be separated."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from runner.core.expression import Expression
from runner.core.sentences import sentence
from runner.core.values import ABSENT, format_value, is_number, same_value
from runner.search.base import DESIGNS, Baseline
from runner.search.points import BASE
from runner.search.spec import Choice, Span, SweepSpec

BATCH_SIZE: Final = "TrainReader.batch_size"
LEARNING_RATE: Final = "LearningRate.base_lr"
_OPTIMIZER: Final = "OptimizerBuilder.optimizer.type"
ITERATIONS: Final = "max_iters"
EPOCHS: Final = "epoch"
COSINE: Final = {ITERATIONS: "max_iters", EPOCHS: "max_epochs"}
"""Key of the training's length to that of a cosine's in the same unit."""


def confounded(spec: SweepSpec, baseline: Baseline) -> list[str]:
    """Find the ways in which the design confounds factors, each as a sentence with what to do about it.

    The batch size goes with the learning rate (in proportion: Goyal et al. 2017, https://arxiv.org/abs/1706.02677; by its square root for
    Adam and its variants: https://arxiv.org/abs/1802.09568), and with how many images are seen or
    how many steps are made; the length of training goes with where the rate decays. A derived key should be what it is in the baseline
    where nothing is varied.
    """
    found = []
    size, rate, iterations, epochs = map(baseline, (BATCH_SIZE, LEARNING_RATE, ITERATIONS, EPOCHS))
    moved = [keys for keys in _moved_together(spec) if BATCH_SIZE in keys]
    ratio = f"{BATCH_SIZE} / {format_value(size)}"
    factor = f"sqrt({ratio})" if "Adam" in str(baseline(_OPTIMIZER)) else ratio
    if rate is not ABSENT and not _rate_follows(baseline) and any(LEARNING_RATE not in keys for keys in moved):
        found.append(
            sentence(
                "confounded-rate",
                size=BATCH_SIZE,
                rate=LEARNING_RATE,
                value=format_value(rate),
                fix=f'derive: {{{LEARNING_RATE}: "base * {factor}"}}',
            )
        )
    if any(not keys & {ITERATIONS, EPOCHS} for keys in moved):
        if iterations not in (None, ABSENT):
            fix = f'derive: {{{ITERATIONS}: "round(base * {format_value(size)} / {BATCH_SIZE})"}}'
            found.append(_of_length("images", spec, size, ITERATIONS, iterations, fix=fix))
        elif epochs not in (None, ABSENT):
            found.append(_of_length("steps", spec, size, EPOCHS, epochs))
    return [*found, *_fixed_decay(spec, baseline), *_off_the_baseline(spec, baseline)]


def _rate_follows(baseline: Baseline) -> bool:
    """Return whether the rate is that of ``base_lr: auto``, so that every trial has the one that its batch size asks for."""
    keys = ("LearningRate.reference.batch_size", "LearningRate.reference.base_lr", BATCH_SIZE, "gradient_accumulation", LEARNING_RATE)
    size, rate, own, times, found = (value if is_number(value := baseline(key)) else None for key in keys)
    if not size or rate is None or own is None or found is None:
        return False
    ratio = own * (times or 1) / size
    factor = math.sqrt(ratio) if baseline("LearningRate.scaling") == "sqrt" else ratio
    return math.isclose(found, rate * factor, rel_tol=1e-9)


def _of_length(what: Literal["images", "steps"], spec: SweepSpec, size: Any, length: str, value: Any, **fix: str) -> str:
    """Describe how many more images or fewer steps the varied batch sizes bring: "a batch of 3 instead of 2 sees 1.5 times the images"."""
    known = {"size": BATCH_SIZE, "length": length, "value": format_value(value), **fix}
    given = spec.space.get(BATCH_SIZE, ())
    values: Iterable[Any] = (given.low, given.high) if isinstance(given, Span) else given.choices if isinstance(given, Choice) else given
    factors = spec.factors()
    values = [*values, *(factors[BATCH_SIZE].values if BATCH_SIZE in factors else ()), *(trial.get(BATCH_SIZE) for trial in spec.trials)]
    numbers = sorted({value for value in values if type(value) in (int, float) and value > 0 and value != size})
    if type(size) not in (int, float) or not numbers:
        return sentence(f"confounded-{what}-unknown", **known)
    ends = list(dict.fromkeys((numbers[0], numbers[-1])))
    times = [value / size if what == "images" else size / value for value in ends]
    batches, shown = (" or ".join(map(format_value, each)) for each in (ends, [float(f"{one:.3g}") for one in times]))
    return sentence(f"confounded-{what}", **known, batch=batches, before=format_value(size), factor=shown)


def _moved_together(spec: SweepSpec) -> list[set[str]]:
    """Return the sets of keys that change in one trial, including derived ones."""
    names = {key: Expression.parse(text).names for key, text in spec.derive.items()}
    moved = []
    for keys in DESIGNS.get(spec.design)().varied_together(spec):
        while more := {key for key, followed in names.items() if followed & keys} - keys:
            keys = keys | more
        moved.append(keys)
    return moved


def _fixed_decay(spec: SweepSpec, baseline: Baseline) -> Iterable[str]:
    """Find steps of the learning rate that are fixed while the length of training is varied."""
    moved = _moved_together(spec)
    for scheduler in ("LearningRate.schedulers.0", "LearningRate.schedulers.1"):
        lengths = [name for name in COSINE if any(name in keys and not any(key.startswith(scheduler) for key in keys) for keys in moved)]
        unit, steps = _given(baseline, scheduler, {ITERATIONS: "milestone_iters", EPOCHS: "milestones"})
        places = baseline(f"{scheduler}.{steps}")
        for length in lengths if isinstance(places, list | tuple) and places else ():
            instead = f"vary {unit} instead and " if unit != length else ""
            yield sentence(
                "confounded-milestones",
                length=length,
                places=f"{format_value(places)}{_in(unit, length)}",
                fix=f"{instead}derive {scheduler}.{steps}.0, .1, …",
            )
        unit, steps = _given(baseline, scheduler, COSINE)
        end, whole = baseline(f"{scheduler}.{steps}"), baseline(unit)
        for length in lengths if end not in (None, ABSENT) else ():
            instead = f"vary {unit} instead; " if unit != length else ""
            follow = f'derive: {{{scheduler}.{steps}: "round(base * {unit} / {format_value(whole)})"}}'
            yield sentence(
                "confounded-cosine",
                length=length,
                end=f"{format_value(end)}{_in(unit, length)}",
                fix=f"{instead}{follow if whole not in (None, ABSENT) else f'set {scheduler}.{steps} in each trial'}",
            )


def _given(baseline: Baseline, scheduler: str, keys: Mapping[str, str]) -> tuple[str, str]:
    """Return the unit that a schedule is given in, as the key of the training's length, and its own key; iterations outrank epochs."""
    unit = EPOCHS if baseline(f"{scheduler}.{keys[ITERATIONS]}") in (None, ABSENT) else ITERATIONS
    return unit, keys[unit]


def _in(unit: str, length: str) -> str:
    """Name the unit of a schedule, where that of the varied length is another."""
    return "" if unit == length else " iterations" if unit == ITERATIONS else " epochs"


def _off_the_baseline(spec: SweepSpec, baseline: Baseline) -> Iterable[str]:
    """Find expressions that do not give the baseline's value at the baseline: each trial then has that difference too."""
    for key, text in spec.derive.items():
        expression = Expression.parse(text)
        values = {name: baseline(key if name == BASE else name) for name in expression.names}
        if baseline(key) is ABSENT or ABSENT in values.values():
            continue  # a key that only the trial has, or a mistake that is reported for the trials
        try:
            value = expression.evaluate(values.__getitem__)
        except ValueError:
            continue
        if not _same(value, baseline(key)):
            at = ", ".join(f"{name} {format_value(item)}" for name, item in sorted(values.items()) if name != BASE)
            yield sentence(
                "confounded-derived", key=key, expression=repr(text), value=format_value(value), at=at, before=format_value(baseline(key))
            )


def _same(one: Any, other: Any) -> bool:
    numbers = isinstance(one, int | float) and isinstance(other, int | float)
    return same_value(one, other) or (numbers and math.isclose(one, other, rel_tol=1e-9))
