"""Class names stored with weights and predictions, matched by name if the data lists its classes in another order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runner.core import values
from runner.core.errors import InputError, Problem

_MOST_NAMES = 8


def match_classes(theirs: Sequence[str], here: Sequence[str], source: object, *, key: str = "") -> list[int]:
    """Match each class of a file of weights or predictions to a class of the data.

    Args:
        theirs: names in the order of the file's outputs.
        here: names in the order of the data's annotations.
        source: the file, for the message.
        key: config key that named the file, for the message.

    Returns:
        For each of `theirs` its index in `here`.

    Raises:
        InputError: the class names differ; the message lists the different ones.
    """
    if set(theirs) != set(here) or len(theirs) != len(here):
        raise InputError(
            Problem(
                f"{source} has other classes than the data: {differing(theirs, here)}. "
                "Use data whose classes have the same names, or weights trained on these classes",
                key=key,
            )
        )
    place = {name: index for index, name in enumerate(here)}
    return [place[name] for name in theirs]


def differing(theirs: Sequence[str], here: Sequence[str]) -> str:
    """List the classes that only one side has: ``only in the file: a, b; only in the data: c``."""
    only_there = [name for name in theirs if name not in here]
    only_here = [name for name in here if name not in theirs]
    parts = [f"only in the {where}: {listed(names)}" for where, names in (("file", only_there), ("data", only_here)) if names]
    return "; ".join(parts) or f"{listed(theirs)} in the file, {listed(here)} in the data"


def listed(names: Sequence[str]) -> str:
    """List the first classes, with a count of the rest."""
    return values.listed(names, _MOST_NAMES)


def copy_rows(theirs: Any, own: Any, sources: Sequence[int | None]) -> Any:
    """Set rows of an array or tensor from another one, in place.

    Args:
        theirs: [A, …].
        own: [B, …], changed and returned.
        sources: for each row of `own` the row of `theirs`, or None where it keeps its own.
    """
    taken = [(row, source) for row, source in enumerate(sources) if source is not None]
    if taken:
        own[[row for row, _ in taken]] = theirs[[source for _, source in taken]]
    return own


def class_sources(theirs: Sequence[str], here: Sequence[str]) -> list[int | None]:
    """Find each class of the data in a file of weights: for each of `here` its index in `theirs`, None where the file has no such class."""
    place = {name: index for index, name in enumerate(theirs)}
    return [place.get(name) for name in here]


def describe_taken(theirs: Sequence[str], here: Sequence[str]) -> str:
    """Describe how class outputs of initial weights were matched by name; empty if both list the same classes in the same order."""
    if list(theirs) == list(here):
        return ""
    new = [name for name in here if name not in theirs]
    unused = [name for name in theirs if name not in here]
    if not new and not unused:
        return "classes matched by name: the file lists them in another order than the data"
    text = f"classes matched by name: {len(here) - len(new)} of {len(here)} are in the file"
    text += f"; initialised at random: {listed(new)}" if new else ""
    return text + (f"; only in the file, not used: {listed(unused)}" if unused else "")


def read_names(value: Any) -> tuple[str, ...]:
    """Read the class names of a checkpoint; empty if it has none (one of an older version or another program)."""
    return tuple(value) if isinstance(value, list | tuple) and all(isinstance(name, str) for name in value) else ()
