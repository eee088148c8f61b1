"""Requests to the driver of a sweep, and the state of a sweep as its driver sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from runner.store.run_dir import RunDir

Action = Literal["pause", "resume", "stop", "retry", "quit"]
STOPPED_ON_REQUEST = "stopped on request"
"""Reason of a trial or run that counts as pruned because of a `stop`."""


@dataclass(frozen=True, slots=True)
class Command:
    """A request to the driver of a sweep.

    Args:
        action: pause: start no further runs; resume: start runs again; stop: end one run, or all runs of a trial, for good; retry: start
            failed runs again; quit: save and end everything, so that the sweep can be resumed.
        run: `stop` only: name of the run's directory, or number of the trial.
        save: `pause` only: also save and end the active runs; `resume` continues them from there.
    """

    action: Action
    run: str | None = None
    save: bool = False

    def __str__(self) -> str:
        return " ".join([self.action, *([self.run] if self.run else []), *(["--save"] if self.save else [])])


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A line of control.jsonl that is not a command.

    Args:
        text: the line, shortened.
    """

    text: str


@dataclass(frozen=True, slots=True)
class Situation:
    """The state of a sweep as its driver sees it.

    Args:
        slots: runs that may be active at a time; used: active runs.
        paused: why no further runs are started; empty if they are. by_hand: because a command asked for it.
        best: the best trial so far, for people: ``0007-base_lr=0.02: bbox/AP 0.412``; empty while there is none.
        running: the active runs; None: unknown, the monitor has to find out itself.
        ended: runs that have ended since the last situation, or had ended before; may list a run again.
        not_started: runs that were pruned before they had a directory, since the last situation.
        stopped: why the sweep ends before all of its work is done: "interrupted", or the budget; empty while it continues.
    """

    slots: int = 1
    used: int = 0
    paused: str = ""
    best: str = ""
    running: Sequence[RunDir] | None = None
    ended: Sequence[RunDir] = ()
    not_started: Sequence[RunDir] = ()
    by_hand: bool = False
    stopped: str = ""
