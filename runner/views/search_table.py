"""An adaptive search in a terminal: its best trials, what mattered, trade-offs, slices and parallel coordinates. Nothing is conveyed by
colour alone; 80 columns are enough."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from runner.core.values import counted
from runner.results.format import show_summary
from runner.results.notes import note
from runner.results.search.importance import Importances, short_number
from runner.results.search.report import SearchReport
from runner.results.search.shapes import Axis, Slice
from runner.results.search.trials import SearchResults, SearchTrial
from runner.stats.intervals import Summary
from runner.views.answer import Answer
from runner.views.terminal import plain

_MOST_BEST = 10
_MOST_LINES = 40
_BAR = 20
_BLOCKS = " ▏▎▍▌▋▊▉█"
_MARKS = "·:∴#"  # one, two, three, more trials in a cell
_PLOT_HEIGHT = 12
_NONE = Summary((), math.nan, None)


def render_search(report: SearchReport, views: Sequence[str] = ()) -> RenderableType:
    """Render some views of a search.

    Args:
        views: best: the best ten trials, the winner's values with new seeds, and the harm audit where trials were pruned; importances;
            pareto; slice: each parameter against the metric; parallel: one line per trial. Empty: best, importances, and with several
            metrics pareto.
    """
    parts: dict[str, Callable[[SearchReport], Iterable[RenderableType]]] = {
        "best": _best,
        "importances": _importances,
        "pareto": _pareto,
        "slice": _slice,
        "parallel": _parallel,
    }
    several = len(report.results.metrics) > 1
    chosen = views or ("best", "importances", *(["pareto"] if several else []))
    warnings = [plain(f"WARNING: {warning.text}", "bold red") for warning in report.warnings]
    return Group(*warnings, *(shown for view in chosen for shown in parts[view](report)))


def _best(report: SearchReport) -> Iterator[RenderableType]:
    results = report.results
    metric = results.metrics[0]
    confirmed = any(metric.name in trial.fresh for trial in results.trials)
    table = _table()
    table.add_column("", justify="right")
    table.add_column("trial", justify="right")
    for other in results.metrics:
        table.add_column(plain(other.name), no_wrap=True)
    table.add_column("n", justify="right")
    if confirmed:
        table.add_column("new seeds", no_wrap=True)
        table.add_column("n", justify="right")
    table.add_column("parameters", overflow="fold", ratio=1)
    listed = list(enumerate(results.ranked, start=1))
    shown = listed[:_MOST_BEST]
    shown += [(place, number) for place, number in listed[_MOST_BEST:] if number == 0 or metric.name in results.trial(number).fresh]
    for place, number in shown:
        trial = results.trial(number)
        fresh = trial.fresh.get(metric.name, _NONE)
        row = [str(place), _number(trial), *(show_summary(trial.values[other.name]) for other in results.metrics)]
        row += [str(trial.values[metric.name].n)]
        row += [show_summary(fresh), str(fresh.n or "")] if confirmed else []
        table.add_row(*row, plain(_parameters(results, trial)))
    if shown:
        yield table
    if len(listed) > len(shown):
        yield _item(f"{counted(len(listed) - len(shown), 'more finished trial')} not shown; --format json lists all")
    yield Answer(report.answer)
    yield from (_item(note.text) for note in report.notes)
    if report.audit_notes:
        yield Text("Pruning", style="bold")
        yield from (_item(note.text) for note in report.audit_notes)


def _importances(report: SearchReport) -> Iterator[RenderableType]:
    for found in report.importances:
        if found.refused is not None:
            yield _item(found.refused.text)
            continue
        yield _importance_table(report.results, found)
        yield _item(note("importances-share", top=found.top, trials=found.trials, method=found.method).text)
        if any(not item.beyond_chance for item in found.parameters):
            yield _item(note("importances-chance").text)


def _importance_table(results: SearchResults, found: Importances) -> Table:
    table = _table()
    table.add_column(plain(f"for {found.metric}"), overflow="fold")
    table.add_column("share", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("95 %", no_wrap=True)
    table.add_column("beyond chance", no_wrap=True)
    table.add_column("n", justify="right")
    table.add_column("best trials have", overflow="fold", ratio=1)
    for item in found.parameters:
        interval = f"{100 * item.low:.0f} to {100 * item.high:.0f} %"
        row: list[RenderableType] = [
            plain(results.short[item.key]),
            f"{100 * item.share:.0f} %",
            _bar(item.share),
            interval,
            "yes" if item.beyond_chance else "no",
            str(item.trials),
        ]
        table.add_row(*row, plain(item.best))
    return table


def _pareto(report: SearchReport) -> Iterator[RenderableType]:
    results, front = report.results, report.pareto
    if len(results.metrics) == 1:
        yield _item(f"one metric only, {front.metrics[0]}: the front is its best trial")
    table = _table()
    table.add_column("trial", justify="right")
    for metric in results.metrics:
        table.add_column(plain(f"{metric.name} ({'more' if metric.goal == 'maximize' else 'less'} is better)"))
    table.add_column("parameters", overflow="fold", ratio=1)
    for trial in map(results.trial, front.front[:_MOST_LINES]):
        table.add_row(_number(trial), *(show_summary(trial.values[name]) for name in front.metrics), plain(_parameters(results, trial)))
    if not front.front:
        yield _item("no finished trial satisfies the constraints yet" if front.excluded else "no trial has finished yet")
        return
    yield table
    if len(front.metrics) > 1 and len(front.front) + len(front.dominated) > 2:
        yield _ParetoPlot(results, front.front, front.dominated)
    yield _item(
        f"on the front: {len(front.front)} of {counted(len(front.front) + len(front.dominated), 'trial')}; "
        "no other trial is better in every metric"
    )
    yield _item("results vary with the seed: neighbours on the front may swap places")
    if front.excluded:
        yield _item(f"left out, because a constraint is violated: {', '.join(map(str, front.excluded))}")


class _ParetoPlot:
    """Plot of the first two metrics: ``o`` on the front, ``·`` not."""

    def __init__(self, results: SearchResults, front: Sequence[int], dominated: Sequence[int]) -> None:
        self._names = [metric.name for metric in results.metrics[:2]]
        self._points: list[tuple[float, float, str]] = []
        for numbers, mark in ((dominated, "·"), (front, "o")):  # the front last, so that it lies on top
            for number in numbers:
                x, y = (results.trial(number).values[name].mean for name in self._names)
                self._points.append((x, y, mark))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(20, min(72, options.max_width - 2))
        across, up = self._names
        xs, ys = [point[0] for point in self._points], [point[1] for point in self._points]
        cells = [[" "] * width for _ in range(_PLOT_HEIGHT)]
        for x, y, mark in self._points:
            row = round((1 - _share(y, min(ys), max(ys))) * (_PLOT_HEIGHT - 1))
            cells[row][round(_share(x, min(xs), max(xs)) * (width - 1))] = mark
        yield plain(f"{up} {min(ys):.4g} to {max(ys):.4g} upwards")
        for row_cells in cells:
            yield Text(f"│{''.join(row_cells)}")
        yield Text(f"└{'─' * width}")
        yield plain(f"  {across} {min(xs):.4g} to {max(xs):.4g} to the right; o: on the front")


def _slice(report: SearchReport) -> Iterator[RenderableType]:
    results = report.results
    for metric in results.metrics:
        found = [each for each in report.slices if each.metric == metric.name]
        values = [value for item in found for _, _, value in item.points]
        if not values:
            yield _item("no trial has finished yet")
            return
        for item in found:
            yield _SliceTable(results.short[item.key], item, min(values), max(values))
    yield _item(f"one line per value or range of values; {' '.join(_MARKS)}: 1, 2, 3 and more finished trials; further right is more")


class _SliceTable:
    """Bins of a parameter, each with its trials spread along the metric."""

    def __init__(self, name: str, item: Slice, low: float, high: float) -> None:
        self._name, self._slice, self._low, self._high = name, item, low, high

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        labels = [item.label for item in self._slice.bins]
        width = max(16, min(60, options.max_width - max(map(len, [*labels, self._name]), default=0) - 26))
        table = _table()
        table.add_column(plain(self._name), no_wrap=True)
        table.add_column("n", justify="right")
        start = f"{self._low:.4g}"
        table.add_column(start + f"{self._high:.4g}".rjust(width - len(start)), no_wrap=True, width=width)
        table.add_column("median", justify="right")
        table.add_column("best", justify="right")
        for item in self._slice.bins:
            counts = [0] * width
            for value in item.values:
                counts[round(_share(value, self._low, self._high) * (width - 1))] += 1
            dots = "".join(_MARKS[min(count, len(_MARKS)) - 1] if count else " " for count in counts)
            table.add_row(plain(item.label), str(len(item.values)), Text(dots), f"{item.median:.3f}", f"{item.best:.3f}")
        yield table


def _parallel(report: SearchReport) -> Iterator[RenderableType]:
    results, found = report.results, report.parallel[0]
    if not found.lines:
        yield _item("no trial has an evaluation yet")
        return
    table = _table()
    table.add_column("trial", justify="right")
    table.add_column(plain(found.metric), justify="right", no_wrap=True)
    for axis in found.axes:
        table.add_column(plain(results.short[axis.key]), overflow="fold")
    for line in found.lines[:_MOST_LINES]:
        trial = results.trial(line.trial)
        cells = [_cell(trial, axis, place) for axis, place in zip(found.axes, line.places, strict=True)]
        table.add_row(_number(trial), f"{line.value:.3f}{'' if line.state == 'done' else '*'}", *cells)
    yield table
    if len(found.lines) > _MOST_LINES:
        yield _item(f"{counted(len(found.lines) - _MOST_LINES, 'more trial')} not shown; --format json lists all")
    if any(line.state == "pruned" for line in found.lines):
        yield _item("* pruned: its last evaluation")
    logs = [results.short[axis.key] for axis in found.axes if axis.log]
    if logs:
        yield _item(f"bars by the logarithm: {', '.join(logs)}")


def _cell(trial: SearchTrial, axis: Axis, place: float | None) -> Text:
    """Format a number with a bar for its position in the range; a choice as it is."""
    if place is None:
        return plain("–")
    text = short_number(trial.parameters[axis.key])
    return plain(text if axis.choices else f"{_bar(place, 6)} {text}")


def _bar(share: float, width: int = _BAR) -> str:
    eighths = round(min(1.0, max(0.0, share)) * width * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_BLOCKS[rest] if rest else "")).ljust(width)


def _share(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low) if high > low else 0.5


def _parameters(results: SearchResults, trial: SearchTrial) -> str:
    return ", ".join(f"{results.short[key]} {short_number(value)}" for key, value in trial.parameters.items())


def _number(trial: SearchTrial) -> str:
    return "0 baseline" if trial.is_baseline else str(trial.number)


def _table() -> Table:
    return Table(box=box.SIMPLE_HEAD, show_lines=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")


def _item(text: str) -> Table:
    """Make an item of a list, with its further lines indented."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column()
    grid.add_column(overflow="fold")
    grid.add_row("-", plain(text))
    return grid
