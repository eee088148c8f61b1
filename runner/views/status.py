"""The output of `runner status`."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from runner.core.text import printable
from runner.core.values import counted, listed, shell_path
from runner.monitor.overview import Failure, Overview
from runner.store.events import (
    BudgetSpent,
    CommandIgnored,
    CommandReceived,
    Event,
    LateResultIgnored,
    OverrideNotWritten,
    RecordsLost,
    ReuseRefused,
    RunBlocked,
    RunEnded,
    RunReopened,
    RunRetried,
    RunSaved,
    RunStarted,
    SweepPaused,
    SweepResumed,
    SweepStopped,
    TrialPruned,
    TrialQueued,
    TrialRefused,
    kind_of,
)
from runner.views.screen import activity_text, metric_text, shorten
from runner.views.terminal import plain

_NAME_WIDTH = 40
_MOST_NAMES = 3
_MOST_RUNNING = 50


def render_status(overview: Overview, driver: str = "", *, brief: bool = False) -> RenderableType:
    """Show the state of a sweep: runs by state, driver, best trial, active and waiting runs, failures, last events.

    Args:
        driver: the process that drives it; empty if there is none.
        brief: one of several: without waiting runs and events.
    """
    parts: list[RenderableType] = [_summary(overview)]
    if overview.is_sweep:
        parts.append(plain(f"driver: {driver or _no_driver(overview)}", style="" if driver else "yellow"))
        if overview.paused:
            text = f"paused: {overview.paused}; nothing new starts; continue: runner resume {shell_path(overview.path)}"
            parts.append(plain(text, style="yellow"))
    parts += [plain(remark, style="yellow") for remark in overview.remarks]
    if overview.best is not None:
        best = overview.best
        of = f" (mean of {best.runs} runs)" if best.runs > 1 else ""
        parts.append(plain(f"best so far: {best.trial}: {best.metric} {best.value:.4g}{of}", style="green"))
    if overview.running:
        parts += [plain("running:"), *_running(overview)]
    if overview.waiting and not brief:
        parts.append(plain(f"waiting: {_names(overview.waiting)}", style="dim"))
    if overview.stopped:
        parts.append(plain(f"stopped on request: {_names(overview.stopped)}"))
    if overview.failures:
        parts += [plain("failed or interrupted:"), *map(_failure, overview.failures)]
    if overview.unlearned:
        shown = [f"{name}: {what}" for name, what in overview.unlearned[:_MOST_RUNNING]]
        more = len(overview.unlearned) - _MOST_RUNNING
        lines = [*shown, *([f"… and {more} more"] if more > 0 else [])]
        parts += [plain("hardly learned:"), *(plain(f"  {line}", style="yellow") for line in lines)]
    if overview.unjudged and not brief:
        parts.append(plain(f"not judged for learning: {counted(overview.unjudged, 'run')}; `runner compare` checks all", style="dim"))
    if overview.events and not brief:
        parts += [plain("last events:"), *(plain(f"  {_event(event)}") for event in overview.events)]
    return Group(*parts)


def _summary(overview: Overview) -> Group:
    total = sum(overview.counts.values())
    counts = ", ".join(f"{count} {name}" for name, count in overview.counts.items())
    runs = counted(total, "run") + (f": {counts}" if counts else "")
    return Group(plain(str(overview.path), style="bold"), plain(runs))


def _no_driver(overview: Overview) -> str:
    left = sum(overview.counts.get(name, 0) for name in ("waiting", "interrupted"))
    return "none" + (f"; continue: runner resume {shell_path(overview.path)}" if left else "")


def _running(overview: Overview) -> list[Text]:
    rows = []
    for run in overview.running[:_MOST_RUNNING]:
        status = run.status
        percent = "–" if run.percent is None else f"{run.percent} %"
        attempt = f"attempt {status.attempt}" if status.attempt > 1 else ""
        name, step = shorten(printable(run.name), _NAME_WIDTH), f"step {status.step}/{status.steps or '?'}"
        rows.append((name, step, percent, metric_text(overview.metric, run), activity_text(run), attempt))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True) if width) for row in rows]
    more = len(overview.running) - _MOST_RUNNING
    return [plain(f"  {line.rstrip()}") for line in [*lines, *([f"… and {more} more"] if more > 0 else [])]]


def _failure(failure: Failure) -> Text:
    cause = f"{failure.cause.replace('_', ' ')}: " if failure.cause and not failure.reason.startswith(failure.cause) else ""
    style = "red" if failure.standing == "failed" else ""
    text = plain(f"  {len(failure.runs)} × {failure.standing}: {cause}{failure.reason}", style)
    return text.append(printable(f" ({_names(failure.runs)})"), style="dim")


def _names(names: Sequence[str]) -> str:
    return listed(names, _MOST_NAMES)


def _event(event: Event) -> str:
    """Return the line of an event: ``11-28 12:03:11  0003-batch_size=8-s1 ended: failed: out of memory``."""
    clock = time.strftime("%m-%d %H:%M:%S", time.localtime(event.time)) if event.time > 0 else "?"
    return f"{clock}  {_words(event)}"


def _words(event: Event) -> str:  # noqa: PLR0911, PLR0912 - one case per event
    match event:
        case TrialQueued(trial=trial, label=label):
            return f"trial {trial} queued: {label}"
        case TrialRefused(trial=trial, reason=reason):
            return f"trial {trial} refused: {reason}"
        case TrialPruned(trial=trial, reason=reason):
            return f"trial {trial} pruned: {reason}"
        case RunStarted(run=run, attempt=attempt):
            return f"{run} started" + (f": attempt {attempt}" if attempt > 1 else "")
        case RunEnded(run=run, state=state, reason=reason):
            return f"{run} ended: {state}" + (f": {reason}" if reason else "")
        case RunRetried(run=run, reason=reason):
            return f"{run} retried" + (f": {reason}" if reason else "")
        case RunSaved(run=run):
            return f"{run} saved and ended: the sweep is paused"
        case RunBlocked(run=run, reason=reason):
            return f"{run} blocked: {reason}"
        case RunReopened(run=run):
            return f"{run} may start again"
        case LateResultIgnored(run=run, state=state):
            return f"{run} was {state} after its trial had been pruned: ignored"
        case ReuseRefused(run=run, reason=reason):
            return f"{run} not reused: {reason}"
        case RecordsLost(run=run, reason=reason):
            return f"{run} records lost: {reason}"
        case OverrideNotWritten(run=run, state=state, reason=reason):
            return f"{run} is {state}, which could not be written: {reason}"
        case BudgetSpent(reason=reason):
            return reason
        case SweepPaused(reason=reason):
            return f"paused: {reason}"
        case SweepResumed(reason=reason):
            return f"resumed: {reason}"
        case SweepStopped(reason=reason):
            return f"stopped: {reason}"
        case CommandReceived(action=action, target=target):
            return f"request: {action}" + (f" {target}" if target else "")
        case CommandIgnored(text=text, reason=reason):
            return f"request ignored: {text}: {reason}"
    return kind_of(type(event)).replace("_", " ")
