"""The keys of a sweep file. `runner.search.spec_rules` finds what is wrong beyond their types and ranges."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from runner.config.load import find_named
from runner.config.schema import Doc, Form, Formerly, Key, Range, Rest
from runner.core.expression import Expression

DURATIONS = ("resources.timeout", "resources.stall")
"""Keys that may be written as ``1h30m`` too. `runner.search.load` reads them as seconds."""

FEWEST_FOR_IMPORTANCES = 10
"""Fewest finished or pruned trials of a search, the baseline among them, that importances of its parameters are computed from."""

COMPONENTS = ("sampler", "pruner")
"""Keys of which a bare name is enough. `runner.search.load` reads it as ``{name: …}``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """A varied key with its own label: ``{label: schedule, values: [400, 800]}``."""

    form: ClassVar[Form] = "plain"
    values: Annotated[tuple[Any, ...], Doc("the values to try; the baseline's own value need not be among them")]
    label: Annotated[str | None, Doc("its name in run names and tables; default: the end of its key")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Numbers from `low` to `high`, both included: integers if all given numbers are integers."""

    form: ClassVar[Form] = "plain"
    low: Annotated[int | float, Doc("smallest value; 1 is an integer, 1.0 is not")]
    high: Annotated[int | float, Doc("largest value")]
    log: Annotated[bool, Doc("sample on a logarithmic scale: 0.001 to 0.01 is as likely as 0.01 to 0.1")] = False
    step: Annotated[int | float | None, Doc("only low, low + step, low + 2 step, …"), Range(0, open_low=True)] = None
    when: Annotated[str | None, Doc("varied only where this holds: an expression of other keys of the space, `a.type == Momentum`")] = None

    @property
    def integer(self) -> bool:
        """True if its values are integers."""
        return all(isinstance(value, int) for value in (self.low, self.high, self.step or 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Values to choose from, under a condition; without one a list is enough."""

    form: ClassVar[Form] = "plain"
    choices: Annotated[tuple[Any, ...], Doc("the values")]
    when: Annotated[str | None, Doc("varied only where this holds, as for a span")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One of Optuna's samplers or pruners by the name of its class, with its arguments: ``{name: TPESampler, n_startup_trials: 8}``."""

    form: ClassVar[Form] = "plain"
    name: Annotated[str, Doc("class name in optuna.samplers or optuna.pruners")]
    arguments: Annotated[dict[str, Any], Doc("its arguments: every other key"), Rest()] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Racing:
    """Seed racing: seeds are added only to trials without a clear verdict."""

    form: ClassVar[Form] = "plain"
    max_seeds: Annotated[int, Doc("maximum number of seeds per trial, including those under `seeds`"), Range(3)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A deciding metric."""

    form: ClassVar[Form] = "plain"
    name: Annotated[str, Doc("tag of the metric, as in metrics.jsonl: bbox/AP, bbox/AP50, bbox/AP/<class>")]
    goal: Annotated[Literal["maximize", "minimize"], Doc("which way is better")] = "maximize"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Limits after which a sweep starts no further run. Running ones continue to their end."""

    form: ClassVar[Form] = "plain"
    runs: Annotated[int | None, Doc("maximum number of runs; a resumed or retried run counts once"), Range(1)] = None
    hours: Annotated[float | None, Doc("maximum wall time in hours, over all drivers of the sweep"), Range(0, open_low=True)] = None
    gpu_hours: Annotated[
        float | None, Doc("maximum GPU time in hours: a run on half a GPU costs half its time"), Range(0, open_low=True)
    ] = None
    failures_in_a_row: Annotated[
        int,
        Doc(
            "the sweep stops after this number of consecutive failed runs of more than one trial, and reports what they have in common; "
            "failures caused by a trial's values (not_finite, out_of_memory, timeout) do not count and end the series"
        ),
        Range(1),
    ] = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Resources per run, number of runs at a time, and limits of a run."""

    form: ClassVar[Form] = "plain"
    gpus: Annotated[
        float | None,
        Doc("GPUs per run: a whole number, or a fraction of one that several runs share; null: 1 if they train on GPUs"),
        Range(0, open_low=True),
    ] = None
    cpus: Annotated[int, Doc("CPU cores per run: the number of threads of its numeric libraries"), Range(1)] = 1
    memory_gib: Annotated[
        float | None,
        Formerly("memory_gb"),
        Doc("maximum resident memory per run in GiB; a run that needs more is out of memory; null: no limit"),
        Range(0, open_low=True),
    ] = None
    concurrency: Annotated[
        int | Literal["auto"],
        Doc("runs at a time; auto: as many as fit on the GPUs if they train on GPUs, else cores / cpus"),
        Range(1),
    ] = "auto"
    timeout_s: Annotated[
        float | None, Key("timeout"), Doc("maximum duration of an attempt: 90s, 10m, 2h, 1h30m, 1d, or seconds"), Range(0, open_low=True)
    ] = None
    stall_s: Annotated[
        float,
        Key("stall"),
        Doc("a run without progress for this long counts as hung and is stopped (format as for `timeout`)"),
        Range(0, open_low=True),
    ] = 600.0
    retries: Annotated[int, Doc("how often a run that crashed or hung is retried, from its last checkpoint"), Range(0)] = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepSpec:
    """A sweep: a baseline, what to vary, and which metric decides. Trial 0 is the baseline in every design."""

    form: ClassVar[Form] = "plain"
    config: Annotated[str, Doc("the baseline's config, relative to the sweep file")]
    overrides: Annotated[dict[str, Any], Doc("dotted key to value: changes to the config for every run, including the baseline")] = field(
        default_factory=dict
    )
    design: Annotated[
        str,
        Doc(
            "one_at_a_time: one changed key per trial; grid: every combination; zip: the first values together, then the second ones, …; "
            "list: the trials as listed; optuna: trials proposed by a sampler; or the name of an installed design"
        ),
    ] = "one_at_a_time"
    vary: Annotated[dict[str, tuple[Any, ...] | Factor], Doc("dotted key to its values (one_at_a_time, grid, zip)")] = field(
        default_factory=dict
    )
    trials: Annotated[tuple[dict[str, Any], ...], Doc("one mapping of dotted keys to values per trial, without the baseline (list)")] = ()
    derive: Annotated[
        dict[str, Annotated[str, Doc("an expression")]],
        Formerly("couple"),
        Doc("dotted key to an expression for its value where it is not varied itself; `base` is its value in the baseline"),
    ] = field(default_factory=dict)
    combine_best: Annotated[
        bool, Formerly("join_best"), Doc("a last trial that combines the best value of each key that improved the metric (one_at_a_time)")
    ] = False
    space: Annotated[dict[str, Span | Choice | tuple[Any, ...]], Doc("dotted key to a range or a list of choices (optuna)")] = field(
        default_factory=dict
    )
    sampler: Annotated[Component, Doc("proposes the trials (optuna)")] = field(default_factory=lambda: Component(name="TPESampler"))
    pruner: Annotated[Component | None, Doc("stops unpromising trials early, by their evaluations during training (optuna)")] = None
    constraints: Annotated[
        tuple[Annotated[str, Doc("an expression")], ...],
        Doc("conditions on metrics that a trial must satisfy, such as `resource/memory_gib <= 8` (optuna)"),
    ] = ()
    confirm_seeds: Annotated[int, Formerly("confirm"), Doc("new seeds on which the winner is confirmed; 0: none (optuna)"), Range(0)] = 3
    seeds: Annotated[tuple[int, ...], Doc("every trial runs once with each"), Range(0, 2**31 - 1)] = (0,)
    racing: Annotated[Racing | None, Doc("add seeds where there is no clear verdict (not optuna)")] = None
    metric: Annotated[
        Metric | tuple[Metric, ...] | None,
        Doc("deciding metric; of several the first one ranks, Optuna optimises all; null: the backend's primary one (`bbox/AP` for boxes)"),
    ] = None
    budget: Annotated[Budget, Doc("limits of the sweep")] = field(default_factory=Budget)
    resources: Annotated[Resources, Doc("resources per run")] = field(default_factory=Resources)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """All metrics; the first one ranks. Empty while the backend has not been asked for its primary one (see `runner.sweep.plan`)."""
        if self.metric is None:
            return ()
        return self.metric if isinstance(self.metric, tuple) else (self.metric,)

    def factors(self) -> dict[str, Factor]:
        """Return the varied keys in order, each with its values and its label or None."""
        return {key: value if isinstance(value, Factor) else Factor(values=tuple(value)) for key, value in self.vary.items()}

    def varied_keys(self) -> list[str]:
        """Return the keys that a trial may set, the derived ones last."""
        return list(dict.fromkeys([*self.vary, *self.space, *(key for trial in self.trials for key in trial), *self.derive]))

    def dimensions(self) -> dict[str, Span | Choice]:
        """Return the space, each key after those that its condition names. A list is a choice without a condition.

        The conditions must be sound (see `runner.search.spec_rules`).
        """
        given = {key: value if isinstance(value, Span | Choice) else Choice(choices=tuple(value)) for key, value in self.space.items()}
        ordered: dict[str, Span | Choice] = {}
        while len(ordered) < len(given):
            for key, dimension in given.items():
                if key not in ordered and (dimension.when is None or Expression.parse(dimension.when).names <= ordered.keys()):
                    ordered[key] = dimension
                    break
            else:
                raise ValueError("the conditions of the space name unknown keys or each other")
        return ordered

    def fresh_seeds(self, count: int) -> tuple[int, ...]:
        """Return `count` seeds that no trial of the sweep has, to confirm the winner."""
        first = max(self.seeds) + 1
        return tuple(range(first, first + count))

    def config_path(self, sweep_file: Path) -> Path:
        """Return the path of the baseline's config, given that of the sweep file."""
        return find_named(self.config, sweep_file)
