"""Reading the JSON of a COCO annotation file; `runner.data.annotations` looks at what it holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

from runner.core.errors import InputError, Problem
from runner.core.files import read_bytes


def read_annotations(path: Path) -> dict[str, Any]:
    """The JSON object in `path`.

    Raises:
        InputError: missing, cut off or not JSON (with line and byte), or not an object.
    """
    try:
        data = read_bytes(path)
    except OSError as error:
        missing = "the annotation file is missing" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        raise InputError(Problem(missing, str(path))) from error
    try:
        value = json.loads(data.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise _broken(path, data, error.start, "not UTF-8 text") from error
    except json.JSONDecodeError as error:
        at = len(error.doc[: error.pos].encode("utf-8")) + (3 if data.startswith(b"\xef\xbb\xbf") else 0)
        raise _broken(path, data, at, error.msg) from error
    except RecursionError as error:
        raise InputError(Problem("is nested too deeply to be an annotation file", str(path))) from error
    except ValueError as error:
        raise InputError(Problem(f"is not valid JSON: {error}", str(path))) from error
    if not isinstance(value, dict):
        raise InputError(
            Problem(
                f"expected a JSON object with images, annotations and categories, got a {type(value).__name__}",
                str(path),
            )
        )
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number that JSON knows")


def _broken(path: Path, data: bytes, at: int, why: str) -> InputError:
    """The error for JSON that stops making sense at byte `at`."""
    line = data.count(b"\n", 0, at) + 1
    if not data.strip():
        why = "the file is empty"
    elif not data.rstrip().endswith(b"}") or at >= len(data.rstrip()):
        why = f"the file is cut off ({why})"
    return InputError(Problem(f"is not valid JSON at byte {at:,} of {len(data):,}: {why}; get the file again", f"{path}:{line}"))
