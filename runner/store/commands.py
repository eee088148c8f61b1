"""What a person asks of a sweep that runs, and what they are shown of it besides the run directories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from runner.store.run_dir import RunDir

Action = Literal["pause", "resume", "stop", "retry", "quit"]


@dataclass(frozen=True, slots=True)
class Command:
    """A wish, from a key pressed or from another terminal.

    Args:
        action: pause: start nothing new; resume: start again; stop: end one run, or all of a trial, for good; retry: start failed runs
            again; quit: save and end everything, so that the same command goes on with it.
        run: name of the run's directory, or the number of the trial, that `stop` means.
    """

    action: Action
    run: str | None = None


@dataclass(frozen=True, slots=True)
class Situation:
    """How a sweep stands, as its conductor sees it.

    Args:
        slots: runs that may go at a time; used: that do.
        paused: why nothing new is started; empty if it is. by_hand: because somebody wanted so.
        best: the best trial so far in words: ``0007-base_lr=0.02: bbox/AP 0.412``; empty while there is none.
        running: the runs that have a slot now; None: not told, who watches looks for itself.
        stopped: why the sweep ends before everything it was to do is done: "interrupted", or the budget; empty while it goes on.
        ended: those that have ended since this was last told, or were found to have ended before; may name one again.
    """

    slots: int = 1
    used: int = 0
    paused: str = ""
    best: str = ""
    running: Sequence[RunDir] | None = None
    ended: Sequence[RunDir] = ()
    by_hand: bool = False
    stopped: str = ""
