"""Values that parts made of the data for one answer, kept for the next: most runs have not changed in between."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

Made = TypeVar("Made")


class Memo:
    """Values by kind and id, each with what it was made of. Safe to use from several threads."""

    def __init__(self) -> None:
        self._kept: dict[str, dict[str, tuple[tuple[Any, ...], Any]]] = {}

    def recall(self, kind: str, wanted: Mapping[str, tuple[Any, ...]], make: Callable[..., Made]) -> list[Made]:
        """Return a value for each of `wanted`, in that order, and forget the others of this kind.

        Args:
            kind: name of what is made.
            wanted: id to the arguments of `make`; a value is made again where these are no longer equal.
            make: makes a value; depends on nothing but its arguments and the folders that are shown.
        """
        before = self._kept.get(kind, {})
        now = {}
        for id, arguments in wanted.items():
            kept = before.get(id)
            now[id] = kept if kept is not None and kept[0] == arguments else (arguments, make(*arguments))
        self._kept[kind] = now
        return [made for _, made in now.values()]
