"""Names of plug-ins to the code behind them: built-in ones as "module:attribute", third parties by entry points."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from runner.core.errors import InputError, nearest


class Registry:
    """One kind of plug-in.

    Args:
        kind: what it is called in messages and, as ``runner.<kind>s``, the entry point group third parties use.
        builtin: name to "module:attribute". Nothing is imported before `get`.
    """

    def __init__(self, kind: str, builtin: Mapping[str, str]) -> None:
        self.kind = kind
        self._builtin = dict(builtin)

    def names(self) -> list[str]:
        """All names, sorted; no plug-in is imported."""
        return sorted({*self._builtin, *self._entry_points()})

    def get(self, name: str) -> Any:
        """Import and return the plug-in.

        Raises:
            InputError: no such name, or a third party's plug-in cannot be imported.
        """
        if name in self._builtin:
            module, attribute = self._builtin[name].split(":")
            return getattr(importlib.import_module(module), attribute)
        points = self._entry_points()
        if name not in points:
            hint = nearest(name, self.names())
            raise InputError(f"there is no {self.kind} {name!r}; {hint}".rstrip("; "))
        try:
            return points[name].load()
        except Exception as error:  # noqa: BLE001 - a stranger's module may raise anything while it is imported
            print(f"runner: warning: the {self.kind} {name!r} cannot be loaded: {error}", file=sys.stderr)
            raise InputError(f"the {self.kind} {name!r} cannot be loaded: {error}") from error

    def _entry_points(self) -> dict[str, metadata.EntryPoint]:
        return {point.name: point for point in metadata.entry_points(group=f"runner.{self.kind}s")}
