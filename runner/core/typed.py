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
_Converter = Callable[[Any], Any]


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
    return _converter(hint)(value)


@functools.cache
def _converter(hint: Any) -> _Converter:
    """Return the conversion to a type, made once: looking into types takes longer than converting a value."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _checked(_converter(arguments[0]), [check for check in arguments[1:] if isinstance(check, Check)])
    if origin in (Union, UnionType):
        return _any_of(arguments)
    if origin is Literal:
        return _require(hint, lambda value: isinstance(value, str) and value in arguments)
    if isinstance(hint, type) and is_dataclass(hint):
        return lambda value: _convert_dataclass(value, hint)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping_of(_converter(arguments[1]), hint)
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return _sequence_of(tuple if origin is tuple else list, _converter(arguments[0]), hint)
    return _require(hint, _SCALARS.get(hint, lambda value: False))


_SCALARS: Mapping[Any, Callable[[Any], bool]] = {
    Any: lambda value: True,
    None: lambda value: value is None,
    NoneType: lambda value: value is None,
    # a JSON writer may leave out the ".0"
    float: lambda value: (type(value) is float and math.isfinite(value)) or (type(value) is int and abs(value) < 2**1000),
    bool: lambda value: type(value) is bool,
    int: lambda value: type(value) is int,
    str: lambda value: type(value) is str,
}


def _require(hint: Any, holds: Callable[[Any], bool]) -> _Converter:
    def convert_scalar(value: Any) -> Any:
        if not holds(value):
            raise ValueError(f"expected {hint}, found {value!r:.100}")
        return value

    return convert_scalar


def _checked(convert_one: _Converter, checks: Sequence[Check]) -> _Converter:
    def convert_checked(value: Any) -> Any:
        made = convert_one(value)
        if not all(check.holds(made) for check in checks):
            raise ValueError(f"out of range: {value!r:.100}")
        return made

    return convert_checked


def _mapping_of(convert_one: _Converter, hint: Any) -> _Converter:
    def convert_mapping(value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError(f"expected {hint}, found {value!r:.100}")
        return {key: convert_one(item) for key, item in value.items()}

    return convert_mapping


def _sequence_of(kind: type, convert_one: _Converter, hint: Any) -> _Converter:
    def convert_sequence(value: Any) -> Any:
        if not isinstance(value, list):
            raise ValueError(f"expected {hint}, found {value!r:.100}")
        return kind(map(convert_one, value))

    return convert_sequence


def _any_of(members: Sequence[Any]) -> _Converter:
    converters = [_converter(member) for member in members]

    def convert_union(value: Any) -> Any:
        for convert_one in converters:
            try:
                return convert_one(value)
            except ValueError:
                continue
        raise ValueError(f"expected one of {members}, found {value!r:.100}")

    return convert_union


def _convert_dataclass(value: Any, cls: type) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"expected an object, found {value!r:.100}")
    converters, required = _fields(cls)
    if not required <= value.keys():
        raise ValueError(f"missing {', '.join(sorted(required - value.keys()))}")
    return cls(**{name: convert_one(value[name]) for name, convert_one in converters.items() if name in value})


@functools.cache
def _fields(cls: type) -> tuple[dict[str, _Converter], frozenset[str]]:
    """Return the conversions of the fields by name, and the names of those without a default."""
    hints = get_type_hints(cls, include_extras=True)
    own = [field for field in fields(cls) if field.init]
    required = frozenset(field.name for field in own if field.default is MISSING and field.default_factory is MISSING)
    return {field.name: _converter(hints[field.name]) for field in own}, required
