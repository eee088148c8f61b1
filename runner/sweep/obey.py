"""Carrying out requests: signals, and commands of this process or of other terminals."""

from __future__ import annotations

from runner.store.commands import Command, Unreadable
from runner.store.events import CommandIgnored, CommandReceived, TrialPruned
from runner.sweep.active import ActiveSweep
from runner.sweep.pool import SAVE_GRACE_S
from runner.sweep.requests import Interrupt

_STOPPED_ON_REQUEST = "stopped on request"


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
        sweep.prune(trial, TrialPruned(trial.trial.number, _STOPPED_ON_REQUEST))
    pruned = 0 if trials else sweep.pool.prune(_STOPPED_ON_REQUEST, lambda run: run.identity.id == target)
    return "" if trials or pruned else "no active run or trial has this name"
