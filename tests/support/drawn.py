"""One sequence of random numbers, given to our transforms and to PaddleDetection's."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any
from unittest import mock

import numpy as np


class Drawn:
    """Stand-in for `numpy.random.Generator`: every result follows from the next numbers of one sequence."""

    def __init__(self, seed: int) -> None:
        self._sequence = random.Random(seed)
        self._next = self._sequence.random

    def random(self) -> float:
        return self._next()

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        return low + (high - low) * self._next()

    def integers(self, low: int, high: int | None = None) -> int:
        first, end = (0, low) if high is None else (low, high)
        assert end > first, "nothing to draw from"
        return first + int(self._next() * (end - first))

    def permutation(self, count: int) -> list[int]:
        keys = [self._next() for _ in range(count)]
        return sorted(range(count), key=keys.__getitem__)

    def beta(self, a: float, b: float) -> float:
        del a, b
        return self._next()


def global_generators(drawn: Drawn) -> ExitStack:
    """Replace the functions of `numpy.random` and `random` that PaddleDetection calls, as a context."""

    def sized(draw: Any, size: int | None) -> Any:
        return draw() if size is None else np.asarray([draw() for _ in range(size)])

    def whole(low: int, high: int | None = None, size: int | None = None, dtype: Any = int) -> Any:
        del dtype
        return sized(lambda: drawn.integers(int(low), None if high is None else int(high)), size)

    def permuted(values: int | Sequence[Any]) -> list[Any]:
        given = range(values) if isinstance(values, int) else values
        return [given[index] for index in drawn.permutation(len(given))]

    def shuffle(values: list[Any]) -> None:
        values[:] = permuted(values)

    def chosen(values: int | Sequence[Any]) -> Any:
        return drawn.integers(values) if isinstance(values, int) else values[drawn.integers(len(values))]

    def real(low: float = 0.0, high: float = 1.0, size: int | None = None) -> Any:
        return sized(lambda: drawn.uniform(low, high), size)

    replaced: Any = {
        "uniform": real,
        "randint": whole,
        "rand": drawn.random,
        "beta": drawn.beta,
        "permutation": permuted,
        "shuffle": shuffle,
        "choice": chosen,
    }
    stack = ExitStack()
    stack.enter_context(mock.patch.multiple(np.random, **replaced))
    stack.enter_context(
        mock.patch.multiple(
            random, random=drawn.random, uniform=drawn.uniform, randint=lambda low, high: drawn.integers(low, high + 1), choice=chosen
        )
    )
    return stack
