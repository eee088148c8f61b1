"""What a search is: it says which trial comes next and is told how it ended. It never starts anything."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Literal, Protocol, runtime_checkable

from runner.core.values import format_value, safe_name


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
    """How a trial ended.

    Args:
        state: done if every seed is; infeasible if one does not fit into the memory; failed if one failed for good; pruned if it was
            given up on purpose.
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
class Report:
    """An evaluation of a run that goes on.

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
    """Where trials come from.

    Duties: all calls come from one thread. A search owns no files of the sweep (an adaptive one may keep a database
    that can be rebuilt by `tell`). The same calls in the same order give the same trials, also in a new process.
    """

    wants_reports: bool
    """Whether `report` may give a trial up; else it is never called."""

    def planned(self) -> Sequence[Trial]:
        """The trials known in advance, the baseline first: all are validated before the first one starts."""

    def ask(self) -> Trial | Wait | None:
        """The next trial to run; `WAIT` if that depends on results still to come; None if there will be no more.

        A (trial, seed) is handed out once; the same trial may come again with further seeds. Whatever was handed out is told once, unless
        the program ends before.
        """

    def tell(self, trial: Trial, result: TrialResult) -> None:
        """A trial has ended, with the seeds it was handed out with. Also called, before the first `ask`, for what an earlier driver of
        the same sweep has finished, in the order in which it was handed out: it is then not handed out again. Telling the same result
        twice changes nothing."""

    def resume(self, trial: Trial) -> None:
        """Called, before the first `ask` and in its place in the order of the `tell` calls, for a trial that an earlier driver was handed
        and whose runs have not all ended: it is running again, will be told, and is not handed out again."""

    def report(self, trial: Trial, report: Report) -> str | None:
        """An evaluation during training, in the order of the steps of each run. The reason to give the whole trial up now, or None. May
        be called again for the same (trial, seed, step) by a later driver."""


@runtime_checkable
class Finishes(Protocol):
    """A search that has something to do when the time for it is used up: to confirm what it has found."""

    def finish(self) -> None:
        """Propose nothing new. What was handed out still ends and is told, and `ask` gives what belongs to the end."""


class FixedDesign:
    """A search whose trials were all fixed in advance: it hands them out in order.

    Raises:
        ValueError: two trials with one number.
    """

    def __init__(self, trials: Sequence[Trial]) -> None:
        if len({trial.number for trial in trials}) != len(trials):
            raise ValueError("two trials have the same number")
        self._trials = tuple(trials)
        self._waiting = {trial.number: trial for trial in self._trials}
        self.wants_reports = False

    def planned(self) -> Sequence[Trial]:
        """All trials."""
        return self._trials

    def ask(self) -> Trial | Wait | None:
        """The next trial in order, None after the last. Never waits."""
        return self._waiting.pop(next(iter(self._waiting))) if self._waiting else None

    def tell(self, trial: Trial, result: TrialResult) -> None:
        """Results change nothing here, except that a trial that has ended is not handed out any more."""
        del result
        self._waiting.pop(trial.number, None)

    def resume(self, trial: Trial) -> None:
        """It is not handed out any more."""
        self._waiting.pop(trial.number, None)

    def report(self, trial: Trial, report: Report) -> str | None:
        """A fixed design gives nothing up."""
        del trial, report
        return None


def run_name(trial: Trial, seed: int) -> str:
    """Name of the directory of `trial`'s run with `seed`: ``0003-batch_size=8-s1``.

    The number is the trial's, so that the runs of a trial stand together and a name does not change when a seed is
    added. It also keeps two trials apart whose labels look alike as file names: numbers have six digits there.
    """
    label = _LONG_NUMBER.sub(lambda found: format_value(float(found[0])), trial.label)
    return f"{trial.number:04d}-{safe_name(label)}-s{seed}"


_LONG_NUMBER: Final = re.compile(r"(?<![\w.])\d+\.\d{6,}(e[-+]?\d+)?(?![\w.])")
