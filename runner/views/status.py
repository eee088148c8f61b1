"""What `runner status` shows of a sweep, or of runs, that go on elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from runner.core.text import printable
from runner.monitor.overview import Failure, Overview, RunNow
from runner.results.export import show_duration
from runner.views.screen import shorten
from runner.views.terminal import plain

_NAME_WIDTH = 40
_MOST_NAMES = 3
_MOST_RUNNING = 50
_EVENTS = {
    "trial": "handed out",
    "start": "started",
    "end": "ended",
    "prune": "given up",
    "retry": "starts again",
    "late": "came too late",
    "lost": "records lost",
}


def render_status(overview: Overview, driver: str = "", *, brief: bool = False, again: str = "the same `runner sweep`") -> RenderableType:
    """How a sweep stands: runs by state, who drives it, the best so far, those that go, what waits, what failed, what happened.

    Args:
        driver: who is at work on it; empty if nobody is.
        again: the command that goes on with it.
        brief: one of several: without what waits and what happened.
    """
    parts: list[RenderableType] = [_head(overview)]
    if overview.is_sweep:
        parts.append(plain(f"driver: {driver}" if driver else _no_driver(overview, again), style="" if driver else "yellow"))
    parts += [plain(remark, style="yellow") for remark in overview.remarks]
    if overview.best is not None:
        best = overview.best
        of = f" (mean of {best.runs} runs)" if best.runs > 1 else ""
        parts.append(plain(f"best so far: {best.trial}: {best.metric} {best.value:.4g}{of}", style="green"))
    if overview.running:
        parts += [plain("running:"), *_running(overview)]
    if overview.waiting and not brief:
        parts.append(plain(f"waiting: {_names(overview.waiting)}", style="dim"))
    if overview.failures:
        parts += [plain("did not end well:"), *map(_failure, overview.failures)]
    if overview.unlearned:
        shown = [f"{name}: {what}" for name, what in overview.unlearned[:_MOST_RUNNING]]
        more = len(overview.unlearned) - _MOST_RUNNING
        lines = [*shown, *([f"… and {more} more"] if more > 0 else [])]
        parts += [plain("hardly learned:"), *(plain(f"  {line}", style="yellow") for line in lines)]
    if overview.unjudged and not brief:
        parts.append(plain(f"not looked at for learning: {overview.unjudged} runs; `runner compare` marks them", style="dim"))
    if overview.events and not brief:
        parts += [plain("happened last:"), *(plain(f"  {_event(event)}") for event in overview.events)]
    return Group(*parts)


def _head(overview: Overview) -> Group:
    total = sum(overview.counts.values())
    counts = ", ".join(f"{count} {name}" for name, count in overview.counts.items())
    runs = f"{total} run{'' if total == 1 else 's'}" + (f": {counts}" if counts else "")
    return Group(plain(str(overview.path), style="bold"), plain(runs))


def _no_driver(overview: Overview, again: str) -> str:
    left = sum(overview.counts.get(name, 0) for name in ("waiting", "interrupted"))
    return "nobody is at work on it" + (f"; go on with it by: {again}" if left else "")


def _running(overview: Overview) -> list[Text]:
    rows = []
    for run in overview.running[:_MOST_RUNNING]:
        status = run.status
        percent = f"{100 * status.step // status.steps} %" if status.steps > 0 else "–"
        metric = "" if run.value is None else f"{overview.metric.rpartition('/')[2]} {run.value:.3f}"
        attempt = f"attempt {status.attempt}" if status.attempt > 1 else ""
        rows.append(
            (shorten(printable(run.name), _NAME_WIDTH), f"step {status.step}/{status.steps or '?'}", percent, metric, _left(run), attempt)
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True) if width) for row in rows]
    more = len(overview.running) - _MOST_RUNNING
    return [plain(f"  {line.rstrip()}") for line in [*lines, *([f"… and {more} more"] if more > 0 else [])]]


def _left(run: RunNow) -> str:
    if run.silent_s is not None:
        return f"silent for {show_duration(run.silent_s)}"
    if run.status.state != "running":
        return "starting"
    if run.status.phase != "training":
        return run.status.phase
    return "" if run.left_s is None else f"{show_duration(run.left_s)} left"


def _failure(failure: Failure) -> Text:
    cause = f"{failure.cause.replace('_', ' ')}: " if failure.cause and not failure.reason.startswith(failure.cause) else ""
    style = "red" if failure.standing == "failed" else ""
    text = plain(f"  {len(failure.runs)} × {failure.standing}: {cause}{failure.reason}", style)
    return text.append(printable(f" ({_names(failure.runs)})"), style="dim")


def _names(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _event(event: Mapping[str, Any]) -> str:
    """``12:03:11 0003-batch_size=8-s1 ended: failed: …``: the journal's words, whoever wrote them."""
    when, what = event.get("time"), str(event.get("event"))
    clock = time.strftime("%m-%d %H:%M:%S", time.localtime(when)) if isinstance(when, int | float) else "?"
    who = str(event.get("run") or (f"trial {event['trial']}" if "trial" in event else ""))
    what = _EVENTS.get(what, what)
    shown = [str(event[key]) for key in ("label", "state", "asked_for", "reason") if event.get(key)]
    if _is_again(event):
        shown.append(f"attempt {event['attempt']}")
    return f"{clock}  {who}{' ' if who else ''}{what}{': ' if shown else ''}{': '.join(shown)}"


def _is_again(event: Mapping[str, Any]) -> bool:
    return isinstance(event.get("attempt"), int) and event["attempt"] > 1
