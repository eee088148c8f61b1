"""Progress of runs: one screen on a terminal, lines where the output is piped. Only run directories are read."""

from __future__ import annotations

import signal
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from runner.monitor.live import LiveRun
from runner.monitor.progress import standing
from runner.monitor.sweep_monitor import FINAL, RunMonitor, SweepMonitor
from runner.results.format import show_duration
from runner.store.commands import Situation
from runner.store.run_dir import RunDir, State, Status
from runner.views.screen import Screen, activity_text
from runner.views.table import STATE_STYLES
from runner.views.terminal import plain

_LINE_INTERVAL_S = 10.0
_LOOK_INTERVAL_S = 0.4
_DRAW_INTERVAL_S = 0.5
_ENDINGS = 4
"""Lines above the screen that are kept for the last runs that ended."""
_METRICS = 2
"""Metrics shown of a run that is done: the primary one and the next."""


class ProgressDisplay:
    """The progress of runs, read from their directories. Call `update` some five times a second, `close` (or ``with``) at the end.

    On a terminal one run has a bar and a line of numbers, a sweep a screen (see `runner.views.screen.Screen`) below the lines that say what
    has ended, which stay. Piped, there are only lines: when a run starts, about every ten seconds, when it ends.

    Args:
        runs: the runs; those not started yet may not exist. A single one without a title is a run by itself.
        console: where they are shown.
        title: name of the whole (the sweep's).
        clock: seconds that always go forward.
        known: see `runner.monitor.sweep_monitor.SweepMonitor`.
        metric: tag of the deciding metric, shown for active runs.
        expected: number of runs in all, where more will be proposed (a budget); 0: those there are.
    """

    def __init__(
        self,
        runs: Sequence[RunDir],
        console: Console,
        *,
        title: str = "",
        clock: Callable[[], float] = time.monotonic,
        known: Mapping[str, State] | None = None,
        metric: str = "",
        expected: int = 0,
    ) -> None:
        self._monitor = SweepMonitor(runs, clock, known=known)
        self._console = console
        self._title = title
        self._metric = metric
        self._expected = expected
        self._single = len(runs) == 1 and not title
        self._next_line: dict[str, float] = {}
        self._situation = Situation()
        self._ended: list[RunDir] = []
        self._began_s = clock()
        self._next_look = self._next_draw = 0.0
        self._endings: deque[Text] = deque(maxlen=_ENDINGS)
        self._lines: list[Text] = []
        self._live: Live | None = None
        self._size = console.size
        self._was_stopped = False
        self._handler: Any = None
        self._say_start()
        if console.is_terminal and not console.is_dumb_terminal:
            self._start_live()
            self._notice_continuation()

    def add(self, run_dir: RunDir) -> None:
        """Show one more run (an adaptive search proposed it)."""
        self._monitor.add(run_dir)
        self._single = False

    def update(self, situation: Situation | None = None) -> None:
        """Read the runs and show what has changed. Never waits, never raises for a run directory's contents.

        Args:
            situation: the driver's state of the sweep; None: only the directories are known.
        """
        now = self._monitor.clock()
        before, self._situation = self._situation, situation or Situation()
        self._ended += self._situation.ended
        if self._situation.paused != before.paused and self._live is None:
            self._say(f"nothing new starts: {self._situation.paused}" if self._situation.paused else "new runs start again")
        if self._situation.running is None or self._ended or now >= self._next_look:
            self._read(now)
        self._show(now)

    def close(self) -> None:
        """Update once more and remove the screen; the lines stay. Idempotent."""
        try:
            self._read(self._monitor.clock())
            self._print()
        finally:
            if self._live is not None:
                self._live.stop()
                self._live = None
            if self._handler is not None:
                signal.signal(signal.SIGCONT, self._handler)
                self._handler = None

    def __enter__(self) -> ProgressDisplay:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _read(self, now: float) -> None:
        self._next_look = now + _LOOK_INTERVAL_S
        ended, self._ended = self._ended, []
        for run, before in self._monitor.look(self._situation.running, ended):
            self._say_change(run, before, now)

    # ------------------------------------------------------------------------------------------------- lines that stay
    def _say(self, text: str, style: str = "") -> None:
        self._lines.append(plain(text, style))

    def _print(self) -> None:
        """Print the new lines, all at once, since the screen is drawn anew each time."""
        if self._lines:
            lines, self._lines = self._lines, []
            self._endings.extend(lines)
            self._console.print(*lines, sep="\n", soft_wrap=self._live is None)

    def _say_start(self) -> None:
        if not self._single:
            done = sum(run.status.state in FINAL for run in self._monitor.runs)
            already = f", {done} of them done already" if done else ""
            title = f"{self._title}: " if self._title else ""
            self._say(f"{title}{len(self._monitor.runs)} runs{already}")
        self._print()

    def _say_change(self, run: RunMonitor, before: Status, now: float) -> None:
        status = run.status
        if status.state != before.state or status.attempt != before.attempt:
            if status.state == "running":
                self._say_started(run, before, now)
            elif status.state != "pending":
                self._say(f"{run.name}: {_ending(run)}", STATE_STYLES.get(status.state, ""))
        elif status.warning and status.warning != before.warning:
            self._say(f"{run.name}: warning: {status.warning}", "yellow")
        elif self._live is None and status.state == "running" and now >= self._next_line.get(run.name, 0.0):
            self._next_line[run.name] = now + _LINE_INTERVAL_S
            self._say(f"{run.name}: {_numbers(run.live(now))}")

    def _say_started(self, run: RunMonitor, before: Status, now: float) -> None:
        self._next_line[run.name] = now + _LINE_INTERVAL_S
        again = run.status.attempt > 1
        if self._live is None or again:
            self._say(f"{run.name}: {f'resumed, attempt {run.status.attempt}{_why_again(run, before)}' if again else 'started'}")

    # -------------------------------------------------------------------------------------------------- the live screen
    def _start_live(self) -> None:
        self._live = Live(console=self._console, auto_refresh=False, transient=True, vertical_overflow="crop")
        self._live.start()
        self._console.show_cursor(True)  # nothing has to be restored, however this process ends

    def _notice_continuation(self) -> None:
        """Draw anew after Ctrl-Z and `fg`."""

        def notice(_number: int, _frame: FrameType | None) -> None:
            self._was_stopped = True

        if hasattr(signal, "SIGCONT"):
            with suppress(ValueError):  # signals reach the main thread alone
                self._handler = signal.signal(signal.SIGCONT, notice)

    def _show(self, now: float) -> None:
        if self._live is None:
            self._print()
            return
        if self._console.size != self._size or self._was_stopped:
            self._start_afresh()
        if self._single or now >= self._next_draw:
            self._next_draw = now + _DRAW_INTERVAL_S
            self._print()
            self._live.update(self._screen(now), refresh=True)

    def _start_afresh(self) -> None:
        """Draw everything anew: the terminal has another size, or another program has used it."""
        self._size, self._was_stopped = self._console.size, False
        if self._live is not None:
            self._live.stop()
            self._console.clear()
            self._start_live()
        self._lines = [*self._endings, *self._lines]
        self._endings.clear()
        self._next_draw = 0.0

    def _screen(self, now: float) -> RenderableType:
        if self._single:
            return self._single_screen(self._monitor.runs[0], now)
        running = [run.live(now, self._metric) for run in self._monitor.running()]
        width, height = self._console.size
        counts = self._monitor.counts()
        more = max(0, self._expected - len(self._monitor.runs))
        told = self._situation.running is not None
        return Screen(
            self._title,
            counts,
            running,
            self._situation if told else Situation(slots=len(running), used=len(running)),
            metric=self._metric,
            spent_s=now - self._began_s,
            left_s=self._monitor.time_left_s(self._situation.slots if told else 0, more),
            width=width,
            height=max(4, height - 1 - min(_ENDINGS, height // 6)),
            ascii_only=self._console.options.ascii_only,
        ).render()

    def _single_screen(self, run: RunMonitor, now: float) -> RenderableType:
        live = run.live(now)
        if live.status.state != "running":
            return plain(f"{live.name}: {live.standing}")
        bar = Table.grid(padding=(0, 2))
        bar.add_column(width=max(10, min(50, self._console.width - 48)))
        bar.add_row(_bar(live), _percent(live), Text(f"step {live.status.step}/{live.status.steps or '?'}"), plain(live.status.phase))
        return Group(bar, plain(_numbers(live, with_step=False), no_wrap=True, overflow="ellipsis"))


def _bar(run: LiveRun) -> ProgressBar:
    return ProgressBar(total=max(1, run.status.steps), completed=run.status.step, pulse=run.status.steps <= 0)


def _percent(run: LiveRun) -> Text:
    return Text("  – %" if run.percent is None else f"{run.percent:3d} %")


def _numbers(run: LiveRun, *, with_step: bool = True) -> str:
    """Return ``step 120/300 (40 %), epoch 1.30, loss 1.234, lr 0.002, 12.3 images/s, 1.2 GiB, 1:20 left``."""
    status = run.status
    parts = []
    if with_step:
        parts.append(f"step {status.step}" if run.percent is None else f"step {status.step}/{status.steps} ({run.percent} %)")
    parts.append(f"epoch {status.epoch:.2f}")
    shown = (("train/loss", "loss {:.4g}"), ("train/lr", "lr {:.3g}"), ("train/images_per_s", "{:.1f} images/s"))
    memory = (("resource/memory_gib", "{:.1f} GiB"), ("resource/gpu_memory_gib", "{:.1f} GiB on the GPU"))
    parts += [form.format(value) for tag, form in (*shown, *memory) if (value := run.number(tag)) is not None]
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
        return ", ".join(["done", *metrics, *filter(None, [status.warning])])
    word = standing(status, at_work=False)
    return f"{word} after step {status.step}" + (f": {status.reason}" if status.reason else "")


def _why_again(run: RunMonitor, before: Status) -> str:
    """Return why the attempt before this one ended, where that was not printed: the next one may begin between two looks."""
    if before.attempt == 0 or before.state in ("failed", "interrupted"):
        return ""
    override = run.run_dir.override()
    reason = override.reason if override is not None and override.attempt == run.status.attempt - 1 else ""
    return f" ({reason})" if reason else ""
