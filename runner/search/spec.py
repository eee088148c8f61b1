"""The sweep file: what is varied, over which seeds, and what is measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from runner.config.load import find_named
from runner.config.schema import Doc, Form, Range
from runner.core.errors import Problem
from runner.core.values import format_value, same_value

Design = Literal["one_at_a_time", "grid", "list"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """A varied key with a name of its own: ``{label: schedule, values: [400, 800]}``."""

    form: ClassVar[Form] = "plain"
    values: Annotated[tuple[Any, ...], Doc("the values to try; the baseline's own value need not be among them")]
    label: Annotated[str | None, Doc("what it is called in run names and tables; default: the end of its key")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """What decides which trial is better."""

    form: ClassVar[Form] = "plain"
    name: Annotated[str, Doc("tag of the metric, as in metrics.jsonl: bbox/AP, bbox/AP50, bbox/AP/<class>")] = "bbox/AP"
    goal: Annotated[Literal["maximize", "minimize"], Doc("which way is better")] = "maximize"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """How many runs at a time, with how much of the machine."""

    form: ClassVar[Form] = "plain"
    concurrency: Annotated[
        int | Literal["auto"],
        Doc("runs at a time; auto: one a GPU where they train on GPUs, else cores / cpus"),
        Range(1),
    ] = "auto"
    cpus: Annotated[int, Doc("cores of a run: its numeric libraries use so many threads"), Range(1)] = 1

    def slots(self, *, cores: int, gpus: int) -> int:
        """How many runs go at a time.

        Args:
            cores: cores this process may use.
            gpus: GPUs the runs train on; 0 if they train on the CPU.
        """
        if self.concurrency != "auto":
            return self.concurrency
        by_cores = max(1, cores // self.cpus)
        return min(gpus, by_cores) if gpus else by_cores


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepSpec:
    """A sweep: a baseline, what to vary, and how to tell which is better. Trial 0 is the baseline, whatever the
    design."""

    form: ClassVar[Form] = "plain"
    config: Annotated[str, Doc("the baseline's config, relative to the sweep file")]
    overrides: Annotated[dict[str, Any], Doc("dotted key to value: changes to the config for every run, the baseline too")] = field(
        default_factory=dict
    )
    design: Annotated[
        Design,
        Doc("one_at_a_time: one key changed a trial; grid: every combination; list: the trials as listed"),
    ] = "one_at_a_time"
    vary: Annotated[dict[str, tuple[Any, ...] | Factor], Doc("dotted key to its values (one_at_a_time, grid)")] = field(
        default_factory=dict
    )
    trials: Annotated[tuple[dict[str, Any], ...], Doc("a mapping of dotted keys to values a trial, besides the baseline (list)")] = ()
    seeds: Annotated[tuple[int, ...], Doc("every trial is run once with each"), Range(0, 2**31 - 1)] = (0,)
    metric: Annotated[Metric, Doc("what decides")] = field(default_factory=Metric)
    resources: Annotated[Resources, Doc("runs at a time")] = field(default_factory=Resources)

    def factors(self) -> dict[str, Factor]:
        """The varied keys in their order, each with its values and its label or None."""
        return {key: value if isinstance(value, Factor) else Factor(values=tuple(value)) for key, value in self.vary.items()}

    def config_path(self, sweep_file: Path) -> Path:
        """Where the baseline's config lies, given where this spec was read from."""
        return find_named(self.config, sweep_file)

    def check(self) -> list[Problem]:
        """What is wrong beyond the types and ranges of the keys; empty if nothing is."""
        problems = [*self._check_design(), *self._check_factors(), *self._check_keys()]
        if not self.seeds:
            problems.append(Problem("is empty: give at least one, [0]", key="seeds"))
        for seed in _repeated(self.seeds):
            problems.append(Problem(f"{seed} stands there twice: the same run, not a repeat", key="seeds"))
        return problems

    def _check_design(self) -> list[Problem]:
        if self.design == "list":
            problems = [] if self.trials else [Problem("is empty: with `design: list` it lists the trials", key="trials")]
            if self.vary:
                problems.append(
                    Problem(
                        "is not used by `design: list`: list its values under `trials`, or choose another design",
                        key="vary",
                    )
                )
            return problems
        problems = [] if self.vary else [Problem(f"is empty: with `design: {self.design}` it gives each key its values", key="vary")]
        if self.trials:
            problems.append(Problem(f"is not used by `design: {self.design}`: say `design: list`", key="trials"))
        return problems

    def _check_factors(self) -> list[Problem]:
        problems = []
        for key, factor in self.factors().items():
            if not factor.values:
                problems.append(Problem("has no values", key=f"vary.{key}"))
            for value in _repeated(factor.values):
                problems.append(Problem(f"{format_value(value)} stands there twice", key=f"vary.{key}"))
        labels = Counter(factor.label for factor in self.factors().values() if factor.label is not None)
        problems += [Problem(f"two keys have the label {label!r}", key="vary") for label, count in labels.items() if count > 1]
        for index, trial in enumerate(self.trials):
            if not trial:
                problems.append(Problem("is empty: the baseline is always run, as trial 0; leave it out", key=f"trials.{index}"))
            elif any(same_value(trial, other) for other in self.trials[:index]):
                problems.append(Problem("is the same as one before it", key=f"trials.{index}"))
        return problems

    def _check_keys(self) -> list[Problem]:
        problems = []
        places = [("overrides", self.overrides), ("vary", self.vary)]
        places += [(f"trials.{index}", trial) for index, trial in enumerate(self.trials)]
        for place, keys in places:
            if "seed" in keys:
                problems.append(Problem("is not set like this: list the seeds under `seeds`", key=f"{place}.seed"))
            for key in keys:
                outer = [other for other in keys if key.startswith(f"{other}.")]
                problems += [Problem(f"lies inside {other!r}, which is set too: keep one of them", key=f"{place}.{key}") for other in outer]
        return problems


def _repeated(values: Sequence[Any]) -> list[Any]:
    return [value for index, value in enumerate(values) if any(same_value(value, earlier) for earlier in values[:index])]
