"""Registries of plug-ins: built-in ones by "module:attribute", those of other distributions by entry points, checked when they load."""

from __future__ import annotations

import importlib
import inspect
import typing
from collections.abc import Iterator, Mapping
from importlib import metadata
from types import NoneType, UnionType
from typing import Any, Generic, TypeVar, get_args, get_origin

from runner.core.errors import InputError, nearest

P = TypeVar("P")


class Registry(Generic[P]):
    """The names of one kind of plug-in, and where their code is.

    Args:
        kind: a noun for messages; ``runner.<kind>s`` is the entry point group of other distributions.
        builtin: name to "module:attribute". Nothing is imported before `get`. Another distribution cannot take one of these names.
        protocol: the Protocol that a plug-in's class has to fit: its public annotations are the facts that the class declares, its public
            functions the methods. None: a plug-in is a function.
    """

    def __init__(self, kind: str, builtin: Mapping[str, str], protocol: type[Any] | None = None) -> None:
        self.kind = kind
        self._builtin = dict(builtin)
        self._protocol = protocol
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
                raise InputError(f"{self._title(name)} is provided twice: by {source}; uninstall one of them")
            try:
                plugin = found[0].load()
            except (Exception, SystemExit) as error:  # noqa: BLE001 - another distribution's module may raise anything while it is imported
                raise InputError(f"{self._title(name)} cannot be loaded from {source}: {type(error).__name__}: {error}") from error
        else:
            raise InputError(f"unknown {self.kind.replace('_', ' ')} {name!r}; {nearest(name, self.names())}".rstrip("; "))
        if faults := list(protocol_faults(plugin, self._protocol)):
            raise InputError(f"{self._title(name)} cannot be used: {'; '.join(faults)} ({source})")
        self._checked[name] = plugin
        return self._checked[name]

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


def _origin(point: metadata.EntryPoint) -> str:
    """Name an entry point and its distribution, for messages."""
    distribution = f"{point.dist.name} {point.dist.version}" if point.dist is not None else "an unknown distribution"
    return f"{distribution}, entry point {point.name} = {point.value}"


def protocol_faults(plugin: Any, protocol: type[Any] | None) -> Iterator[str]:
    """Yield the reasons why `plugin` does not fit `protocol`."""
    if protocol is None:
        if not callable(plugin):
            yield f"expected a function, found {_type_name(plugin)}"
        return
    if not isinstance(plugin, type):
        yield f"expected a class, found {_type_name(plugin)}"
        return
    for name, hint in typing.get_type_hints(protocol).items():
        if name.startswith("_"):
            continue
        if not hasattr(plugin, name):
            yield f"{name} is missing (expected {_in_words(hint)})"
        elif not _fits(value := getattr(plugin, name), hint):
            yield f"{name} is {value!r:.60} (expected {_in_words(hint)})"
    for name, member in inspect.getmembers_static(protocol):
        if name.startswith("_") or not isinstance(member, classmethod | staticmethod) and not inspect.isfunction(member):
            continue
        if not callable(getattr(plugin, name, None)):
            yield f"{name}() is missing"


def _fits(value: Any, hint: Any) -> bool:
    """Return whether `value` is of the type `hint`: ClassVar, Any, a class, ``type[…]``, ``tuple[T, ...]``, or a union of these."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is typing.ClassVar:
        return _fits(value, arguments[0])
    if hint is Any:
        return True
    if origin in (typing.Union, UnionType):
        return any(_fits(value, member) for member in arguments)
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(item, arguments[0]) for item in value)
    if origin is type:
        return isinstance(value, type)
    expected = NoneType if hint is None else origin or hint
    if getattr(expected, "_is_protocol", False):
        return not list(protocol_faults(value if isinstance(value, type) else type(value), expected))
    return isinstance(value, expected) and (expected is bool or not isinstance(value, bool))


def _in_words(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is typing.ClassVar:
        return _in_words(arguments[0])
    if origin in (typing.Union, UnionType):
        return " or ".join(map(_in_words, arguments))
    if origin is tuple:
        return f"a tuple of {_in_words(arguments[0])}"
    if origin is type:
        return "a class"
    return "None" if hint in (None, NoneType) else str(getattr(hint, "__name__", hint))


def _type_name(value: Any) -> str:
    return f"the {'class' if isinstance(value, type) else type(value).__name__} {value!r:.60}"
