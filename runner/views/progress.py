"""Runs while they go on: one screen on a terminal, lines where the output is piped. Only run directories are read."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from runner.monitor.progress import standing
from runner.monitor.watch import FINAL, Watch, Watched
from runner.results.format import show_duration
from runner.store.commands import Command, Situation
from runner.store.run_dir import RunDir, State, Status
from runner.views.keys import Keys
from runner.views.screen import Menu, Screen
from runner.views.table import STATE_STYLES
from runner.views.terminal import plain

_LINE_INTERVAL_S = 10.0
_LOOK_INTERVAL_S = 0.4
_DRAW_INTERVAL_S = 0.5
_NOTICE_S = 6.0
_ENDINGS = 4
"""Rows above the screen that are left to the last endings."""
METRICS = ("bbox/AP", "bbox/AP50")


class Watcher:
    """Shows runs as their directories say they stand. Call `update` some five times a second, `close` (or ``with``)
    at the end.

    On a terminal one run has a bar and a line of numbers, a sweep a screen (see `runner.views.screen.Screen`) below the lines that say what
    has ended, which stay. Piped, there are only lines: when a run starts, about every ten seconds, when it ends.

    Args:
        runs: what to watch; those not started yet may not exist. A single one without a title is a run by itself.
        console: where to.
        title: what the whole is called (the sweep's name).
        clock: seconds that always go forward.
        known: see `runner.monitor.watch.Watch`.
        metric: tag of the metric that decides, shown of running runs.
        expected: how many runs there will be in all, where more will be proposed (a budget); 0: those there are.
        keys: the keyboard; None: standard input, where a sweep is shown on a terminal.
    """

    def __init__(
        self,
        runs: Sequence[RunDir],
        console: Console,
        *,
        title: str = "",
        clock: Callable[[], float] = time.monotonic,
        known: Mapping[str, State] | None = None,
        metric: str = METRICS[0],
        expected: int = 0,
        keys: Keys | None = None,
    ) -> None:
        self._watch = Watch(runs, clock, known=known)
        self._console = console
        self._title = title
        self._metric = metric
        self._expected = expected
        self._single = len(runs) == 1 and not title
        self._next_line: dict[str, float] = {}
        self._situation = Situation()
        self._ended: list[RunDir] = []
        self._menu = Menu()
        self._noticed = ("", 0.0)
        self._began_s = clock()
        self._next_look = self._next_draw = 0.0
        self._endings: deque[Text] = deque(maxlen=_ENDINGS)
        self._lines: list[Text] = []
        self._live: Live | None = None
        self._keys: Keys | None = None
        self._size = console.size
        self._say_start()
        if console.is_terminal and not console.is_dumb_terminal:
            self._start_live()
            if not self._single:
                self._keys = keys or Keys(stderr=_descriptor(console))
                self._keys.open()

    def add(self, run_dir: RunDir) -> None:
        """Watch one more run (an adaptive search proposed it)."""
        self._watch.add(run_dir)
        self._single = False

    def update(self, situation: Situation | None = None) -> None:
        """Look, and show what has changed. Never waits, never raises for what a run directory holds.

        Args:
            situation: what the conductor says; None: nothing is known but what the directories say.
        """
        now = self._watch.clock()
        before, self._situation = self._situation, situation or Situation()
        self._ended += self._situation.ended
        if self._situation.paused != before.paused and self._live is None:
            self._say(f"nothing new is started: {self._situation.paused}" if self._situation.paused else "going on")
        if self._situation.running is None or self._ended or now >= self._next_look:
            self._look(now)
        self._show(now)

    def commands(self) -> Sequence[Command]:
        """What the keys pressed since the last call ask for. Never waits."""
        if self._keys is None:
            return []
        names = [run.name for run in self._watch.running()]
        keys = self._keys.read()
        asked = [self._menu.press(key, names, paused=self._situation.by_hand) for key in keys]
        if keys:
            self._next_draw = 0.0
        return [command for command in asked if command is not None]

    def close(self) -> None:
        """Look once more, take the screen away and give the keyboard back; the lines stay. Idempotent."""
        try:
            self._look(self._watch.clock())
            self._print()
        finally:
            if self._live is not None:
                self._live.stop()
                self._live = None
            if self._keys is not None:
                self._keys.close()

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _look(self, now: float) -> None:
        self._next_look = now + _LOOK_INTERVAL_S
        ended, self._ended = self._ended, []
        for run, before in self._watch.look(self._situation.running, ended):
            self._say_change(run, before, now)

    # ------------------------------------------------------------------------------------------------- lines that stay
    def _say(self, text: str, style: str = "") -> None:
        self._lines.append(plain(text, style))

    def _print(self) -> None:
        """Print what there is to say, all at once: each time the screen is drawn anew."""
        if self._lines:
            lines, self._lines = self._lines, []
            self._endings.extend(lines)
            self._console.print(*lines, sep="\n", soft_wrap=self._live is None)

    def _say_start(self) -> None:
        if not self._single:
            done = sum(run.status.state in FINAL for run in self._watch.runs)
            already = f", {done} of them done already" if done else ""
            self._say(f"{self._title}: {len(self._watch.runs)} runs{already}" if self._title else f"{len(self._watch.runs)} runs{already}")
        self._print()

    def _say_change(self, run: Watched, before: Status, now: float) -> None:
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
            self._say(f"{run.name}: {_numbers(run, now)}")

    def _say_started(self, run: Watched, before: Status, now: float) -> None:
        self._next_line[run.name] = now + _LINE_INTERVAL_S
        again = run.status.attempt > 1
        if self._live is None or again:
            self._say(f"{run.name}: {f'goes on, attempt {run.status.attempt}{_why_again(run, before)}' if again else 'started'}")

    # -------------------------------------------------------------------------------------------------- the live screen
    def _start_live(self) -> None:
        self._live = Live(console=self._console, auto_refresh=False, transient=True, vertical_overflow="crop")
        self._live.start()

    def _show(self, now: float) -> None:
        if self._live is None:
            self._print()
            return
        if self._console.size != self._size or (self._keys is not None and self._keys.redraw):
            self._start_afresh()
        if self._single or now >= self._next_draw:
            self._next_draw = now + _DRAW_INTERVAL_S
            self._print()
            self._live.update(self._screen(now), refresh=True)

    def _start_afresh(self) -> None:
        """The terminal has another size, or another program had it: where things stand on it is not known any more."""
        self._size = self._console.size
        if self._keys is not None:
            self._keys.redraw = False
        if self._live is not None:
            self._live.stop()
            self._console.clear()
            self._start_live()
        self._lines = [*self._endings, *self._lines]
        self._endings.clear()
        self._next_draw = 0.0

    def _screen(self, now: float) -> RenderableType:
        running = self._watch.running()
        if self._single:
            return self._single_screen(self._watch.runs[0])
        self._menu.keep_up([run.name for run in running])
        if self._menu.notice != self._noticed[0]:
            self._noticed = self._menu.notice, now
        elif now > self._noticed[1] + _NOTICE_S:
            self._menu.notice = ""
        width, height = self._console.size
        counts = self._watch.counts()
        more = max(0, self._expected - len(self._watch.runs))
        told = self._situation.running is not None
        return Screen(
            self._title,
            counts,
            running,
            self._situation if told else Situation(slots=len(running), used=len(running)),
            self._menu,
            no_keys=self._keys.reason if self._keys is not None else "",
            metric=self._metric,
            now=now,
            spent_s=now - self._began_s,
            left_s=self._watch.time_left_s(self._situation.slots if told else 0, more),
            width=width,
            height=max(4, height - 1 - min(_ENDINGS, height // 6)),
            ascii_only=self._console.options.ascii_only,
        ).render()

    def _single_screen(self, run: Watched) -> RenderableType:
        if run.status.state != "running":
            return plain(f"{run.name}: {run.standing}")
        bar = Table.grid(padding=(0, 2))
        bar.add_column(width=max(10, min(50, self._console.width - 48)))
        bar.add_row(_bar(run), _percent(run), Text(f"step {run.status.step}/{run.status.steps or '?'}"), plain(run.status.phase))
        return Group(bar, plain(_numbers(run, self._watch.clock(), with_step=False), no_wrap=True, overflow="ellipsis"))


def _descriptor(console: Console) -> int:
    """Of the file that the console writes to; -1 if it has none."""
    try:
        return console.file.fileno()
    except (AttributeError, OSError, ValueError):
        return -1


def _bar(run: Watched) -> ProgressBar:
    return ProgressBar(total=max(1, run.status.steps), completed=run.status.step, pulse=run.status.steps <= 0)


def _percent(run: Watched) -> Text:
    return Text(f"{100 * run.status.step // run.status.steps:3d} %" if run.status.steps > 0 else "  – %")


def _numbers(run: Watched, now: float, *, with_step: bool = True) -> str:
    """``step 120/300 (40 %), epoch 1.30, loss 1.234, lr 0.002, 12.3 images/s, 1.2 GiB, 1:20 left``."""
    status = run.status
    parts = []
    if with_step:
        parts.append(
            f"step {status.step}/{status.steps} ({100 * status.step // status.steps} %)" if status.steps else f"step {status.step}"
        )
    parts.append(f"epoch {status.epoch:.2f}")
    shown = (("train/loss", "loss {:.4g}"), ("train/lr", "lr {:.3g}"), ("train/images_per_s", "{:.1f} images/s"))
    memory = (("resource/memory_gib", "{:.1f} GiB"), ("resource/gpu_memory_gib", "{:.1f} GiB on the GPU"))
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
        return ", ".join(["done", *metrics, *filter(None, [status.warning])])
    word = standing(status, at_work=False)
    return f"{word} after step {status.step}" + (f": {status.reason}" if status.reason else "")


def _why_again(run: Watched, before: Status) -> str:
    """Why the attempt before this one ended, where that was not said yet: the next one may begin between two looks."""
    if before.attempt == 0 or before.state in ("failed", "interrupted"):
        return ""
    override = run.run_dir.override()
    reason = override.reason if override is not None and override.attempt == run.status.attempt - 1 else ""
    return f" ({reason})" if reason else ""
