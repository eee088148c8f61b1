"""Checks of a plug-in against the Protocol of its kind: the facts it declares, its methods, and what they return."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator, Sequence
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin


def protocol_faults(plugin: Any, protocol: type[Any] | None) -> Iterator[str]:
    """Yield the reasons why `plugin`, a class, does not fit `protocol`; None: a plug-in is a function."""
    if protocol is None:
        if not callable(plugin):
            yield f"expected a function, found {_type_name(plugin)}"
    elif not isinstance(plugin, type):
        yield f"expected a class, found {_type_name(plugin)}"
    else:
        yield from member_faults(plugin, protocol)


def member_faults(plugin: Any, protocol: type[Any]) -> Iterator[str]:
    """Yield the facts and methods of `protocol` that `plugin`, a class or an object, lacks or has in another type."""
    for name, hint in typing.get_type_hints(protocol).items():
        if name.startswith("_"):
            continue
        if not hasattr(plugin, name):
            yield f"{name} is missing (expected {in_words(hint)})"
        elif not fits(value := getattr(plugin, name), hint):
            yield f"{name} is {value!r:.60} (expected {in_words(hint)})"
    for name in method_names(protocol):
        if not callable(getattr(plugin, name, None)):
            yield f"{name}() is missing"


def method_names(protocol: type[Any]) -> list[str]:
    """Return the names of the public methods of `protocol`."""
    members = inspect.getmembers_static(protocol)
    return [
        name
        for name, member in members
        if not name.startswith("_") and (isinstance(member, classmethod | staticmethod) or inspect.isfunction(member))
    ]


def constructor_fault(plugin: type[Any], protocol: type[Any]) -> str:
    """Return why the class cannot be called without arguments; empty if it can, or if the Protocol has a class method that makes one."""
    if any(isinstance(inspect.getattr_static(protocol, name), classmethod) for name in method_names(protocol)):
        return ""
    try:
        inspect.signature(plugin).bind()
    except TypeError as error:
        return f"its constructor demands arguments: {error}"
    except ValueError:  # a constructor without a signature, written in C
        return ""
    return ""


def fits(value: Any, hint: Any) -> bool:
    """Return whether `value` is of the type `hint`: ClassVar, Any, a class, a Literal, ``type[…]``, a tuple, list or sequence of these, or
    a union of these. Of another generic type only the type itself is checked."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is typing.ClassVar:
        return fits(value, arguments[0])
    if hint is Any:
        return True
    if origin in (typing.Union, UnionType):
        return any(fits(value, member) for member in arguments)
    if origin is Literal:
        return value in arguments
    if origin is type:
        return isinstance(value, type)
    expected = NoneType if hint is None else origin or hint
    if not isinstance(expected, type):
        return True
    if issubclass(expected, Sequence) and arguments:
        return isinstance(value, expected) and not isinstance(value, str) and all(fits(item, arguments[0]) for item in value)
    if getattr(expected, "_is_protocol", False) and not getattr(expected, "_is_runtime_protocol", False):
        return not isinstance(value, type) and not list(member_faults(value, expected))
    return isinstance(value, expected) and (expected in (bool, object) or not isinstance(value, bool))


def in_words(hint: Any) -> str:
    """Name a type for a message."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is typing.ClassVar:
        return in_words(arguments[0])
    if origin in (typing.Union, UnionType):
        return " or ".join(dict.fromkeys(map(in_words, arguments)))
    if origin is Literal:
        return " or ".join(map(repr, arguments))
    if origin is type:
        return "a class"
    if isinstance(origin, type) and issubclass(origin, Sequence) and arguments:
        return f"a {origin.__name__.lower()} of {in_words(arguments[0])}"
    return "None" if hint in (None, NoneType) else str(getattr(hint, "__name__", hint))


def _type_name(value: Any) -> str:
    return f"the {'class' if isinstance(value, type) else type(value).__name__} {value!r:.60}"
