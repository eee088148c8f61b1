"""Events of a sweep's journal: each is a line of ``journal.jsonl``, with the name of its class in snake case as ``event``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from runner.core.errors import Cause
from runner.core.typed import Count, Moment, Name, build
from runner.store.run_dir import State


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a sweep.

    Args:
        time: seconds since 1970; set when the event is appended.
    """

    time: Moment = field(default=0.0, kw_only=True)


# ------------------------------------------------------------------------------------------------------------------ trials
@dataclass(frozen=True, slots=True)
class TrialQueued(Event):
    """The search proposed a trial, and its runs were put into the queue.

    Args:
        seeds: the seeds it was proposed with; None: all seeds of the sweep.
        overrides, label, proposal: see `runner.search.base.Trial`.
    """

    trial: Count
    label: str
    overrides: Mapping[str, Any]
    seeds: tuple[Count, ...] | None
    proposal: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TrialRefused(Event):
    """A trial was refused: its config is invalid, so none of its runs can start."""

    trial: Count
    reason: str


@dataclass(frozen=True, slots=True)
class TrialPruned(Event):
    """A trial was pruned, by the search after an evaluation (`seed`, `step`), or on request (both None)."""

    trial: Count
    reason: str
    seed: Count | None = None
    step: Count | None = None


# -------------------------------------------------------------------------------------------------------------------- runs
@dataclass(frozen=True, slots=True)
class RunStarted(Event):
    """An attempt of a run was dispatched."""

    run: Name
    trial: Count
    seed: Count
    key: str
    attempt: Count


@dataclass(frozen=True, slots=True)
class RunEnded(Event):
    """A run ended, and is not retried.

    Args:
        cause, reason: see `runner.store.run_dir.Status`.
        values: tag to number of the last checkpoint; None unless the run is done.
        time_s: seconds that the last attempt took.
        spent_s: seconds that the sweep's drivers have worked until now; gpu_s: GPU seconds that its runs have used.
    """

    run: Name
    trial: Count
    seed: Count
    key: str
    state: State
    cause: Cause | None = None
    reason: str | None = None
    values: Mapping[str, float] | None = None
    time_s: Moment = 0.0
    spent_s: Moment = 0.0
    gpu_s: Moment = 0.0


@dataclass(frozen=True, slots=True)
class RunRetried(Event):
    """An attempt failed or was ended from outside, and the run went back into the queue."""

    run: Name
    trial: Count
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class RunSaved(Event):
    """A run saved and ended because the sweep was paused, and went back into the queue."""

    run: Name
    trial: Count


@dataclass(frozen=True, slots=True)
class RunBlocked(Event):
    """Another process is working on a run; the driver tries it again later."""

    run: Name
    trial: Count
    reason: str


@dataclass(frozen=True, slots=True)
class RunReopened(Event):
    """A run that had ended may be started again, on request."""

    run: Name


@dataclass(frozen=True, slots=True)
class LateResultIgnored(Event):
    """A run reported its end after its trial had been pruned."""

    run: Name
    state: State


@dataclass(frozen=True, slots=True)
class ReuseRefused(Event):
    """A finished run with the same key in another sweep cannot be reused."""

    run: Name
    trial: Count
    reason: str


@dataclass(frozen=True, slots=True)
class RecordsLost(Event):
    """`runner verify --repair` found that records of a run are lost for good."""

    run: Name
    reason: str


@dataclass(frozen=True, slots=True)
class OverrideNotWritten(Event):
    """The driver's conclusion about a run could not be written to the run's directory."""

    run: Name
    state: State
    reason: str


# ------------------------------------------------------------------------------------------------------------------- sweep
@dataclass(frozen=True, slots=True)
class BudgetSpent(Event):
    """A budget is used up."""

    reason: str


@dataclass(frozen=True, slots=True)
class SweepPaused(Event):
    """No further runs are started for now."""

    reason: str


@dataclass(frozen=True, slots=True)
class SweepResumed(Event):
    """Runs are started again."""

    reason: str


@dataclass(frozen=True, slots=True)
class SweepStopped(Event):
    """The driver stops the sweep once the active runs have ended."""

    reason: str


@dataclass(frozen=True, slots=True)
class CommandReceived(Event):
    """A request to the driver was carried out (see `runner.store.commands.Command`)."""

    action: str
    target: str | None = None


@dataclass(frozen=True, slots=True)
class CommandIgnored(Event):
    """A request to the driver was not carried out.

    Args:
        text: the request, shortened.
    """

    text: str
    reason: str


def kind_of(event: type[Event]) -> str:
    """Return the name of a class of events in the journal: ``run_ended`` for RunEnded."""
    return _KINDS[event]


def event_to_json(event: Event) -> dict[str, Any]:
    """Return the JSON object of an event, ``event`` first and ``time`` last."""
    names = [each.name for each in fields(event) if each.name != "time"]
    return {"event": kind_of(type(event)), **{name: getattr(event, name) for name in names}, "time": event.time}


def event_from_json(value: Mapping[str, Any]) -> Event | None:
    """Return the event in a JSON object; None for an unknown kind, a missing field or one of another type."""
    kind = value.get("event")
    cls = EVENTS.get(kind) if isinstance(kind, str) else None
    return build(cls, value) if cls is not None else None


_KINDS: Mapping[type[Event], str] = {cls: re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower() for cls in Event.__subclasses__()}
EVENTS: Mapping[str, type[Event]] = {kind: cls for cls, kind in _KINDS.items()}
"""Name in the journal to class."""
