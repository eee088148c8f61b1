"""Checks of what is given to the Python API: a wrong type is an InputError that names the argument."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from runner.core.errors import InputError, Problem

AnyPath = str | PathLike[str]
Changes = Mapping[str, Any] | Sequence[str]
"""Dotted key to value, or ``KEY=VALUE`` strings as the command line takes them."""


def to_path(name: str, value: AnyPath) -> Path:
    """Return a path that was given. Raises InputError for anything else, and for an empty one."""
    if not isinstance(value, str | PathLike) or not isinstance(text := value.__fspath__() if isinstance(value, PathLike) else value, str):
        raise _expected(name, "a path (a string or a pathlib.Path)", value)
    if not text or "\0" in text:
        raise _expected(name, "a path that is not empty and has no null character", value)
    return Path(text)


def optional_path(name: str, value: AnyPath | None) -> Path | None:
    """Return a path that was given, or None (see `to_path`)."""
    return None if value is None else to_path(name, value)


def check_string(name: str, value: object, *, optional: bool = False) -> None:
    """Raise InputError for anything but a string that is not empty, or where it is optional None."""
    if not (isinstance(value, str) and value or (optional and value is None)):
        raise _expected(name, "a string or None" if optional else "a string", value)


def check_flag(name: str, value: object, *, optional: bool = False) -> None:
    """Raise InputError for anything but True and False, or where it is optional None."""
    if not (isinstance(value, bool) or (optional and value is None)):
        raise _expected(name, "True, False or None" if optional else "True or False", value)


def check_number(name: str, value: object) -> None:
    """Raise InputError for anything but an integer and None."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise _expected(name, "an integer or None", value)


def to_settings(name: str, changes: Changes) -> tuple[str, ...]:
    """Return changes as ``KEY=VALUE`` strings. Raises InputError for anything else, and for a value that YAML cannot hold."""
    if isinstance(changes, str | bytes) or not isinstance(changes, Mapping | Sequence):
        raise _expected(name, 'a mapping from dotted keys to values, or a list of "KEY=VALUE"', changes)
    wrong = [given for given in changes if not isinstance(given, str)]
    if wrong:
        raise _expected(
            name, "dotted keys, which are strings" if isinstance(changes, Mapping) else 'a list of strings "KEY=VALUE"', wrong[0]
        )
    if not isinstance(changes, Mapping):
        return tuple(changes)
    texts = []
    for key, value in changes.items():
        try:
            texts.append(f"{key}={json.dumps(value, ensure_ascii=False, allow_nan=False)}")
        except (TypeError, ValueError) as error:
            text = f"a value of type {type(value).__name__} cannot be written to a config ({error})"
            raise InputError(Problem(text, where=name, key=key)) from None
    return tuple(texts)


def _expected(name: str, what: str, value: object) -> InputError:
    return InputError(Problem(f"expected {what}, got {value!r:.60}", key=name))
