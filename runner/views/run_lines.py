"""Lines about runs that stay on the terminal: when one starts, how far it is, how it ended."""

from __future__ import annotations

from collections import deque
from typing import Final

from rich.console import Console
from rich.text import Text

from runner.monitor.live import LiveRun
from runner.monitor.progress import standing
from runner.monitor.sweep_monitor import RunMonitor
from runner.results.format import show_duration, show_memory
from runner.store.run_dir import Status
from runner.views.screen import activity_text
from runner.views.table import STATE_STYLES
from runner.views.terminal import plain

_LINE_INTERVAL_S: Final = 10.0
ENDINGS: Final = 4
"""Lines above the screen that are kept for the last runs that ended."""
_METRICS: Final = 2
"""Metrics shown of a run that is done: the primary one and the next."""


class RunLines:
    """Lines that wait to be printed, and the last ones that were."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._waiting: list[Text] = []
        self._printed: deque[Text] = deque(maxlen=ENDINGS)
        self._next_line: dict[str, float] = {}

    def say(self, text: str, style: str = "") -> None:
        """Add a line."""
        self._waiting.append(plain(text, style))

    def print(self, *, is_live: bool) -> None:
        """Print the new lines, all at once, since the screen is drawn anew each time.

        Args:
            is_live: there is a screen below them.
        """
        if self._waiting:
            lines, self._waiting = self._waiting, []
            self._printed.extend(lines)
            self._console.print(*lines, sep="\n", soft_wrap=not is_live)

    def repeat(self) -> None:
        """Print the last lines once more, on a terminal that was cleared."""
        self._waiting = [*self._printed, *self._waiting]
        self._printed.clear()

    def say_change(self, run: RunMonitor, before: Status, now: float, *, is_live: bool) -> None:
        """Add a line if a run has started, ended or warned; without a screen also every ten seconds."""
        status = run.status
        if before.attempt == 0 and before.state == status.state != "running":
            return  # that is how an earlier driver left it
        changed = status.state != before.state or status.attempt != before.attempt
        if changed and status.state == "running":
            self._say_started(run, before, now, is_live=is_live)
        if status.note and status.note != before.note:  # also of a run that started and ended between two looks
            self.say(f"{run.name}: {status.note}")
        if changed:
            if status.state not in ("running", "pending"):
                self.say(f"{run.name}: {_ending(run)}", STATE_STYLES.get(status.state, ""))
        elif status.warning and status.warning != before.warning:
            self.say(f"{run.name}: warning: {status.warning}", "yellow")
        elif not is_live and status.state == "running" and now >= self._next_line.get(run.name, 0.0):
            self._next_line[run.name] = now + _LINE_INTERVAL_S
            self.say(f"{run.name}: {numbers(run.live(now))}")

    def _say_started(self, run: RunMonitor, before: Status, now: float, *, is_live: bool) -> None:
        self._next_line[run.name] = now + _LINE_INTERVAL_S
        again = run.status.attempt > 1
        if not is_live or again:
            self.say(f"{run.name}: {f'resumed, attempt {run.status.attempt}{_why_again(run, before)}' if again else 'started'}")


def numbers(run: LiveRun, *, with_step: bool = True) -> str:
    """Return ``step 120/300 (40 %), epoch 1.30, loss 1.234, lr 0.002, 12.3 images/s, 1.2 GiB, 1:20 left``."""
    status = run.status
    parts = []
    if with_step:
        parts.append(f"step {status.step}" if run.percent is None else f"step {status.step}/{status.steps} ({run.percent} %)")
    parts.append(f"epoch {status.epoch:.2f}")
    shown = (("train/loss", "loss {:.4g}"), ("train/lr", "lr {:.3g}"), ("train/images_per_s", "{:.1f} images/s"))
    memory = (("resource/memory_gib", ""), ("resource/gpu_memory_gib", " on the GPU"))
    parts += [form.format(value) for tag, form in shown if (value := run.number(tag)) is not None]
    parts += [f"{show_memory(value)}{where}" for tag, where in memory if (value := run.number(tag)) is not None]
    if run.left_s is not None and status.phase == "training":
        parts.append(f"{show_duration(run.left_s)} left")
    if status.phase != "training" and with_step:
        parts.append(status.phase)
    if run.activity == "silent":
        parts.append(activity_text(run))
    return ", ".join(parts)


def _ending(run: RunMonitor) -> str:
    """Return ``done, bbox/AP 0.412, bbox/AP50 0.702``; ``failed after step 120: out of memory``."""
    status = run.status
    if status.state == "done":
        metrics = [f"{tag} {value:.3f}" for tag in run.run_dir.primary_metric().shown[:_METRICS] if (value := run.metric(tag)) is not None]
        return ", ".join(["done", *metrics, *filter(None, [status.early_stop, status.warning])])
    word = standing(status, at_work=False)
    return f"{word} after step {status.step}" + (f": {status.reason}" if status.reason else "")


def _why_again(run: RunMonitor, before: Status) -> str:
    """Return why the attempt before this one ended, where that was not printed: the next one may begin between two looks."""
    if before.attempt == 0 or before.state in ("failed", "interrupted"):
        return ""
    override = run.run_dir.override()
    reason = override.reason if override is not None and override.attempt == run.status.attempt - 1 else ""
    return f" ({reason})" if reason else ""
