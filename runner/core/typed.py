"""Checked reading of JSON values into dataclasses, by the types of their fields."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from runner.core.values import is_name

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Check:
    """A condition on a value, for use in ``Annotated[type, Check(…)]``."""

    holds: Callable[[Any], bool]


Count = Annotated[int, Check(lambda value: 0 <= value <= 2**53)]
"""An integer that counts or numbers something; never negative."""

Moment = Annotated[float, Check(lambda value: 0 <= value <= 1e11)]
"""Seconds, of a duration or since 1970: `time.localtime` takes them all."""

Name = Annotated[str, Check(is_name)]
"""Name of a file or folder: a single path component."""


def build(cls: type[T], data: Any) -> T | None:
    """Return the dataclass `cls` made of a JSON object, or None if a field is missing or has a value of another type.

    Unknown keys are dropped: a newer version wrote them.
    """
    try:
        made: T = convert(data, cls)
    except ValueError:
        return None
    return made


def fits(value: Any, hint: Any) -> bool:
    """Return whether a JSON value is of the type `hint`."""
    try:
        convert(value, hint)
    except ValueError:
        return False
    return True


def convert(value: Any, hint: Any) -> Any:
    """Return a JSON value as the type `hint`; lists become tuples where the type says so, numbers stay unchanged.

    Args:
        hint: Any, None, bool, int, float, str, a Literal, a union, a mapping with str keys, a sequence, a tuple of one type, a dataclass,
            or one of them Annotated with a `Check`.

    Raises:
        ValueError: the value is of another type, or a number is not finite.
    """
    if hint is Any:
        return value
    origin, arguments = _parts(hint)
    if origin is Annotated:
        made = convert(value, arguments[0])
        if not all(check.holds(made) for check in arguments[1:] if isinstance(check, Check)):
            raise ValueError(f"out of range: {value!r:.100}")
        return made
    if origin in (Union, UnionType):
        return _convert_union(value, arguments)
    if isinstance(hint, type) and is_dataclass(hint):
        return _convert_dataclass(value, hint)
    if isinstance(value, dict) and isinstance(origin, type) and issubclass(origin, Mapping):
        return {key: convert(item, arguments[1]) for key, item in value.items()}
    if isinstance(value, list) and isinstance(origin, type) and issubclass(origin, Sequence):
        return (tuple if origin is tuple else list)(convert(item, arguments[0]) for item in value)
    if origin is Literal and isinstance(value, str) and value in arguments:
        return value
    if _is_scalar(value, hint):
        return value
    raise ValueError(f"expected {hint}, found {value!r:.100}")


def _is_scalar(value: Any, hint: Any) -> bool:
    if hint is float:  # a JSON writer may leave out the ".0"
        return (type(value) is float and math.isfinite(value)) or (type(value) is int and abs(value) < 2**1000)
    if hint in (None, NoneType):
        return value is None
    return hint in (bool, int, str) and type(value) is hint


def _convert_union(value: Any, members: Sequence[Any]) -> Any:
    for member in members:
        try:
            return convert(value, member)
        except ValueError:
            continue
    raise ValueError(f"expected one of {members}, found {value!r:.100}")


def _convert_dataclass(value: Any, cls: type) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"expected an object, found {value!r:.100}")
    hints, required = _fields(cls)
    if not required <= value.keys():
        raise ValueError(f"missing {', '.join(sorted(required - value.keys()))}")
    return cls(**{name: convert(value[name], hint) for name, hint in hints.items() if name in value})


@functools.cache
def _parts(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return origin and arguments of a type, cached because `typing` computes them anew at each call."""
    return get_origin(hint), get_args(hint)


@functools.cache
def _fields(cls: type) -> tuple[dict[str, Any], frozenset[str]]:
    """Return the types of the fields by name, and the names of those without a default."""
    hints = get_type_hints(cls, include_extras=True)
    own = [field for field in fields(cls) if field.init]
    required = frozenset(field.name for field in own if field.default is MISSING and field.default_factory is MISSING)
    return {field.name: hints[field.name] for field in own}, required
