"""Interfaces of searches: a `Design` is what a sweep file names, a `Search` proposes its trials. Neither starts anything."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Protocol, runtime_checkable

from runner.core.errors import InputError, PluginError, Problem
from runner.core.registry import Registry
from runner.core.values import format_value, safe_name

if TYPE_CHECKING:
    from runner.search.spec import SweepSpec

Baseline = Callable[[str], Any]
"""The baseline's resolved value of a dotted key; `runner.core.values.ABSENT` if it has none."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One point of the design.

    Args:
        number: 0 is the baseline; never used twice in a sweep.
        overrides: dotted key to value, against the sweep's config with its own overrides: only what differs from the
            baseline.
        label: for people: ``batch_size=8, schedule=800``; ``baseline`` for the baseline.
        seeds: the seeds to run it with now; None: all seeds of the sweep.
        proposal: see `runner.store.run_dir.Identity.proposal`.
    """

    number: int
    overrides: Mapping[str, Any]
    label: str
    seeds: tuple[int, ...] | None = None
    proposal: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrialResult:
    """Result of a trial.

    Args:
        state: done if every seed is; infeasible if one does not fit into the memory; failed if one failed for good; pruned if it was
            stopped on purpose.
        values: seed to tag to number, all finite: the metrics of the last checkpoint, and the most memory that was used
            (``resource/memory_gib``, ``resource/gpu_memory_gib``), for the runs that are done.
        reports: seed to (step, tag → number) of every evaluation that counts, in order; of runs that are not done too.
        reason: why it failed or was pruned, for people.
    """

    state: Literal["done", "failed", "infeasible", "pruned"]
    values: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    reports: Mapping[int, Sequence[tuple[int, Mapping[str, float]]]] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class IntermediateResult:
    """An evaluation of a run that is not done.

    Args:
        seed: the run's.
        step: optimiser steps done; steps: in all.
        values: tag to number, all finite.
    """

    seed: int
    step: int
    steps: int
    values: Mapping[str, float]


class Wait(Enum):
    """The type of `WAIT`."""

    WAIT = "wait"


WAIT: Final = Wait.WAIT
"""Answer of `Search.ask`: nothing now, but there may be after the next `tell`."""


class Search(Protocol):
    """Source of a sweep's trials.

    Duties: all calls come from one thread. A search owns no files of the sweep (an adaptive one may keep a database that can be rebuilt by
    `tell`). The same calls in the same order give the same trials, also in a new process.
    """

    is_fixed: bool
    """True if `planned` has every trial, each asked for once and with all seeds, whatever the results: such trials may be asked for ahead
    of time, and one that an earlier driver was handed counts only if it is still planned."""
    wants_reports: bool
    """True if `report` may prune a trial; otherwise it is never called."""

    def planned(self) -> Sequence[Trial]:
        """Return the trials known in advance, the baseline first: all are validated before the first one starts."""

    def ask(self) -> Trial | Wait | None:
        """Return the next trial to run; `WAIT` if that depends on results still to come; None if there will be no more.

        A (trial, seed) is handed out once; the same trial may come again with further seeds. The result of each one handed out is given to
        `tell` once, unless the program ends before.
        """

    def tell(self, trial: Trial, result: TrialResult) -> None:
        """Take the result of a trial, over the seeds it was handed out with. Also called, before the first `ask`, for what an earlier
        driver of the same sweep has finished, in the order in which it was handed out: it is then not handed out again. Giving the
        same result twice changes nothing."""

    def resume(self, trial: Trial) -> None:
        """Take a trial that an earlier driver was handed and whose runs have not all ended: it is running again, its result will come by
        `tell`, and it is not handed out again. Called before the first `ask`, in its place in the order of the `tell` calls."""

    def report(self, trial: Trial, report: IntermediateResult) -> str | None:
        """Judge a trial by an evaluation during training, in the order of the steps of each run: return the reason to prune the whole
        trial now, or None. May be called again for the same (trial, seed, step) by a later driver."""


@runtime_checkable
class Finishes(Protocol):
    """A search that does something when its budget is spent: it confirms what it has found."""

    def finish(self) -> None:
        """Propose nothing new. Trials that are running still end and are given to `tell`; `ask` returns only the final trials."""


class Design(Protocol):
    """A way to choose trials: what `design` names in a sweep file. Its class is called without arguments.

    A class that inherits from this has the default of each method that has one.
    """

    keys: ClassVar[tuple[str, ...]]
    """Keys of the sweep file, of `runner.search.spec_rules.DESIGN_KEYS`, that it uses; the others are refused."""
    required: ClassVar[str]
    """One of `keys`, which must not be empty: the trials are made from it. Empty: none."""
    adaptive: ClassVar[bool]
    """True if results decide which trials there are. Otherwise all are known in advance, except what `combine_best` adds."""
    report: ClassVar[Literal["comparison", "search"]]
    """Subject of the report on its sweeps: ``comparison`` of each trial with the baseline, or ``search``, a ranking."""
    packages: ClassVar[tuple[str, ...]] = ()
    """Distributions that it needs, beyond those of `runner`."""
    requirement: ClassVar[str] = ""
    """Argument of ``pip install`` that installs them, for messages; ``.[NAME]`` is an extra of runner."""
    database: ClassVar[str]
    """SQLite file in the sweep directory that its search keeps, with a table ``trials``, and makes anew if it is missing. Empty: none."""

    def check(self, spec: SweepSpec) -> Iterable[Problem]:
        """Find what is wrong in a sweep file, beyond the use of its keys."""
        del spec
        return ()

    def trials(self, spec: SweepSpec, baseline: Baseline) -> Sequence[Trial]:
        """Return the trials known in advance, the baseline first.

        Raises:
            InputError: what is wrong in them, now that the baseline's values are known.
        """

    def build(self, spec: SweepSpec, trials: Sequence[Trial], baseline: Baseline, folder: Path | None) -> Search:
        """Make the search over `trials`, or the one that starts from them.

        Args:
            folder: the sweep's directory, for a search that keeps a database; None: nothing is written, the search is only made to be
                checked.

        Raises:
            InputError: it cannot be made of this sweep file; a package is missing.
        """

    def outlook(self, spec: SweepSpec) -> Sequence[str]:
        """Describe, line by line, what is tried beside the trials known in advance."""
        del spec
        return ()

    def varied_together(self, spec: SweepSpec) -> Iterable[set[str]]:
        """Return the sets of keys that change in one trial. The default: all keys that are varied."""
        return [{*spec.vary, *spec.space, *(key for trial in spec.trials for key in trial)}]


BUILTIN_DESIGNS: Final = {
    "grid": "runner.search.designs:GridDesign",
    "list": "runner.search.designs:ListDesign",
    "one_at_a_time": "runner.search.designs:OneAtATimeDesign",
    "optuna": "runner.search.optuna.design:OptunaDesign",
    "zip": "runner.search.designs:ZipDesign",
}
DESIGNS: Registry[type[Design]] = Registry("design", BUILTIN_DESIGNS, Design)
"""Other distributions add theirs by the entry point group ``runner.designs``. A contract suite is in `runner.testing.searches`."""


def design_name(plan: Mapping[str, Any]) -> str:
    """Return the name of the design of a plan.json; empty where it has none."""
    name = (plan.get("spec") or {}).get("design")
    return name if isinstance(name, str) else ""


def find_design(plan: Mapping[str, Any]) -> Design | None:
    """Return the design of a plan.json, to read what a sweep has done; None where it has none, or one that is not installed here."""
    name = design_name(plan)
    try:
        return DESIGNS.get(name)() if name else None
    except (InputError, PluginError):
        return None


class FixedSearch:
    """A search over trials that are all known in advance: it hands them out in order.

    Raises:
        ValueError: two trials with one number.
    """

    def __init__(self, trials: Sequence[Trial]) -> None:
        if len({trial.number for trial in trials}) != len(trials):
            raise ValueError("two trials have the same number")
        self._trials = tuple(trials)
        self._waiting = {trial.number: trial for trial in self._trials}
        self.is_fixed, self.wants_reports = True, False

    def planned(self) -> Sequence[Trial]:
        """Return all trials."""
        return self._trials

    def ask(self) -> Trial | Wait | None:
        """Return the next trial in order, None after the last. Never waits."""
        return self._waiting.pop(next(iter(self._waiting))) if self._waiting else None

    def tell(self, trial: Trial, result: TrialResult) -> None:
        """Do not hand out a trial that has ended; its result changes nothing."""
        del result
        self._waiting.pop(trial.number, None)

    def resume(self, trial: Trial) -> None:
        """Do not hand it out."""
        self._waiting.pop(trial.number, None)

    def report(self, trial: Trial, report: IntermediateResult) -> str | None:
        """Prune nothing."""
        del trial, report
        return None


def run_name(trial: Trial, seed: int) -> str:
    """Return the name of the directory of `trial`'s run with `seed`: ``0003-batch_size=8-s1``.

    The number is the trial's, so that the runs of a trial are listed together and a name does not change when a seed is
    added. It also keeps two trials apart whose labels look alike as file names: numbers have six digits there.
    """
    label = _LONG_NUMBER.sub(lambda found: format_value(float(found[0])), trial.label)
    return f"{trial.number:04d}-{safe_name(label)}-s{seed}"


def trial_number(name: str) -> str:
    """Return the number of the trial in the name of a run, as text: ``3`` of ``0003-batch_size=8-s1``."""
    return name.partition("-")[0].lstrip("0") or "0"


_LONG_NUMBER: Final = re.compile(r"(?<![\w.])\d+\.\d{6,}(e[-+]?\d+)?(?![\w.])")
