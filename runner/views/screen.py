"""What the screen of a sweep shows, and what its keys mean. Nothing here reads a file or a keyboard, or writes to a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from rich.cells import cell_len, set_cell_size
from rich.console import Group
from rich.text import Text

from runner.core.text import printable
from runner.monitor.watch import Watched
from runner.results.format import show_duration
from runner.store.commands import Command, Situation

Mode = Literal["watch", "choose", "stop", "quit", "help"]

HELP = (
    "p  start nothing new; again: go on",
    "s  stop one run for good",
    "q  save and end; start again to go on",
    "Ctrl-C  as q; twice: do not save",
    "Ctrl-Z  leave; `fg` comes back",
)
_NAME_WIDTH = 34
_LOW = 12
"""A screen of fewer lines leaves out what can be done without."""
_LEAST_NAME, _LEAST_BAR, _MOST_BAR = 14, 8, 40
_MARKS = {"heavy": "━", "light": "─", "chosen": "▶", "dot": " · ", "more": "…"}
_ASCII_MARKS = {"heavy": "#", "light": "-", "chosen": ">", "dot": ", ", "more": "..."}


@dataclass(slots=True)
class Menu:
    """What the keys do, and where in it the person is.

    Args:
        mode: watch: nothing is asked; choose: which run to stop; stop, quit: whether to; help.
        chosen: name of the run to stop.
        notice: what the last key did, until the next one.
        digits: of the number that is being typed.
    """

    mode: Mode = "watch"
    chosen: str = ""
    notice: str = ""
    digits: str = ""

    def press(self, key: str, running: Sequence[str], *, paused: bool) -> Command | None:
        """What a key asks of the sweep, if anything.

        Args:
            running: names of the runs that go, in the order in which they are shown.
            paused: by a key, or from another terminal.
        """
        self.notice = ""
        match self.mode:
            case "watch":
                return self._watch(key, running, paused)
            case "choose":
                self._choose(key, running)
            case "stop":
                self.mode = "watch"
                if key == "y" and self.chosen in running:
                    self.notice = f"stopping {self.chosen}"
                    return Command("stop", self.chosen)
                self.notice = "nothing was stopped" if key != "y" else f"{self.chosen} has ended already"
            case "quit":
                self.mode = "watch"
                if key in ("y", "q"):
                    self.notice = "ending: the runs save and end"
                    return Command("quit")
            case "help":
                self.mode = "watch"
        return None

    def keep_up(self, running: Sequence[str]) -> None:
        """Runs have begun and ended: what cannot be stopped any more is not asked about."""
        if self.mode == "choose" and self.chosen not in running:
            if not running:
                self.mode, self.notice = "watch", "no run goes that could be stopped"
            else:
                self.chosen = running[0]
        elif self.mode == "stop" and self.chosen not in running:
            self.mode, self.notice = "watch", f"{self.chosen} has ended already"

    def _watch(self, key: str, running: Sequence[str], paused: bool) -> Command | None:
        if key == "p":
            self.notice = "going on" if paused else "pausing: nothing new is started"
            return Command("resume" if paused else "pause")
        if key == "s":
            self.digits = ""
            if running:
                self.mode, self.chosen = "choose", running[0]
            else:
                self.notice = "no run goes that could be stopped"
        elif key == "q":
            self.mode = "quit"
        elif key in ("?", "h"):
            self.mode = "help"
        return None

    def _choose(self, key: str, running: Sequence[str]) -> None:
        place = running.index(self.chosen) if self.chosen in running else 0
        if key.isdecimal():
            number = self.digits + key if self.digits and int(self.digits + key) <= len(running) else key
            self.digits = number
            if 1 <= int(number) <= len(running):
                self.chosen = running[int(number) - 1]
            return
        self.digits = ""
        if key in ("up", "k"):
            self.chosen = running[max(0, place - 1)]
        elif key in ("down", "j"):
            self.chosen = running[min(len(running) - 1, place + 1)]
        elif key == "enter":
            self.mode = "stop"
        else:
            self.mode = "watch"


@dataclass(frozen=True, slots=True)
class Screen:
    """All that the screen shows.

    Args:
        title: what the whole is called.
        counts: see `runner.monitor.watch.Watch.counts`.
        running: the runs that go.
        situation: what the conductor says.
        menu: what the keys do now.
        no_keys: why there are none; empty if there are.
        metric: tag that is shown of running runs.
        now: by the clock that the runs are watched by.
        spent_s: since the screen began; left_s: a guess, None while there is none.
        width, height: what there is room for, in cells.
        ascii_only: the terminal can show nothing else.
    """

    title: str
    counts: dict[str, int]
    running: Sequence[Watched]
    situation: Situation = field(default_factory=Situation)
    menu: Menu = field(default_factory=Menu)
    no_keys: str = ""
    metric: str = "bbox/AP"
    now: float = 0.0
    spent_s: float = 0.0
    left_s: float | None = None
    width: int = 80
    height: int = 24
    ascii_only: bool = False

    def render(self) -> Group:
        """The screen, as lines that are no wider than `width` and at most `height` of them."""
        foot = self._foot()
        head = self._head() if self.menu.mode != "help" else [self._rule(self.title)]
        room = max(1, self.height - len(head) - len(foot))
        return Group(*[*head, *self._rows(room), *foot][: self.height])

    @property
    def _marks(self) -> dict[str, str]:
        return _ASCII_MARKS if self.ascii_only else _MARKS

    @property
    def _is_low(self) -> bool:
        return self.height < _LOW

    # ---------------------------------------------------------------------------------------------------- the parts
    def _head(self) -> list[Text]:
        total = sum(self.counts.values())
        parts = [f"{count} {name}" for name, count in self.counts.items()]
        parts[:1] = [f"{self.counts['done']} of {total} runs done"] if "done" in self.counts else [f"{total} runs", *parts[:1]]
        used = f"{self.situation.used} of {self.situation.slots} slot{'' if self.situation.slots == 1 else 's'} used"
        times = [used, f"{show_duration(self.spent_s)} so far"] if not self._is_low else [used]
        times += [f"about {show_duration(self.left_s)} left"] if self.left_s is not None and not self.situation.paused else []
        lines = [self._rule(self.title), *self._fold(parts, "bold"), *self._fold(times, "")]
        if self.situation.paused:
            lines.append(self._line(self.situation.paused, "bold yellow"))
        if self.situation.best and not self._is_low:
            lines.append(self._line(f"best so far: {self.situation.best}", "green"))
        return lines

    def _rows(self, room: int) -> list[Text]:
        """A line a running run; around the chosen one, where there are too many."""
        if self.menu.mode == "help":
            return [self._line(text) for text in HELP]
        names = [run.name for run in self.running]
        first = 0
        if len(names) > room:
            room = max(1, room - 1)
            if self.menu.mode == "choose" and self.menu.chosen in names:
                first = max(0, min(names.index(self.menu.chosen) - room // 2, len(names) - room))
        shown = self.running[first : first + room]
        lines = self._run_lines(shown, first)
        if len(names) > len(shown):
            lines.append(self._line(f"{self._marks['more']} and {len(names) - len(shown)} more running", "dim"))
        return lines

    def _run_lines(self, runs: Sequence[Watched], first: int) -> list[Text]:
        choosing = self.menu.mode in ("choose", "stop")
        marks = [""] * len(runs)
        if choosing:
            chosen = [self._marks["chosen"] if run.name == self.menu.chosen else " " for run in runs]
            marks = [f"{mark}{first + index + 1:>3} " for index, mark in enumerate(chosen)]
        columns = [[cell(run) for run in runs] for cell in (_percent, self._metric, _loss, self._left, _attempt)]
        names = [printable(run.name) for run in runs]
        name_width = min(_NAME_WIDTH, max(map(cell_len, names), default=0))
        widths = [max(map(cell_len, column), default=0) for column in columns]
        fixed = cell_len(marks[0]) if marks else 0
        keep = [True] * len(columns)
        for dropped in (2, 4, 1, None):  # the loss first, then the attempt, then the metric
            rest = self.width - fixed - sum(width + 2 for width, kept in zip(widths, keep, strict=True) if kept and width)
            if rest >= min(name_width, _LEAST_NAME) + 2 + _LEAST_BAR or dropped is None:
                break
            keep[dropped] = False
        name_width = max(1, min(name_width, max(_LEAST_NAME, rest - 2 - max(_LEAST_BAR, rest // 3))))
        bar_width = min(_MOST_BAR, rest - name_width - 2)
        lines = []
        for index, run in enumerate(runs):
            name = shorten(names[index], name_width, self._marks["more"])
            text = marks[index] + set_cell_size(name, name_width)
            if bar_width >= 3:
                text += "  " + self._bar(run, bar_width)
            for column, width, kept in zip(columns, widths, keep, strict=True):
                if kept and width:
                    text += "  " + " " * (width - cell_len(column[index])) + column[index]
            quiet = run.silent_s(self.now) is not None
            style = "reverse" if choosing and run.name == self.menu.chosen else ("yellow" if quiet else "")
            lines.append(self._line(text, style))
        return lines

    def _foot(self) -> list[Text]:
        menu = self.menu
        match menu.mode:
            case "help":
                return self._wrap("any key goes back", "dim")
            case "choose":
                long = ["stop which? up, down or its number", "Enter: this one", "Esc: none"]
                return self._fold(["up, down or number", "Enter", "Esc"] if self._is_low else long, "bold")
            case "stop":
                return self._wrap(f"stop {menu.chosen} for good? It is not run again.  y: stop it, any other key: no", "bold yellow")
            case "quit":
                return self._wrap("end the sweep? Its runs are saved, the same command goes on.  y: yes, any other key: no", "bold yellow")
        if self.no_keys:
            return self._wrap(f"no keys ({self.no_keys}); Ctrl-C saves and ends", "dim")
        pause = "p resume" if self.situation.by_hand else "p pause"
        notice = self._wrap(menu.notice, "bold") if menu.notice else []
        stop, leave = ("s stop", "q quit") if self._is_low else ("s stop one", "q quit (save and end)")
        return [*notice, *self._fold([pause, stop, leave, "? help"], "dim")]

    # ---------------------------------------------------------------------------------------------------- the cells
    def _metric(self, run: Watched) -> str:
        value = run.evaluated(self.metric)
        return "" if value is None else f"{self.metric.rpartition('/')[2]} {value:.3f}"

    def _left(self, run: Watched) -> str:
        silence = run.silent_s(self.now)
        if silence is not None:
            return f"silent for {show_duration(silence)}"
        if run.status.state != "running":
            return "starting"
        if run.status.phase != "training":
            return run.status.phase
        left = run.time_left_s()
        return "" if left is None else f"{show_duration(left)} left"

    def _bar(self, run: Watched, width: int) -> str:
        share = run.status.step / run.status.steps if run.status.steps > 0 and run.status.state == "running" else 0.0
        filled = round(width * min(1.0, share))
        return self._marks["heavy"] * filled + self._marks["light"] * (width - filled)

    # ---------------------------------------------------------------------------------------------------- the lines
    def _line(self, text: str, style: str = "") -> Text:
        return Text(shorten_end(printable(text), self.width, self._marks["more"]), style=style, no_wrap=True, overflow="crop", end="\n")

    def _rule(self, title: str) -> Text:
        light, title = self._marks["light"], printable(title)
        text = shorten_end(f"{light * 2} {title} " if title else light * 2, self.width, self._marks["more"])
        return self._line(text + light * (self.width - cell_len(text)), "bold")

    def _fold(self, parts: Sequence[str], style: str) -> list[Text]:
        """`parts` with dots between them, on as many lines as they need."""
        lines = [""]
        for part in parts:
            longer = lines[-1] + (self._marks["dot"] if lines[-1] else "") + part
            if lines[-1] and cell_len(longer) > self.width:
                lines.append(part)
            else:
                lines[-1] = longer
        return [self._line(line, style) for line in lines]

    def _wrap(self, text: str, style: str) -> list[Text]:
        lines = [""]
        for word in text.split(" "):
            longer = f"{lines[-1]} {word}" if lines[-1] else word
            if lines[-1] and cell_len(longer) > self.width:
                lines.append(word)
            else:
                lines[-1] = longer
        return [self._line(line, style) for line in lines]


def shorten(name: str, width: int, more: str = "…") -> str:
    """A name too long for `width` cells with its middle left out: number and seed stay."""
    if cell_len(name) <= width:
        return name
    tail = min(12, max(3, width // 3))
    return set_cell_size(name, max(0, width - tail - cell_len(more))) + more + name[-tail:]


def shorten_end(text: str, width: int, more: str = "…") -> str:
    """`text` cut off where it is wider than `width` cells."""
    return text if cell_len(text) <= width else set_cell_size(text, max(0, width - cell_len(more))) + more


def _percent(run: Watched) -> str:
    return f"{100 * run.status.step // run.status.steps:3d} %" if run.status.steps > 0 and run.status.state == "running" else "– %"


def _loss(run: Watched) -> str:
    loss = run.value("train/loss")
    return "" if loss is None else f"loss {loss:.4g}"


def _attempt(run: Watched) -> str:
    return f"attempt {run.status.attempt}" if run.status.attempt > 1 else ""
