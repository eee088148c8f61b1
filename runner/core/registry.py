"""Registries of plug-ins: built-in ones by "module:attribute", those of other distributions by entry points, checked when they load."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import metadata
from typing import Any, Generic, TypeVar, cast

from runner.core.conformance import constructor_fault, protocol_faults
from runner.core.errors import InputError, NotInstalled, what_exists
from runner.core.guarded import Guard

P = TypeVar("P")


class Registry(Generic[P]):
    """The names of one kind of plug-in, and where their code is.

    Args:
        kind: a noun for messages; ``runner.<kind>s`` is the entry point group of other distributions.
        builtin: name to "module:attribute". Nothing is imported before `get`. Another distribution cannot take one of these names.
        protocol: the Protocol that a plug-in's class has to fit: its public annotations are the facts that the class declares, its public
            functions the methods. A class is called without arguments, unless the Protocol has a class method that makes one. None: a
            plug-in is a function.
        faults: yields what else is wrong with a class, given its name and the class.
        passed: see `runner.core.guarded.Guard`.
        unguarded: see there.

    A plug-in of another distribution is guarded (`runner.core.guarded`): its methods raise `RunnerError` alone.
    """

    def __init__(
        self,
        kind: str,
        builtin: Mapping[str, str],
        protocol: type[Any] | None = None,
        *,
        faults: Callable[[str, Any], Iterable[str]] = lambda name, plugin: (),
        passed: tuple[type[Exception], ...] = (),
        unguarded: frozenset[str] = frozenset(),
    ) -> None:
        self.kind = kind
        self._builtin = dict(builtin)
        self._protocol = protocol
        self._faults = faults
        self._guard_rules = passed, unguarded
        self._installed: dict[str, list[metadata.EntryPoint]] | None = None
        self._checked: dict[str, P] = {}

    def __contains__(self, name: object) -> bool:
        return name in self._builtin or name in self._entry_points()

    def names(self) -> list[str]:
        """Return all names, sorted; no plug-in is imported."""
        return sorted({*self._builtin, *self._entry_points()})

    def get(self, name: str) -> P:
        """Import, check and return a plug-in.

        Raises:
            InputError: no such name, or a plug-in of another distribution cannot be loaded or does not fit the protocol.
        """
        if name in self._checked:
            return self._checked[name]
        if name in self._builtin:
            module, attribute = self._builtin[name].split(":")
            plugin = getattr(importlib.import_module(module), attribute)
            source = self._builtin[name]
        elif found := self._entry_points().get(name):
            source = " and ".join(map(_origin, found))
            if len(found) > 1:
                raise _unusable(f"{self._title(name)} is provided twice: by {source}; uninstall one of them")
            try:
                plugin = found[0].load()
            except (Exception, SystemExit) as error:  # noqa: BLE001 - another distribution's module may raise anything while it is imported
                raise _unusable(f"{self._title(name)} cannot be loaded from {source}: {type(error).__name__}: {error}") from error
        else:
            raise _unusable(f"unknown {self.kind.replace('_', ' ')} {name!r}; {self.choices(name)}")
        if faults := self._faults_of(name, plugin):
            raise _unusable(f"{self._title(name)} cannot be used: {'; '.join(faults)} ({source})")
        self._checked[name] = plugin if name in self._builtin else self._guarded(name, plugin, source)
        return self._checked[name]

    def choices(self, name: str) -> str:
        """Return what there is in place of an unknown name: the nearest ones, all of them, and how others come to be here."""
        return f"{what_exists(name, self.names())}; packages add others by the entry point group runner.{self.kind}s"

    def _faults_of(self, name: str, plugin: Any) -> list[str]:
        faults = list(protocol_faults(plugin, self._protocol))
        if not faults and self._protocol is not None:
            faults = [*filter(None, [constructor_fault(plugin, self._protocol)]), *self._faults(name, plugin)]
        return faults

    def _guarded(self, name: str, plugin: Any, source: str) -> P:
        guard = Guard(self._title(name), source, *self._guard_rules)
        return cast(P, guard.function(plugin) if self._protocol is None else guard.cls(plugin, self._protocol))

    def distribution(self, name: str) -> str | None:
        """Return the distribution that a plug-in comes from; None: it is built in, or not known."""
        found = [] if name in self._builtin else self._entry_points().get(name, [])
        return found[0].dist.name if found and found[0].dist is not None else None

    def usable(self) -> Iterator[tuple[str, P]]:
        """Import all plug-ins and yield those that can be used, sorted by name."""
        for name in self.names():
            try:
                yield name, self.get(name)
            except InputError:
                continue

    def problems(self) -> Iterator[str]:
        """Import the plug-ins of other distributions and yield what is wrong: why one cannot be used, or that a built-in one hides it."""
        for name, found in sorted(self._entry_points().items()):
            if name in self._builtin:
                yield f"{self._title(name)} of {' and '.join(map(_origin, found))} is ignored: that name is built in"
                continue
            try:
                self.get(name)
            except InputError as error:
                yield str(error)

    def _title(self, name: str) -> str:
        return f"{self.kind.replace('_', ' ')} {name!r}"

    def _entry_points(self) -> dict[str, list[metadata.EntryPoint]]:
        if self._installed is None:
            self._installed = {}
            for point in metadata.entry_points(group=f"runner.{self.kind}s"):
                self._installed.setdefault(point.name, []).append(point)
        return self._installed


def _unusable(message: str) -> InputError:
    return InputError(NotInstalled(message))


def _origin(point: metadata.EntryPoint) -> str:
    """Name an entry point and its distribution, for messages."""
    distribution = f"{point.dist.name} {point.dist.version}" if point.dist is not None else "an unknown distribution"
    return f"{distribution}, entry point {point.name} = {point.value}"
