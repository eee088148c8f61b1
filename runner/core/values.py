"""Config values in readable form: equality, short text, short keys, safe file names."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import unicodedata
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypeGuard

GIB = 2**30
"""Bytes of a GiB, the unit of every amount of memory and disk that is shown, recorded or compared."""


class Absent:
    """Type of `ABSENT`."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = Absent()
"""Value of a key that a config does not have; None is a value."""

_MAX_NAME_BYTES = 255
MAX_STEM_BYTES = 200
"""Largest size in UTF-8 of a name that others are made from: ``NAME-confirm-2``, ``.NAME.preparing-x1y2z3``."""
_UNSAFE = re.compile(r"[^A-Za-z0-9.=,+\x80-\U0010ffff-]+")


def same_value(one: Any, other: Any) -> bool:
    """Return whether two YAML values mean the same: 1 and 1.0 do, true and 1 do not; a tuple is a list."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same_value, one, other))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same_value(value, other[key]) for key, value in one.items())
    return bool(one == other)


def is_number(value: Any) -> TypeGuard[int | float]:
    """Return whether `value` is an int or a float; a bool is neither here."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_numeric(text: str) -> bool:
    """Return whether Python parses `text` as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def value_key(value: Any) -> Hashable:
    """Return a key for lookups that is equal for two YAML values exactly if `same_value` is true for them."""
    if isinstance(value, bool):
        return "bool", value
    if isinstance(value, list | tuple):
        return "list", tuple(map(value_key, value))
    if isinstance(value, Mapping):
        return "mapping", frozenset((key, value_key(item)) for key, item in value.items())
    return value if isinstance(value, Hashable) else repr(value)


def natural(text: str) -> tuple[tuple[str, int, str], ...]:
    """Return a sort key that orders the numbers in names by size: s2 before s10."""
    parts = re.split(r"([0-9]+)", text)
    numbers = [digits.lstrip("0") for digits in parts[1::2]] + [""]  # no int of them: it may have any length
    return tuple((word, len(number), number) for word, number in zip(parts[::2], numbers, strict=True)) + ((text, 0, ""),)


LEAST_DIGITS = 6
MOST_DIGITS = 17
"""Enough digits to distinguish any two floats."""


def format_value(value: Any, digits: int = LEAST_DIGITS) -> str:
    """Format `value` in one short line, as YAML writes it: ``true``, ``null``, ``0.00125``, ``[2, 3]``, ``{a: 1}``.

    Args:
        digits: of a number with a point; see `enough_digits`.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.{digits}g}" if digits < MOST_DIGITS else repr(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(format_value(item, digits) for item in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {format_value(item, digits)}" for key, item in value.items()) + "}"
    return " ".join(str(value).split())


def enough_digits(values: Iterable[Any]) -> int:
    """Return the fewest digits, at least 6, with which `format_value` writes different numbers differently."""
    every = list(values)
    most = len({format_value(value, MOST_DIGITS) for value in every})
    return next(digits for digits in range(LEAST_DIGITS, MOST_DIGITS + 1) if len({format_value(value, digits) for value in every}) >= most)


def short_keys(keys: Iterable[str]) -> dict[str, str]:
    """Shorten each dotted key to the fewest last parts that distinguish it from the others: ``TrainReader.batch_size`` to ``batch_size``.

    A list index is never alone (``milestones.0``).
    """
    every = list(dict.fromkeys(keys))
    result = {}
    for key in every:
        parts = key.split(".")
        for length in range(1, len(parts) + 1):
            suffix = ".".join(parts[-length:])
            if not parts[-length].isdigit() and not any(f".{other}".endswith(f".{suffix}") for other in every if other != key):
                break
        else:
            suffix = key
        result[key] = suffix
    return result


def keys_overlap(one: str, other: str) -> bool:
    """Return whether one of two dotted keys is the other or lies below it."""
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")


def counted(number: int, word: str) -> str:
    """Format a number of things: ``1 run``, ``2 runs``, ``2 boxes``. The last word of `word` takes the plural."""
    ending = "" if number == 1 else "es" if word.endswith(("s", "x", "ch", "sh")) else "s"
    return f"{number} {word}{ending}"


def listed(items: Iterable[object], most: int) -> str:
    """List the first `most` items, with a count of the rest."""
    texts = [str(item) for item in items]
    return ", ".join(texts[:most]) + (f" and {len(texts) - most} more" if len(texts) > most else "")


def is_name(text: str) -> bool:
    """Return whether `text` can name one file or folder: a single path component, neither ``.`` nor ``..``."""
    size = len(text.encode("utf-8", "surrogatepass"))
    return 0 < size <= _MAX_NAME_BYTES and text not in (".", "..") and not {"/", os.sep, "\0"} & set(text)


def is_stem(text: str) -> bool:
    """Return whether names made from `text` can be those of files (see `MAX_STEM_BYTES`)."""
    return is_name(text) and len(text.encode("utf-8", "surrogatepass")) <= MAX_STEM_BYTES


def safe_name(text: str, limit: int = 60, *, any_script: bool = False) -> str:
    """Turn `text` into part of a file name that is safe everywhere: letters and digits and ``. = , + - _``, at most `limit` bytes long.

    Different texts may give the same name; a shortened text carries a hash, so that equal beginnings stay distinct.

    Args:
        any_script: letters and digits of any script, not of ASCII only.
    """
    if any_script:
        kept = "".join(each if each.isascii() or _is_letter(each) else "_" for each in unicodedata.normalize("NFC", text))
    else:
        kept = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:6]
    name = _UNSAFE.sub("_", kept.replace(", ", ",").replace("[", "").replace("]", "")).strip("._-,")
    if not name or name.endswith("="):
        name += digest  # nothing was left of the value, for example of one in Chinese
    if len(encoded := name.encode()) <= limit:
        return name
    return f"{encoded[: limit - 7].decode('utf-8', 'ignore').rstrip('._-,')}-{digest}"


def _is_letter(sign: str) -> bool:
    """Return whether a character is a letter or a digit of some script, or a mark on one."""
    return unicodedata.category(sign)[0] in "LNM"


def shell_path(path: Path | str) -> str:
    """Write `path` so that a user can paste it into a shell: quoted where necessary, and never taken for an option."""
    text = str(path)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)
