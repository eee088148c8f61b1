"""Safe display of text from files: nothing in it moves the cursor, colours the terminal or reverses what is written."""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, TextIO, cast

_JOINERS = "\u200c\u200d"
"""Join letters of some scripts and parts of some pictures; they move nothing."""
_SUSPECT = re.compile(r"[^ -~\u00a1-\u00ac\u00ae-\u02ff]")
"""All characters but the certainly harmless ones, so that one match is enough for most texts."""


def printable(text: str) -> str:
    """Return `text` in one line, with escapes such as ``\\x1b`` or ``\\n`` for control characters, marks that reverse the direction and
    all else that is invisible."""
    return _SUSPECT.sub(lambda found: _shown(found[0]), text)


def printable_lines(text: str) -> str:
    """Return `text` as `printable` does, but with its line ends and tabs."""
    return _SUSPECT.sub(lambda found: found[0] if found[0] in "\n\t" else _shown(found[0]), text)


def json_text(value: Any, *, allow_nan: bool = True) -> str:
    """Return indented JSON in which other scripts are readable and invisible characters are escaped."""
    text = json.dumps(value, ensure_ascii=False, indent=2, allow_nan=allow_nan)
    return _SUSPECT.sub(lambda found: found[0] if found[0] == "\n" or _is_seen(found[0]) else json.dumps(found[0])[1:-1], text)


def is_printable(text: str) -> bool:
    """Return whether `printable` would leave `text` unchanged."""
    return all(_is_seen(found[0]) for found in _SUSPECT.finditer(text))


def say(text: str, *, error: bool = False) -> None:
    """Print one line, to stderr if `error` is set; line ends in `text` are escaped."""
    print(printable(text), file=sys.stderr if error else sys.stdout)


@contextmanager
def printable_output() -> Iterator[None]:
    """Pass everything that is written to stdout and stderr through `printable_lines`, except the output of `rich`, whose escapes have to
    arrive: see `runner.views.terminal`."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (stream if stream is None else cast(TextIO, _Printable(stream)) for stream in before)
    try:
        yield
    except Exception:
        sys.excepthook = _show_exception  # for unexpected exceptions
        raise
    finally:
        sys.stdout, sys.stderr = before


def _show_exception(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    with printable_output():
        sys.__excepthook__(kind, error, trace)


class _Printable:
    """A stream that makes its text printable and otherwise behaves like the wrapped stream."""

    def __init__(self, stream: TextIO) -> None:
        self.rich_proxied_file = stream  # by this attribute `rich` finds the stream itself
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")  # what the terminal's encoding lacks

    def write(self, text: str) -> int:
        self.rich_proxied_file.write(printable_lines(text))
        return len(text)

    def writelines(self, lines: Iterator[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rich_proxied_file, name)


def _is_seen(character: str) -> bool:
    return character.isprintable() or character in _JOINERS or unicodedata.category(character) == "Zs"


def _shown(character: str) -> str:
    return character if _is_seen(character) else character.encode("unicode_escape").decode("ascii")
