"""The screen of a sweep, as lines of text. Nothing here reads a file or writes to a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len, set_cell_size
from rich.console import Group
from rich.text import Text

from runner.core.text import printable
from runner.core.values import counted
from runner.monitor.live import LiveRun
from runner.results.format import show_duration
from runner.store.commands import Situation

_NAME_WIDTH = 34
_LOW = 12
"""A screen with fewer lines omits the less important parts."""
_LEAST_NAME, _LEAST_BAR, _MOST_BAR = 14, 8, 40
_MARKS = {"heavy": "━", "light": "─", "dot": " · ", "more": "…"}
_ASCII_MARKS = {"heavy": "#", "light": "-", "dot": ", ", "more": "..."}


@dataclass(frozen=True, slots=True)
class Screen:
    """The content of the screen.

    Args:
        title: name of the sweep or run.
        counts: see `runner.monitor.sweep_monitor.SweepMonitor.counts`.
        running: the active runs.
        situation: what the driver says.
        metric: tag of `LiveRun.value`.
        spent_s: since the screen began; left_s: an estimate, None while there is none.
        width, height: of the terminal, in cells.
        ascii_only: the terminal can show nothing else.
    """

    title: str
    counts: dict[str, int]
    running: Sequence[LiveRun]
    situation: Situation = field(default_factory=Situation)
    metric: str = ""
    spent_s: float = 0.0
    left_s: float | None = None
    width: int = 80
    height: int = 24
    ascii_only: bool = False

    def render(self) -> Group:
        """Return the screen as at most `height` lines no wider than `width`."""
        foot = self._footer()
        head = self._summary()
        room = max(1, self.height - len(head) - len(foot))
        return Group(*[*head, *self._rows(room), *foot][: self.height])

    @property
    def _marks(self) -> dict[str, str]:
        return _ASCII_MARKS if self.ascii_only else _MARKS

    @property
    def _is_low(self) -> bool:
        return self.height < _LOW

    # ---------------------------------------------------------------------------------------------------- the parts
    def _summary(self) -> list[Text]:
        total = sum(self.counts.values())
        parts = [f"{count} {name}" for name, count in self.counts.items()]
        runs = counted(total, "run")
        parts[:1] = [f"{self.counts['done']} of {runs} done"] if "done" in self.counts else [runs, *parts[:1]]
        used = f"{self.situation.used} of {counted(self.situation.slots, 'slot')} used"
        times = [used, f"{show_duration(self.spent_s)} so far"] if not self._is_low else [used]
        times += [f"about {show_duration(self.left_s)} left"] if self.left_s is not None and not self.situation.paused else []
        lines = [self._rule(self.title), *self._fold(parts, "bold"), *self._fold(times, "")]
        if self.situation.paused:
            lines.append(self._line(self.situation.paused, "bold yellow"))
        if self.situation.best and not self._is_low:
            lines.append(self._line(f"best so far: {self.situation.best}", "green"))
        return lines

    def _rows(self, room: int) -> list[Text]:
        """Return one line per active run; a count of the others where there are too many."""
        shown = self.running if len(self.running) <= room else self.running[: max(1, room - 1)]
        lines = self._run_lines(shown)
        if more := len(self.running) - len(shown):
            lines.append(self._line(f"{self._marks['more']} and {more} more running", "dim"))
        return lines

    def _run_lines(self, runs: Sequence[LiveRun]) -> list[Text]:
        columns = [[cell(run) for run in runs] for cell in (_percent, self._metric, _loss, activity_text, _attempt)]
        names = [printable(run.name) for run in runs]
        name_width = min(_NAME_WIDTH, max(map(cell_len, names), default=0))
        widths = [max(map(cell_len, column), default=0) for column in columns]
        keep = [True] * len(columns)
        for dropped in (2, 4, 1, None):  # the loss first, then the attempt, then the metric
            rest = self.width - sum(width + 2 for width, kept in zip(widths, keep, strict=True) if kept and width)
            if rest >= min(name_width, _LEAST_NAME) + 2 + _LEAST_BAR or dropped is None:
                break
            keep[dropped] = False
        name_width = max(1, min(name_width, max(_LEAST_NAME, rest - 2 - max(_LEAST_BAR, rest // 3))))
        bar_width = min(_MOST_BAR, rest - name_width - 2)
        lines = []
        for index, run in enumerate(runs):
            text = set_cell_size(shorten(names[index], name_width, self._marks["more"]), name_width)
            if bar_width >= 3:
                text += "  " + self._bar(run, bar_width)
            for column, width, kept in zip(columns, widths, keep, strict=True):
                if kept and width:
                    text += "  " + " " * (width - cell_len(column[index])) + column[index]
            lines.append(self._line(text, "yellow" if run.activity == "silent" else ""))
        return lines

    def _footer(self) -> list[Text]:
        others = [] if self._is_low else ["from another terminal: runner pause, stop, status"]
        return self._fold(["Ctrl-C saves and ends", *others], "dim")

    # ---------------------------------------------------------------------------------------------------- the cells
    def _metric(self, run: LiveRun) -> str:
        return metric_text(self.metric, run)

    def _bar(self, run: LiveRun, width: int) -> str:
        share = run.status.step / run.status.steps if run.status.steps > 0 and run.activity != "starting" else 0.0
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
        """Return `parts` with dots between them, on as many lines as they need."""
        lines = [""]
        for part in parts:
            longer = lines[-1] + (self._marks["dot"] if lines[-1] else "") + part
            if lines[-1] and cell_len(longer) > self.width:
                lines.append(part)
            else:
                lines[-1] = longer
        return [self._line(line, style) for line in lines]


def shorten(name: str, width: int, more: str = "…") -> str:
    """Return a name without its middle where it is longer than `width` cells: number and seed stay."""
    if cell_len(name) <= width:
        return name
    tail = min(12, max(3, width // 3))
    return set_cell_size(name, max(0, width - tail - cell_len(more))) + more + name[-tail:]


def shorten_end(text: str, width: int, more: str = "…") -> str:
    """Return `text`, cut where it is wider than `width` cells."""
    return text if cell_len(text) <= width else set_cell_size(text, max(0, width - cell_len(more))) + more


def activity_text(run: LiveRun) -> str:
    """Describe a run's activity: ``0:20 left``, ``evaluating``, ``starting``, ``silent for 0:45``."""
    match run.activity:
        case "silent":
            return f"silent for {show_duration(run.silent_s or 0.0)}"
        case "starting":
            return "starting"
        case "training":
            return "" if run.left_s is None else f"{show_duration(run.left_s)} left"
    return run.status.phase


def metric_text(tag: str, run: LiveRun) -> str:
    """Return ``AP 0.412``; empty before the first evaluation."""
    return "" if run.value is None else f"{tag.rpartition('/')[2]} {run.value:.3f}"


def _percent(run: LiveRun) -> str:
    return "– %" if run.percent is None or run.activity == "starting" else f"{run.percent:3d} %"


def _loss(run: LiveRun) -> str:
    loss = run.number("train/loss")
    return "" if loss is None else f"loss {loss:.4g}"


def _attempt(run: LiveRun) -> str:
    return f"attempt {run.status.attempt}" if run.status.attempt > 1 else ""
