"""The sweep file: what is varied, over which seeds, and what is measured. `runner.search.check` says what is wrong with one."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from runner.config.load import find_named
from runner.config.schema import Doc, Form, Formerly, Key, Range, Rest
from runner.core.expression import Expression

DURATIONS = ("resources.timeout", "resources.stall")
"""Keys that may be written as ``1h30m`` too. `runner.search.load` reads them as seconds."""

COMPONENTS = ("sampler", "pruner")
"""Keys of which a bare name is enough. `runner.search.load` reads it as ``{name: …}``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """A varied key with a name of its own: ``{label: schedule, values: [400, 800]}``."""

    form: ClassVar[Form] = "plain"
    values: Annotated[tuple[Any, ...], Doc("the values to try; the baseline's own value need not be among them")]
    label: Annotated[str | None, Doc("what it is called in run names and tables; default: the end of its key")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Numbers from `low` to `high`, both included, for Optuna to choose from: integers if all that is given is integers."""

    form: ClassVar[Form] = "plain"
    low: Annotated[int | float, Doc("smallest value; 1 is an integer, 1.0 is not")]
    high: Annotated[int | float, Doc("largest value")]
    log: Annotated[bool, Doc("as many values between 0.001 and 0.01 as between 0.01 and 0.1")] = False
    step: Annotated[int | float | None, Doc("only low, low + step, low + 2 step, …"), Range(0, open_low=True)] = None
    when: Annotated[str | None, Doc("varied only where this holds: an expression of other keys of the space, `a.type == Momentum`")] = None

    @property
    def integer(self) -> bool:
        """Whether its values are integers."""
        return all(isinstance(value, int) for value in (self.low, self.high, self.step or 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Values for Optuna to choose from, under a condition; without one a list is enough."""

    form: ClassVar[Form] = "plain"
    choices: Annotated[tuple[Any, ...], Doc("the values")]
    when: Annotated[str | None, Doc("varied only where this holds, as for a span")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One of Optuna's samplers or pruners by the name of its class, with its arguments: ``{name: TPESampler, n_startup_trials: 8}``."""

    form: ClassVar[Form] = "plain"
    name: Annotated[str, Doc("of the class in optuna.samplers or optuna.pruners")]
    arguments: Annotated[dict[str, Any], Doc("every other key is an argument of it"), Rest()] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Racing:
    """Seeds are added only to the trials about which the decision is still open."""

    form: ClassVar[Form] = "plain"
    max_seeds: Annotated[int, Doc("most seeds that a trial gets, those under `seeds` included"), Range(3)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """What decides which trial is better."""

    form: ClassVar[Form] = "plain"
    name: Annotated[str, Doc("tag of the metric, as in metrics.jsonl: bbox/AP, bbox/AP50, bbox/AP/<class>")] = "bbox/AP"
    goal: Annotated[Literal["maximize", "minimize"], Doc("which way is better")] = "maximize"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """When a sweep starts nothing more. What runs then goes on to its end."""

    form: ClassVar[Form] = "plain"
    runs: Annotated[int | None, Doc("most runs; one that is resumed or tried again is not another one"), Range(1)] = None
    hours: Annotated[float | None, Doc("most hours of the clock, all drivers of the sweep together"), Range(0, open_low=True)] = None
    gpu_hours: Annotated[float | None, Doc("most hours of GPUs: a run on half a GPU costs half its time"), Range(0, open_low=True)] = None
    failures_in_a_row: Annotated[
        int,
        Doc(
            "the sweep stops after so many failed runs one after the other, of more than one trial, and says what they share; runs that "
            "end with not_finite, out_of_memory or timeout speak of their trial's values: they do not count and end the row"
        ),
        Range(1),
    ] = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a run may use, how many go at a time, and when one is given up."""

    form: ClassVar[Form] = "plain"
    gpus: Annotated[
        float | None,
        Doc("GPUs of a run: a whole number, or the share of one that several runs use together; null: 1 where they train on GPUs"),
        Range(0, open_low=True),
    ] = None
    cpus: Annotated[int, Doc("cores of a run: its numeric libraries use so many threads"), Range(1)] = 1
    memory_gib: Annotated[
        float | None,
        Formerly("memory_gb"),
        Doc("most resident memory of a run, in GiB; one that needs more is out of memory; null: no limit"),
        Range(0, open_low=True),
    ] = None
    concurrency: Annotated[
        int | Literal["auto"],
        Doc("runs at a time; auto: as many as the GPUs hold where they train on GPUs, else cores / cpus"),
        Range(1),
    ] = "auto"
    timeout_s: Annotated[
        float | None, Key("timeout"), Doc("longest that an attempt may take: 90s, 10m, 2h, 1h30m, 1d, or seconds"), Range(0, open_low=True)
    ] = None
    stall_s: Annotated[
        float,
        Key("stall"),
        Doc("a run that shows no progress for so long is hung, and is stopped (written like `timeout`)"),
        Range(0, open_low=True),
    ] = 600.0
    retries: Annotated[int, Doc("how often a run that crashed or hung is tried again, from its last checkpoint"), Range(0)] = 2


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
        str,
        Doc(
            "one_at_a_time: one key changed a trial; grid: every combination; zip: the first values together, then the second ones, …; "
            "list: the trials as listed; optuna: what a sampler proposes; or the name of an installed design"
        ),
    ] = "one_at_a_time"
    vary: Annotated[dict[str, tuple[Any, ...] | Factor], Doc("dotted key to its values (one_at_a_time, grid, zip)")] = field(
        default_factory=dict
    )
    trials: Annotated[tuple[dict[str, Any], ...], Doc("a mapping of dotted keys to values a trial, besides the baseline (list)")] = ()
    derive: Annotated[
        dict[str, Annotated[str, Doc("an expression")]],
        Formerly("couple"),
        Doc("dotted key to an expression: what follows a varied key where it is not itself varied; `base` is its value in the baseline"),
    ] = field(default_factory=dict)
    combine_best: Annotated[
        bool, Formerly("join_best"), Doc("a last trial that combines the best value of each key that made it better (one_at_a_time)")
    ] = False
    space: Annotated[dict[str, Span | Choice | tuple[Any, ...]], Doc("dotted key to a span or a list of choices (optuna)")] = field(
        default_factory=dict
    )
    sampler: Annotated[Component, Doc("what proposes the trials (optuna)")] = field(default_factory=lambda: Component(name="TPESampler"))
    pruner: Annotated[Component | None, Doc("what gives trials up early, by their evaluations during training (optuna)")] = None
    constraints: Annotated[
        tuple[Annotated[str, Doc("an expression")], ...],
        Doc("comparisons of metrics that a trial has to keep, `resource/memory_gib <= 8` (optuna)"),
    ] = ()
    confirm_seeds: Annotated[
        int, Formerly("confirm"), Doc("fresh seeds that the winner is run with before it is called one; 0: none (optuna)"), Range(0)
    ] = 3
    seeds: Annotated[tuple[int, ...], Doc("every trial is run once with each"), Range(0, 2**31 - 1)] = (0,)
    racing: Annotated[Racing | None, Doc("add seeds where the decision is open (not optuna)")] = None
    metric: Annotated[Metric | tuple[Metric, ...], Doc("what decides; of several the first one does, and Optuna optimises all")] = field(
        default_factory=Metric
    )
    budget: Annotated[Budget, Doc("when nothing more is started")] = field(default_factory=Budget)
    resources: Annotated[Resources, Doc("what a run may use")] = field(default_factory=Resources)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """All metrics. The first one decides where only one can."""
        return self.metric if isinstance(self.metric, tuple) else (self.metric,)

    def factors(self) -> dict[str, Factor]:
        """The varied keys in their order, each with its values and its label or None."""
        return {key: value if isinstance(value, Factor) else Factor(values=tuple(value)) for key, value in self.vary.items()}

    def dimensions(self) -> dict[str, Span | Choice]:
        """The space, each key after those that its condition names. A list is a choice without a condition.

        The conditions must be sound (see `runner.search.check`).
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
        """`count` seeds for the winner that no trial of the sweep has."""
        first = max(self.seeds) + 1
        return tuple(range(first, first + count))

    def config_path(self, sweep_file: Path) -> Path:
        """Where the baseline's config lies, given where this spec was read from."""
        return find_named(self.config, sweep_file)
