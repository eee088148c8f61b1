"""Names that come from files, and paths that go into a command for the user."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

_MOST_BYTES = 255


def is_plain_name(value: Any) -> bool:
    """True for a text that names an entry of a folder and cannot lead out of it. Any name that was read from a file is checked by this
    before it becomes part of a path."""
    if not isinstance(value, str) or value in ("", ".", "..") or any(mark in value for mark in "/\\\0"):
        return False
    return len(value.encode("utf-8", "surrogatepass")) <= _MOST_BYTES


def shell_path(path: Path | str) -> str:
    """`path` as a user can paste it into a shell: quoted where it has to be, and never taken for an option."""
    text = str(path)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)
