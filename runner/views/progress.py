"""Progress of runs: one screen on a terminal, lines where the output is piped. Only run directories are read."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from runner.core.values import counted
from runner.monitor.live import LiveRun
from runner.monitor.sweep_monitor import FINAL, RunMonitor, SweepMonitor
from runner.store.commands import Situation
from runner.store.run_dir import RunDir, State
from runner.views.live_screen import LiveScreen
from runner.views.run_lines import ENDINGS, RunLines, numbers
from runner.views.screen import Screen
from runner.views.terminal import plain

_LOOK_INTERVAL_S = 0.4
_DRAW_INTERVAL_S = 0.5


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
        self._title, self._metric, self._expected = title, metric, expected
        self._single = len(runs) == 1 and not title
        self._situation = Situation()
        self._ended: list[RunDir] = []
        self._began_s = clock()
        self._next_look = self._next_draw = 0.0
        self._lines = RunLines(console)
        self._say_start()
        self._screen = LiveScreen(console)

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
        self._monitor.mark_pruned(self._situation.not_started)
        if self._situation.paused != before.paused and not self._screen.is_on:
            self._lines.say(f"nothing new starts: {self._situation.paused}" if self._situation.paused else "new runs start again")
        if self._situation.running is None or self._ended or now >= self._next_look:
            self._read(now)
        self._show(now)

    def close(self) -> None:
        """Update once more and remove the screen; the lines stay. Idempotent."""
        try:
            self._read(self._monitor.clock())
            self._lines.print(is_live=self._screen.is_on)
        finally:
            self._screen.close()

    def __enter__(self) -> ProgressDisplay:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _read(self, now: float) -> None:
        self._next_look = now + _LOOK_INTERVAL_S
        ended, self._ended = self._ended, []
        for run, before in self._monitor.look(self._situation.running, ended):
            self._lines.say_change(run, before, now, is_live=self._screen.is_on)

    def _say_start(self) -> None:
        if not self._single:
            done = sum(run.status.state in FINAL for run in self._monitor.runs)
            already = f", {done} of them done already" if done else ""
            title = f"{self._title}: " if self._title else ""
            self._lines.say(f"{title}{counted(len(self._monitor.runs), 'run')}{already}")
        self._lines.print(is_live=False)

    def _show(self, now: float) -> None:
        if not self._screen.is_on:
            self._lines.print(is_live=False)
            return
        if self._screen.clear_if_disturbed():
            self._lines.repeat()
            self._next_draw = 0.0
        if self._single or now >= self._next_draw:
            self._next_draw = now + _DRAW_INTERVAL_S
            self._lines.print(is_live=True)
            self._screen.draw(self._content(now))

    def _content(self, now: float) -> RenderableType:
        if self._single:
            return self._single_content(self._monitor.runs[0], now)
        running = [run.live(now, self._metric) for run in self._monitor.running()]
        width, height = self._screen.console.size
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
            height=max(4, height - 1 - min(ENDINGS, height // 6)),
            ascii_only=self._screen.console.options.ascii_only,
        ).render()

    def _single_content(self, run: RunMonitor, now: float) -> RenderableType:
        live = run.live(now)
        if live.status.state != "running":
            return plain(f"{live.name}: {live.standing}")
        bar = Table.grid(padding=(0, 2))
        bar.add_column(width=max(10, min(50, self._screen.console.width - 48)))
        bar.add_row(_bar(live), _percent(live), Text(f"step {live.status.step}/{live.status.steps or '?'}"), plain(live.status.phase))
        return Group(bar, plain(numbers(live, with_step=False), no_wrap=True, overflow="ellipsis"))


def _bar(run: LiveRun) -> ProgressBar:
    return ProgressBar(total=max(1, run.status.steps), completed=run.status.step, pulse=run.status.steps <= 0)


def _percent(run: LiveRun) -> Text:
    return Text("  – %" if run.percent is None else f"{run.percent:3d} %")
