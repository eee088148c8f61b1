"""What a search is: it says which trial comes next and is told how it ended. It never starts anything."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Literal, Protocol

from runner.core.values import safe_name


@dataclass(frozen=True, slots=True)
class Trial:
    """One point of the design.

    Args:
        number: 0 is the baseline; never used twice in a sweep.
        overrides: dotted key to value, against the sweep's config with its own overrides: only what differs from the
            baseline.
        label: for people: ``batch_size=8, schedule=800``; ``baseline`` for the baseline.
    """

    number: int
    overrides: Mapping[str, Any]
    label: str


@dataclass(frozen=True, slots=True)
class TrialResult:
    """How a trial ended.

    Args:
        state: done if every seed is; failed if one failed for good; pruned if it was given up on purpose.
        values: seed to the sweep's metric on the last checkpoint, for the runs that have one.
        reason: why it failed or was pruned, for people.
    """

    state: Literal["done", "failed", "pruned"]
    values: Mapping[int, float] = field(default_factory=dict)
    reason: str = ""


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

    def planned(self) -> Sequence[Trial]:
        """The trials known in advance, the baseline first: all are validated before the first one starts."""

    def ask(self) -> Trial | Wait | None:
        """The next trial to run; `WAIT` if that depends on results still to come; None if there will be no more.

        A trial is handed out once. Every trial handed out is told once, unless the program ends before.
        """

    def tell(self, trial: Trial, result: TrialResult) -> None:
        """A trial has ended. Also called, before the first `ask`, for the trials an earlier driver of the same sweep
        has finished: they are then not handed out again. Telling the same result twice changes nothing."""


class FixedDesign:
    """A search whose trials were all fixed in advance: it hands them out in order.

    Raises:
        ValueError: two trials with one number.
    """

    def __init__(self, trials: Sequence[Trial]) -> None:
        if len({trial.number for trial in trials}) != len(trials):
            raise ValueError("two trials have the same number")
        self._trials = tuple(trials)
        self._waiting = deque(self._trials)

    def planned(self) -> Sequence[Trial]:
        """All trials."""
        return self._trials

    def ask(self) -> Trial | Wait | None:
        """The next trial in order, None after the last. Never waits."""
        return self._waiting.popleft() if self._waiting else None

    def tell(self, trial: Trial, result: TrialResult) -> None:
        """Results change nothing here, except that a trial that has ended is not handed out any more."""
        del result
        self._waiting = deque(other for other in self._waiting if other.number != trial.number)


def run_name(trial: Trial, seed: int) -> str:
    """Name of the directory of `trial`'s run with `seed`: ``0003-batch_size=8-s1``.

    The number is the trial's, so that the runs of a trial stand together and a name does not change when a seed is
    added. It also keeps two trials apart whose labels look alike as file names.
    """
    return f"{trial.number:04d}-{safe_name(trial.label)}-s{seed}"
