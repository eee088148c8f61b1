"""Warnings about the configs of a sweep's trials, before any of them starts."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from runner.config.geometry import geometry_warnings
from runner.config.length import length_warnings
from runner.config.node import Source, from_plain
from runner.config.overrides import apply_mapping
from runner.core.errors import InputError, Problem
from runner.core.sentences import sentence
from runner.core.values import value_key
from runner.resolve import training_images
from runner.search.base import Trial
from runner.search.points import derive_overrides, edges, trial_label
from runner.search.spec import SweepSpec
from runner.sweep.plan import SweepPlan

_GEOMETRY_AND_LENGTH = ("TrainReader", "EvalReader", "LearningRate", "epoch", "max_iters", "gradient_accumulation")
"""Prefixes of the keys that determine image preprocessing and training length."""


def trial_warnings(spec: SweepSpec, plan: SweepPlan, trials: Sequence[Trial]) -> list[str]:
    """Find trials whose evaluation preprocessing differs from training, or that end before their learning rate's schedule, among the trials
    known in advance and at the ends of Optuna's space."""
    found = [(trial.label, trial.overrides) for trial in trials[1:]]
    for key, points in edges(spec).items():
        with suppress(InputError):  # reported by `space_warnings`
            found += [(trial_label(spec, {key: point[key]}), derive_overrides(spec, point, plan.baseline)) for point in points]
    source = Source(str(plan.folder))
    tree, configs, seen = from_plain(plan.first.plain, source), [("baseline", plan.first.plain)], set()
    for label, overrides in found:
        counts = {key: value for key, value in overrides.items() if key.startswith(_GEOMETRY_AND_LENGTH)}
        if counts and value_key(counts) not in seen:
            seen.add(value_key(counts))
            with suppress(InputError):  # reported by `SweepPlan.runs`
                configs.append((label, apply_mapping(tree, counts, source).plain()))
    varied = {*spec.vary, *spec.space, *(key for trial in spec.trials for key in trial)}
    return [*geometry_warnings(configs, varied), *length_warnings(configs, training_images(plan.first.config))]


def space_warnings(spec: SweepSpec, plan: SweepPlan) -> list[str]:
    """Return the values at the space's ends that the config refuses, as far as known before anything is proposed.

    Raises:
        InputError: it refuses every value tried for a key.
    """
    problems: list[Problem] = []
    warnings: list[str] = []
    for key, points in edges(spec).items():
        refused: list[InputError] = []
        for point in points:
            try:
                overrides = derive_overrides(spec, point, plan.baseline)
                plan.runs(Trial(1, overrides, trial_label(spec, {key: point[key]}), spec.seeds[:1]))
            except InputError as error:
                refused.append(error)
        if len(refused) == len(points):
            problems += refused[0].problems
        else:
            warnings += [
                sentence("space-refused", key=f"space.{key}", problem=problem) for error in refused for problem in error.problems[:1]
            ]
    if problems:
        raise InputError(dict.fromkeys(problems))
    return warnings
