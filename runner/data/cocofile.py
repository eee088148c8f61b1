"""Reader of the JSON of a COCO annotation file; `runner.data.annotations` validates its content."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NoReturn

from runner.core.errors import InputError, Problem
from runner.core.files import read_bytes

_LISTS = ("images", "annotations", "categories")
_MANY_DIGITS = 1000
_CONTEXT = 30
_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|NaN|-?Infinity|\d{1000,}', re.DOTALL)
"""Strings of a JSON file, so that nothing in them is taken for a number, and candidates for the number that Python refuses."""


def read_annotations(path: Path, *, any_encoding: bool = False) -> dict[str, Any]:
    """Read the JSON object in `path`.

    Args:
        any_encoding: read UTF-16 and UTF-32 too. Only for files that are rewritten: backends and the evaluator
            open the file themselves.

    Raises:
        InputError: missing, cut off or not JSON (with line and byte), or not an object.
    """
    try:
        data = read_bytes(path)
    except OSError as error:
        missing = "the annotation file is missing" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        raise InputError(Problem(missing, str(path))) from error
    encoding = json.detect_encoding(data) if data[:4].strip(b"\0") else "utf-8"  # zeros alone: a file that was never written
    name = encoding.removesuffix("-sig").upper()
    if name != "UTF-8" and not any_encoding:
        raise InputError(Problem(f"{name} text, expected UTF-8; save it as UTF-8, or convert it by runner data prepare", str(path)))
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise _broken(path, data, error.start, data.count(b"\n", 0, error.start) + 1, f"not {name} text") from error
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise _broken(path, data, len(text[: error.pos].encode(encoding)), error.lineno, _why(text, error)) from error
    except RecursionError as error:
        raise InputError(Problem("too deeply nested for an annotation file", str(path))) from error
    except ValueError as error:
        raise _unusable_number(path, text, str(error)) from error
    if not isinstance(value, dict):
        raise InputError(
            Problem(
                f"expected a JSON object with images, annotations and categories, got a {type(value).__name__}",
                str(path),
            )
        )
    _refuse_twice(path, text)
    return value


def _refuse_twice(path: Path, text: str) -> None:
    """Refuse a list that is given twice, of which JSON's readers silently use the last."""
    if not any(text.count(f'"{key}"') > 1 for key in _LISTS):
        return  # the usual case; a second reading would cost as much as the first
    keys = [key for key, _ in json.loads(text, object_pairs_hook=list)]
    for key in _LISTS:
        if keys.count(key) > 1:
            raise InputError(
                Problem(f"the list {key!r} is given {keys.count(key)} times, expected once; merge them or remove all but one", str(path))
            )


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _unusable_number(path: Path, text: str, why: str) -> InputError:
    """Name the number that Python's parser refused without a place: NaN, Infinity, or one of thousands of digits."""
    found = next((match for match in _TOKENS.finditer(text) if not match[0].startswith('"')), None)
    if found is None:
        return InputError(Problem(f"invalid JSON: {why}", str(path)))
    shown = found[0] if len(found[0]) < _MANY_DIGITS else f"{found[0][:10]}…, a number of {len(found[0]):,} digits"
    line = text.count("\n", 0, found.start()) + 1
    behind = text[max(0, found.start() - _CONTEXT) : found.start()].rpartition("\n")[2].strip()
    place = f"character {found.start():,}" + (f", after {behind!r}," if behind else "")
    return InputError(Problem(f"invalid JSON: {shown} at {place} is not a usable number; correct it", f"{path}:{line}"))


def _why(text: str, error: json.JSONDecodeError) -> str:
    if not text.strip("\ufeff \t\r\n"):
        return "the file is empty"
    if not text.rstrip().endswith("}") or error.pos >= len(text.rstrip()):
        return f"the file is cut off ({error.msg})"
    return error.msg


def _broken(path: Path, data: bytes, at: int, line: int, why: str) -> InputError:
    """Make the error for JSON that becomes invalid at byte `at`."""
    return InputError(Problem(f"invalid JSON at byte {at:,} of {len(data):,}: {why}; get the file again", f"{path}:{line}"))
