"""Runs while they go on: bars on a terminal, lines where the output is piped. Only run directories are read."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from runner.core.rundir import RunDir, Status
from runner.results.export import show_duration
from runner.views.table import STATE_STYLES
from runner.views.watch import FINAL, Watch, Watched

_LINE_INTERVAL_S = 10.0
_NAME_WIDTH = 34
_STATE_WORDS = {"pending": "waiting"}
METRICS = ("bbox/AP", "bbox/AP50")


class Watcher:
    """Shows runs as their directories say they stand. Call `update` some five times a second, `close` (or ``with``)
    at the end.

    On a terminal one run has a bar and a line of numbers, a sweep a line with the number of runs by state and one a
    running run; what ends is told in a line that stays. Piped, there are only lines: when a run starts, about every
    ten seconds, when it ends.

    Args:
        runs: what to watch; those not started yet may not exist.
        console: where to.
        title: what the whole is called (the sweep's name).
        clock: seconds since 1970.
    """

    def __init__(self, runs: Sequence[RunDir], console: Console, *, title: str = "", clock: Callable[[], float] = time.time) -> None:
        self._watch = Watch(runs, clock)
        self._console = console
        self._title = title
        self._single = len(runs) == 1
        self._next_line: dict[str, float] = {}
        self._live: Live | None = None
        self._say_start()
        if console.is_terminal and not console.is_dumb_terminal:
            self._live = Live(console=console, auto_refresh=False, transient=True, vertical_overflow="crop")
            self._live.start()

    def add(self, run_dir: RunDir) -> None:
        """Watch one more run (an adaptive search proposed it)."""
        self._watch.add(run_dir)
        self._single = False

    def update(self) -> None:
        """Look, and show what has changed. Never waits, never raises for what a run directory holds."""
        for run, before in self._watch.look():
            self._say_change(run, before)
        if self._live is not None:
            self._live.update(self._screen(), refresh=True)

    def close(self) -> None:
        """Look once more and take the bars away; the lines stay. Idempotent."""
        for run, before in self._watch.look():
            self._say_change(run, before)
        if self._live is not None:
            self._live.stop()
            self._live = None

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # ------------------------------------------------------------------------------------------------- lines that stay
    def _say(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style=style), soft_wrap=self._live is None)

    def _say_start(self) -> None:
        if not self._single:
            done = sum(run.status.state in FINAL for run in self._watch.runs)
            already = f", {done} of them done already" if done else ""
            self._say(f"{self._title}: {len(self._watch.runs)} runs{already}" if self._title else f"{len(self._watch.runs)} runs{already}")

    def _say_change(self, run: Watched, before: Status) -> None:
        status, now = run.status, self._watch.clock()
        if status.state != before.state or status.attempt != before.attempt:
            if status.state == "running":
                self._say_started(run)
            elif status.state != "pending":
                self._say(f"{run.name}: {_ending(run)}", STATE_STYLES.get(status.state, ""))
        elif self._live is None and status.state == "running" and now >= self._next_line.get(run.name, 0.0):
            self._next_line[run.name] = now + _LINE_INTERVAL_S
            self._say(f"{run.name}: {_numbers(run, now)}")

    def _say_started(self, run: Watched) -> None:
        self._next_line[run.name] = self._watch.clock() + _LINE_INTERVAL_S
        again = run.status.attempt > 1
        if self._live is None or again:
            self._say(f"{run.name}: {f'goes on, attempt {run.status.attempt}' if again else 'started'}")

    # -------------------------------------------------------------------------------------------------- the live screen
    def _screen(self) -> RenderableType:
        running = self._watch.running()
        if self._single:
            return self._single_screen(self._watch.runs[0])
        room = max(1, self._console.height - 4)
        table = Table.grid(padding=(0, 1))
        table.add_column(no_wrap=True, overflow="ellipsis", max_width=_NAME_WIDTH)
        names = [_middle(run.name) for run in running[:room]]
        table.add_column(width=max(8, min(40, self._console.width - max(map(len, names), default=0) - 38)))
        table.add_column(justify="right", no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis")
        for run, name in zip(running[:room], names, strict=True):
            table.add_row(Text(name), _bar(run), _percent(run), self._short_numbers(run))
        more = [Text(f"… and {len(running) - room} more running")] if len(running) > room else []
        return Group(self._head(), table, *more)

    def _head(self) -> Text:
        counts = ", ".join(f"{count} {_STATE_WORDS.get(state, state)}" for state, count in self._watch.counts().items())
        left = self._watch.time_left_s()
        text = f"{self._title}: " if self._title else ""
        return Text(
            f"{text}{counts}" + (f"; about {show_duration(left)} left" if left is not None else ""),
            style="bold",
            no_wrap=True,
        )

    def _single_screen(self, run: Watched) -> RenderableType:
        if run.status.state != "running":
            return Text(f"{run.name}: {_STATE_WORDS.get(run.status.state, run.status.state)}")
        bar = Table.grid(padding=(0, 2))
        bar.add_column(width=max(10, min(50, self._console.width - 48)))
        bar.add_row(_bar(run), _percent(run), Text(f"step {run.status.step}/{run.status.steps or '?'}"), Text(run.status.phase))
        return Group(bar, Text(_numbers(run, self._watch.clock(), with_step=False), no_wrap=True, overflow="ellipsis"))

    def _short_numbers(self, run: Watched) -> Text:
        silence = run.silent_s(self._watch.clock())
        if silence is not None:
            return Text(f"silent for {show_duration(silence)}", style="yellow")
        if run.status.phase != "training":
            return Text(run.status.phase)
        loss, left = run.value("train/loss"), run.time_left_s()
        parts = [
            f"loss {loss:.4g}" if loss is not None else "",
            f"{show_duration(left)} left" if left is not None else "",
        ]
        return Text("  ".join(filter(None, parts)))


def _bar(run: Watched) -> ProgressBar:
    return ProgressBar(total=max(1, run.status.steps), completed=run.status.step, pulse=run.status.steps <= 0)


def _percent(run: Watched) -> Text:
    return Text(f"{100 * run.status.step // run.status.steps:3d} %" if run.status.steps > 0 else "  – %")


def _numbers(run: Watched, now: float, *, with_step: bool = True) -> str:
    """``step 120/300 (40 %), epoch 1.30, loss 1.234, lr 0.002, 12.3 images/s, 1.2 GB, 1:20 left``."""
    status = run.status
    parts = []
    if with_step:
        parts.append(
            f"step {status.step}/{status.steps} ({100 * status.step // status.steps} %)" if status.steps else f"step {status.step}"
        )
    parts.append(f"epoch {status.epoch:.2f}")
    shown = (("train/loss", "loss {:.4g}"), ("train/lr", "lr {:.3g}"), ("train/images_per_s", "{:.1f} images/s"))
    memory = (("resource/memory_gb", "{:.1f} GB"), ("resource/gpu_memory_gb", "{:.1f} GB on the GPU"))
    parts += [form.format(value) for tag, form in (*shown, *memory) if (value := run.value(tag)) is not None]
    left, silence = run.time_left_s(), run.silent_s(now)
    parts += [f"{show_duration(left)} left"] if left is not None and status.phase == "training" else []
    parts += [status.phase] if status.phase != "training" and with_step else []
    parts += [f"silent for {show_duration(silence)}"] if silence is not None else []
    return ", ".join(parts)


def _ending(run: Watched) -> str:
    """``done, bbox/AP 0.412, bbox/AP50 0.702``; ``failed after step 120: out of memory``."""
    status = run.status
    if status.state == "done":
        metrics = [f"{tag} {value:.3f}" for tag in METRICS if (value := run.metric(tag)) is not None]
        return ", ".join(["done", *metrics])
    return f"{status.state} after step {status.step}" + (f": {status.reason}" if status.reason else "")


def _middle(name: str) -> str:
    """A name too long with its middle left out: number and seed stay."""
    if len(name) <= _NAME_WIDTH:
        return name
    return f"{name[: _NAME_WIDTH - 13]}…{name[-12:]}"
