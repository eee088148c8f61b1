"""Carrying out requests: signals, and commands of this process or of other terminals."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from runner.store.commands import STOPPED_ON_REQUEST, Command, Unreadable
from runner.store.events import CommandIgnored, CommandReceived, TrialPruned
from runner.sweep.active import ActiveSweep
from runner.sweep.pool import SAVE_GRACE_S
from runner.sweep.requests import Interrupt, Requests

_INTERVAL_S = 0.2


def handle(sweep: ActiveSweep, request: Command | Unreadable | Interrupt) -> None:
    """Carry out a request and record it in the journal."""
    if isinstance(request, Interrupt):
        sweep.stop(SAVE_GRACE_S if request.is_first else 0.0)
    elif isinstance(request, Unreadable):
        sweep.listeners.on_event(CommandIgnored(request.text, "not a command"))
    elif ignored := _obey(sweep, request):
        sweep.listeners.on_event(CommandIgnored(str(request), ignored))
    else:
        sweep.listeners.on_event(CommandReceived(request.action, request.run))


@contextmanager
def heeding(sweep: ActiveSweep, requests: Requests) -> Iterator[None]:
    """Carry out requests while a task runs in this process: a second thread does so, as long as this one touches nothing of the sweep."""
    if not (sweep.pool.in_process and sweep.pool.running):
        yield
        return
    done = threading.Event()

    def heed() -> None:
        while not done.wait(_INTERVAL_S):
            for request in requests.read():
                handle(sweep, request)

    with ThreadPoolExecutor(1) as executor:
        heeded = executor.submit(heed)
        try:
            yield
        finally:
            done.set()
        heeded.result()


def _obey(sweep: ActiveSweep, command: Command) -> str:
    """Carry out a command; return why it cannot be carried out, empty if it was."""
    match command.action:
        case "quit":
            sweep.stop(SAVE_GRACE_S)
        case "pause":
            sweep.limits.pause(paused=True)
            if command.save:
                sweep.pool.save_all()
        case "resume":
            sweep.limits.pause(paused=False)
        case "stop":
            return _stop_one(sweep, command.run or "")
        case "retry" if sweep.limits.is_stopping:
            return "the sweep is stopping"
        case "retry":
            try:
                sweep.queue.reopen_failed()
            except OSError as error:
                sweep.limits.disk.report_full(error)
    return ""


def _stop_one(sweep: ActiveSweep, target: str) -> str:
    """End a run, or all runs of a trial, for good; return why that is impossible, empty if it was done."""
    trials = sweep.queue.open_trials(target)
    for trial in trials:
        sweep.prune(trial, TrialPruned(trial.trial.number, STOPPED_ON_REQUEST))
    if trials or sweep.pool.prune(STOPPED_ON_REQUEST, lambda run: run.identity.id == target):
        return ""
    return "" if sweep.queue.stop(target) else "no planned or active run or trial has this name"
