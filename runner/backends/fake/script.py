"""Script of a fake run: its formulas, its table of curves, its noise."""

from __future__ import annotations

import bisect
import csv
import io
import math
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from runner.backends.fake.schema import FakeConfig, Table
from runner.core.errors import InputError, Problem, nearest
from runner.core.expression import Expression
from runner.core.files import read_text

NAMES = ("step", "steps", "seed", "noise", "seed_noise", "curve")
"""What a formula may use beside ``parameters.KEY``."""


class Script:
    """The formulas of a config. Everything in it follows from the config and the step alone.

    Raises:
        InputError: with all that is wrong with them.
    """

    def __init__(self, config: FakeConfig) -> None:
        self._config = config
        own = {f"parameters.{key}": value for key, value in config.parameters.items()}
        self._known = {"steps": config.max_iters, "seed": config.seed, **own}
        self._noise_of = (config.seed, sorted(config.parameters.items()), config.table.curve if config.table else None)
        problems: list[Problem] = []
        self._curve = self._read_table(problems)
        self._metrics = {tag: parsed for tag, text in config.metrics.items() if (parsed := self._parsed(f"metrics.{tag}", text, problems))}
        self._loss = self._parsed("loss", config.loss, problems)
        if not config.metrics:
            problems.append(Problem("is empty: give at least one tag with its formula", key="metrics"))
        if problems:
            raise InputError(problems)

    def loss(self, step: int) -> float:
        """Return the loss of a step."""
        assert self._loss is not None
        return self._value("loss", self._loss, step)

    def metrics(self, step: int) -> dict[str, float]:
        """Compute the metrics of an evaluation after `step` steps.

        Raises:
            InputError: a formula has no value there.
        """
        return {tag: self._value(f"metrics.{tag}", formula, step) for tag, formula in self._metrics.items()}

    def _value(self, key: str, formula: Expression, step: int) -> float:
        try:
            return float(formula.evaluate(lambda name: self._look_up(name, key, step)))
        except (ValueError, TypeError) as error:
            raise InputError(Problem(f"{formula.text!r} has no value at step {step}: {error}", key=key)) from error

    def _look_up(self, name: str, key: str, step: int) -> Any:
        if name == "step":
            return step
        if name == "curve":
            return self._curve.at(step) if self._curve else math.nan
        if name == "seed_noise":
            return _normal(self._config.seed, key)
        if name == "noise":
            return _normal(self._noise_of, key, step)
        return self._known[name]

    def _parsed(self, key: str, text: str, problems: list[Problem]) -> Expression | None:
        try:
            formula = Expression.parse(text)
        except ValueError as error:
            problems.append(Problem(f"{text!r} is not a formula: {error}", key=key))
            return None
        allowed = {*NAMES, *self._known}
        for name in sorted(formula.names - allowed):
            problems.append(Problem(f"unknown name {name!r}; {nearest(name, sorted(allowed))}".rstrip("; "), key=key))
        if "curve" in formula.names and self._config.table is None:
            problems.append(Problem("uses `curve`, but no table is given", key=key))
        if formula.names <= allowed and not problems:
            try:
                self._value(key, formula, self._config.max_iters)
            except InputError as error:
                problems += error.problems
        return formula

    def _read_table(self, problems: list[Problem]) -> _Curve | None:
        if self._config.table is None:
            return None
        try:
            return _read_curve(self._config.table)
        except InputError as error:
            problems += error.problems
            return None


class _Curve:
    """A line through recorded points, level before the first and after the last.

    Args:
        points: step to value, at least one.
    """

    def __init__(self, points: Mapping[int, float]) -> None:
        self._steps = sorted(points)
        self._values = [points[step] for step in self._steps]

    def at(self, step: int) -> float:
        """Return its value at a step."""
        after = bisect.bisect_left(self._steps, step)
        if after == len(self._steps):
            return self._values[-1]
        if after == 0 or self._steps[after] == step:
            return self._values[after]
        (x1, x2), (y1, y2) = self._steps[after - 1 : after + 1], self._values[after - 1 : after + 1]
        return y1 + (y2 - y1) * (step - x1) / (x2 - x1)


def _read_curve(table: Table) -> _Curve:
    path, name = Path(table.file).expanduser(), str(table.curve)
    try:
        reader = csv.DictReader(io.StringIO(read_text(path)))
        columns = [*(reader.fieldnames or ())]
        if "step" not in columns or name not in columns:
            lacking = "step" if "step" not in columns else name
            text = f"has no column {lacking!r}; {nearest(lacking, columns)}".rstrip("; ")
            raise InputError(Problem(text, where=str(path), key="table.curve"))
        points = dict(_points(reader, name, path))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(Problem(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}", key="table.file")) from error
    if not points:
        raise InputError(Problem(f"the column {name!r} of {path} is empty", key="table.curve"))
    return _Curve(points)


def _points(rows: csv.DictReader[str], name: str, path: Path) -> Iterator[tuple[int, float]]:
    for row in rows:
        if row[name] not in (None, ""):
            try:
                yield int(row["step"]), float(row[name])
            except ValueError as error:
                raise InputError(
                    Problem(f"expected a step and a number: {error}", where=f"{path}:{rows.line_num}", key="table.curve")
                ) from error


def _normal(*of: Any) -> float:
    """Return a standard normal number that follows from `of`, the same on every machine."""
    return random.Random(repr(of)).gauss(0.0, 1.0)
