"""An adaptive search in a terminal: its best trials, what mattered, trade-offs, slices and parallel coordinates. Nothing is said by colour
alone; 80 columns are enough."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, Literal, get_args

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from runner.results.export import show_delta, show_interval, show_summary
from runner.results.search.audit import Audit, audit_pruning, audit_text
from runner.results.search.importance import Importances, importances, short_number
from runner.results.search.shapes import Axis, Slice, parallel, pareto_front, slices
from runner.results.search.trials import SearchResults, SearchTrial
from runner.stats.intervals import Summary
from runner.views.terminal import plain

View = Literal["best", "importances", "pareto", "slice", "parallel"]
VIEWS: Final[tuple[View, ...]] = get_args(View)

_MOST_BEST = 10
_MOST_LINES = 40
_BAR = 20
_BLOCKS = " ▏▎▍▌▋▊▉█"
_MARKS = "·:∴#"  # one, two, three, more trials in a cell
_PLOT_HEIGHT = 12
_NONE = Summary((), math.nan, None)


def render(results: SearchResults, view: View = "best") -> RenderableType:
    """One view of a search, for `rich`.

    Args:
        results: from `runner.results.search.trials.search_results`.
        view: best: the best ten trials, whether fresh seeds confirm the winner, and the harm audit where trials were pruned; importances;
            pareto; slice: each parameter against the metric; parallel: a line a trial.
    """
    views: dict[View, Callable[[SearchResults], Iterable[RenderableType]]] = {
        "best": _best,
        "importances": _importances,
        "pareto": _pareto,
        "slice": _slice,
        "parallel": _parallel,
    }
    warnings = [plain(f"WARNING: {warning}", "bold red") for warning in results.warnings]
    return Group(*warnings, *views[view](results))


def render_audit(audit: Audit) -> RenderableType:
    """The harm audit as a list of sentences."""
    return Group(Text("Pruning", style="bold"), *(_item(line) for line in audit_text(audit)))


def _best(results: SearchResults) -> Iterator[RenderableType]:
    metric = results.metrics[0]
    confirmed = any(metric.name in trial.fresh for trial in results.trials)
    table = _table()
    table.add_column("", justify="right")
    table.add_column("trial", justify="right")
    for other in results.metrics:
        table.add_column(plain(other.name), no_wrap=True)
    table.add_column("n", justify="right")
    if confirmed:
        table.add_column("fresh seeds", no_wrap=True)
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
        yield _item(f"{len(listed) - len(shown)} more finished trials are not shown; --json lists them all")
    states = results.states()
    yield _item(f"{len(results.trials)} trials: " + ", ".join(f"{count} {state}" for state, count in states.items()))
    broken = [trial for trial in results.trials if trial.violated]
    if broken:
        yield _item(
            f"not ranked, for a constraint that it breaks: {'; '.join(f'{trial.number} ({trial.violated[0]})' for trial in broken)}"
        )
    yield from map(_item, _confirmation(results))
    audit = audit_pruning(results)
    if audit is not None:
        yield render_audit(audit)


def _confirmation(results: SearchResults) -> Iterator[str]:
    """What is to be believed of the winner's value."""
    winner, metric = results.winner, results.metrics[0].name
    if winner is None:
        yield "no trial has finished yet"
        return
    if len(results.ranked) < 2:
        return
    search, fresh = winner.values[metric], winner.fresh.get(metric)
    if fresh is None:
        if len(results.metrics) == 1:
            yield f"the winner's value is the best of {len(results.ranked)} and so too good; runs with fresh seeds would tell (`confirm`)"
        return
    seeds = f"{fresh.n} fresh seed{'' if fresh.n == 1 else 's'}"
    yield f"the winner, trial {winner.number}: {show_summary(search)} in the search, {show_summary(fresh)} with {seeds}"
    yield f"the second number is the honest one: the first was picked as the best of {len(results.ranked)}"
    if results.gain is not None:
        interval = show_interval(results.gain)
        text = f"with fresh seeds it differs from the baseline by {show_delta(results.gain)}"
        yield f"{text} {interval} (95 %)" if interval else f"{text}; too few seeds for an interval"


def _importances(results: SearchResults) -> Iterator[RenderableType]:
    for index in range(len(results.metrics)):
        found = importances(results, index)
        if found.refused:
            yield _item(f"importances for {found.metric}: {found.refused}")
            continue
        yield _importance_table(results, found)
        lowest = f"the best {found.top} of {found.trials}"
        yield _item(f"share: how far the values of {lowest} trials differ from those of all, by {found.method}; 95 % interval over trials")
        if any(not item.told for item in found.parameters):
            yield _item("no: not more than picking trials by chance would show")


def _importance_table(results: SearchResults, found: Importances) -> Table:
    table = _table()
    table.add_column(plain(f"for {found.metric}"), overflow="fold")
    table.add_column("share", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("95 %", no_wrap=True)
    table.add_column("beyond chance", no_wrap=True)
    table.add_column("n", justify="right")
    table.add_column("the best have", overflow="fold", ratio=1)
    for item in found.parameters:
        interval = f"{100 * item.low:.0f} to {100 * item.high:.0f} %"
        told = "yes" if item.told else "no"
        row: list[RenderableType] = [
            plain(results.short[item.key]),
            f"{100 * item.share:.0f} %",
            _bar(item.share),
            interval,
            told,
            str(item.trials),
        ]
        table.add_row(*row, plain(item.best))
    return table


def _pareto(results: SearchResults) -> Iterator[RenderableType]:
    front = pareto_front(results)
    if len(results.metrics) == 1:
        yield _item(f"there is one metric, {front.metrics[0]}: the front is its best trial")
    table = _table()
    table.add_column("trial", justify="right")
    for metric in results.metrics:
        table.add_column(plain(f"{metric.name} ({'more' if metric.goal == 'maximize' else 'less'} is better)"))
    table.add_column("parameters", overflow="fold", ratio=1)
    for trial in map(results.trial, front.front[:_MOST_LINES]):
        table.add_row(_number(trial), *(show_summary(trial.values[name]) for name in front.metrics), plain(_parameters(results, trial)))
    if not front.front:
        yield _item("no finished trial keeps the constraints yet" if front.excluded else "no trial has finished yet")
        return
    yield table
    if len(front.metrics) > 1 and len(front.front) + len(front.dominated) > 2:
        yield _ParetoPlot(results, front.front, front.dominated)
    yield _item(f"{len(front.front)} of {len(front.front) + len(front.dominated)} trials are beaten by no other in every metric")
    yield _item("single seeds differ by chance: neighbours on the front may trade places")
    if front.excluded:
        yield _item(f"left out, for a constraint: {', '.join(map(str, front.excluded))}")


class _ParetoPlot:
    """The first two metrics over one another: ``o`` on the front, ``·`` not."""

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
            row = round((1 - _place(y, min(ys), max(ys))) * (_PLOT_HEIGHT - 1))
            cells[row][round(_place(x, min(xs), max(xs)) * (width - 1))] = mark
        yield plain(f"{up} {min(ys):.4g} to {max(ys):.4g} upwards")
        for row_cells in cells:
            yield Text(f"│{''.join(row_cells)}")
        yield Text(f"└{'─' * width}")
        yield plain(f"  {across} {min(xs):.4g} to {max(xs):.4g} to the right; o: on the front")


def _slice(results: SearchResults) -> Iterator[RenderableType]:
    for index in range(len(results.metrics)):
        found = slices(results, index)
        values = [value for item in found for _, _, value in item.points]
        if not values:
            yield _item("no trial has finished yet")
            return
        for item in found:
            yield _SliceTable(results.short[item.key], item, min(values), max(values))
    yield _item(f"a line a value or range of values; {' '.join(_MARKS)} stand for 1, 2, 3 and more finished trials, further right is more")


class _SliceTable:
    """A parameter's bins, each with its trials spread along the metric."""

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
                counts[round(_place(value, self._low, self._high) * (width - 1))] += 1
            dots = "".join(_MARKS[min(count, len(_MARKS)) - 1] if count else " " for count in counts)
            table.add_row(plain(item.label), str(len(item.values)), Text(dots), f"{item.median:.3f}", f"{item.best:.3f}")
        yield table


def _parallel(results: SearchResults) -> Iterator[RenderableType]:
    found = parallel(results)
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
        yield _item(f"{len(found.lines) - _MOST_LINES} more trials are not shown; --json lists them all")
    if any(line.state == "pruned" for line in found.lines):
        yield _item("* given up: its last evaluation")
    logs = [results.short[axis.key] for axis in found.axes if axis.log]
    if logs:
        yield _item(f"bars by the logarithm: {', '.join(logs)}")


def _cell(trial: SearchTrial, axis: Axis, place: float | None) -> Text:
    """A number with a bar that shows where in its range it lies; a choice as it is."""
    if place is None:
        return plain("–")
    text = short_number(trial.parameters[axis.key])
    return plain(text if axis.choices else f"{_bar(place, 6)} {text}")


def _bar(share: float, width: int = _BAR) -> str:
    eighths = round(min(1.0, max(0.0, share)) * width * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_BLOCKS[rest] if rest else "")).ljust(width)


def _place(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low) if high > low else 0.5


def _parameters(results: SearchResults, trial: SearchTrial) -> str:
    return ", ".join(f"{results.short[key]} {short_number(value)}" for key, value in trial.parameters.items())


def _number(trial: SearchTrial) -> str:
    return "0 baseline" if trial.is_baseline else str(trial.number)


def _table() -> Table:
    return Table(box=box.SIMPLE_HEAD, show_lines=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")


def _item(text: str) -> Table:
    """A point of a list, with its further lines indented."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_row("-", plain(text))
    return grid
