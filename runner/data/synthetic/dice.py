"""Random numbers that are the same on every machine and in every Python version."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """A stream of random numbers named by `name`: the same name gives the same stream.

    Built on `random.Random.random` and `randbytes` alone: of the standard library's generators only these are
    promised never to change (`choice` and `shuffle` are not), and scalars come ten times faster than from numpy.
    """

    def __init__(self, name: str) -> None:
        self._random = random.Random(name)
        self.unit = self._random.random
        self.bytes = self._random.randbytes

    def between(self, low: float, high: float) -> float:
        """Return a real number in [low, high)."""
        return low + (high - low) * self.unit()

    def whole(self, low: int, high: int) -> int:
        """Return a whole number in [low, high], both ends included."""
        return low + int(self.unit() * (high - low + 1))

    def chance(self, probability: float) -> bool:
        """Return true with this probability."""
        return self.unit() < probability

    def pick(self, items: Sequence[T]) -> T:
        """One of `items`, which must not be empty."""
        return items[int(self.unit() * len(items))]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """Return the items in random order."""
        keys = [self.unit() for _ in items]
        return [items[index] for index in sorted(range(len(items)), key=keys.__getitem__)]
