"""Numbers of what a sweep of any design has tried: the axis of each varied key, means by value, the best so far."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from runner.core.values import format_value, is_number
from runner.results.search.shapes import LOG_RATIO
from runner.results.search.trials import better
from runner.store.run_dir import Goal

MOST_VALUES = 24
"""Numbers of an axis that are listed one by one; of more, only the range is known."""
_LARGEST = 1e300  # of a number on an axis; NaN is none either
_EVENER = 0.5
"""Listed numbers are logarithmic where the spread of their ratios is below this part of that of their distances."""


@dataclass(frozen=True, slots=True)
class KeyAxis:
    """Axis of a varied key.

    Args:
        key: dotted; short: its name in tables.
        low, high: its ends, of numbers: those of the sweep file, or of what was tried; None of choices.
        log: whether places are those of the logarithm.
        values: the numbers, in their order, if there are few.
        choices: texts in the order of the sweep file; empty of numbers.
    """

    key: str
    short: str
    low: float | None
    high: float | None
    log: bool
    values: tuple[float, ...]
    choices: tuple[str, ...]

    def place(self, value: Any) -> float | None:
        """Return the number itself, or the index of a choice."""
        if not self.choices:
            return float(value)
        text = format_value(value)
        return float(self.choices.index(text)) if text in self.choices else None

    def index(self, place: float) -> int | None:
        """Return which of the listed values a place is; None where they are not listed."""
        if self.choices:
            return int(place)
        return self.values.index(place) if place in self.values else None

    @property
    def count(self) -> int:
        """Number of listed values."""
        return len(self.choices or self.values)


def key_axis(key: str, short: str, tried: Sequence[Any], declared: Any = None) -> KeyAxis:
    """Return the axis of a key.

    Args:
        tried: its values in the trials that it applies to.
        declared: what the sweep file says of it: a list of values, or a mapping with `values`, `choices`, or `low`, `high` and `log`.
    """
    span = declared if isinstance(declared, Mapping) else {}
    listed = declared if isinstance(declared, list | tuple) else span.get("values") or span.get("choices") or ()
    every = [*listed, *tried]
    ends = [end for end in (span.get("low"), span.get("high")) if _is_plain(end)]
    if not all(map(_is_plain, every)):
        return KeyAxis(key, short, None, None, False, (), tuple(dict.fromkeys(map(format_value, every))))
    numbers = sorted({float(value) for value in every})
    values = tuple(numbers) if len(numbers) <= MOST_VALUES else ()
    if not numbers and not ends:
        return KeyAxis(key, short, None, None, False, (), ())
    low, high = min([*numbers, *ends]), max([*numbers, *ends])
    log = bool(span.get("log")) if ends else _is_logarithmic(numbers)
    return KeyAxis(key, short, low, high, log and low > 0, values, ())


def _is_plain(value: Any) -> TypeGuard[int | float]:
    return is_number(value) and abs(value) < _LARGEST


def _is_logarithmic(numbers: Sequence[float]) -> bool:
    """Return whether numbers are spread by their ratios: over a wide range, or as 4, 8, 16 are."""
    if not numbers or numbers[0] <= 0:
        return False
    if numbers[-1] / numbers[0] > LOG_RATIO:
        return True
    if not 2 < len(numbers) <= MOST_VALUES:
        return False
    gaps = [after - before for before, after in zip(numbers, numbers[1:], strict=False)]
    ratios = [after / before for before, after in zip(numbers, numbers[1:], strict=False)]
    return statistics.pstdev(ratios) / statistics.fmean(ratios) < _EVENER * statistics.pstdev(gaps) / statistics.fmean(gaps)


@dataclass(frozen=True, slots=True)
class CellMean:
    """Mean over the trials with one value of each of two keys.

    Args:
        x, y: indices of the values on the two axes.
        trials: how many trials there are; mean: of their means.
    """

    x: int
    y: int
    trials: int
    mean: float


def cell_means(x: KeyAxis, y: KeyAxis, points: Iterable[tuple[float | None, float | None, float]]) -> list[CellMean]:
    """Average a metric over the trials in each cell of two keys; each trial counts once, however many seeds it has.

    Args:
        points: (place on x, place on y, mean over seeds) of each trial.
    """
    cells: dict[tuple[int, int], list[float]] = {}
    for px, py, value in points:
        if px is None or py is None or (ix := x.index(px)) is None or (iy := y.index(py)) is None:
            continue
        cells.setdefault((ix, iy), []).append(value)
    return [CellMean(ix, iy, len(values), statistics.fmean(values)) for (ix, iy), values in sorted(cells.items())]


@dataclass(frozen=True, slots=True)
class ValueMean:
    """Mean over the trials with one value of a key: `place` on its axis, number of trials, mean of their means."""

    place: float
    trials: int
    mean: float


def value_means(axis: KeyAxis, points: Iterable[tuple[float | None, float]]) -> list[ValueMean]:
    """Average a metric over the trials with each listed value of a key, in the order of the axis.

    Args:
        points: (place, mean over seeds) of each trial.
    """
    groups: dict[float, list[float]] = {}
    for place, value in points:
        if place is not None and axis.index(place) is not None:
            groups.setdefault(place, []).append(value)
    return [ValueMean(place, len(values), statistics.fmean(values)) for place, values in sorted(groups.items())]


def best_so_far(values: Iterable[tuple[int, float]], goal: Goal) -> list[tuple[int, float]]:
    """Return (trial, value) of each trial that was better than all before it; `values` are in the order of the trials."""
    found: list[tuple[int, float]] = []
    for number, value in values:
        if not found or better(value, found[-1][1], goal):
            found.append((number, value))
    return found
