"""Removal of what a page must not show: absolute paths, the name of the machine and of the user."""

from __future__ import annotations

import getpass
import os
import re
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from runner.core.values import shell_path

_NAMES_NOTHING = frozenset({"", "localhost", "root"})
"""Generic names of machines and users. They identify nobody and occur as ordinary words, so they are not redacted."""
_PATH = re.compile(
    r"""(?:(?<![\w./:~…-])|(?<=file://))(?:/|[A-Za-z]:\\|\\\\)(?:[^\s/\\'"`<>|:;,()\[\]{}]+[/\\])+[^\s/\\'"`<>|:;,()\[\]{}]*"""
)
_HOME = re.compile(r"(?:/home|/Users|[A-Za-z]:\\Users)[/\\][^/\\]*[/\\]?")
_PLACEHOLDER = "…"
_LEAST_PARTS = 2
_HELD_SPACE = "\x00"


class Redaction:
    """Redaction of texts: an absolute path becomes `…/` and its last part, the names of machine and user become `…`.

    Args:
        folders: folders whose paths may contain spaces: those of the runs.
        hosts: further names of machines, such as those that runs recorded.
    """

    def __init__(self, folders: Iterable[Path] = (), hosts: Iterable[str] = ()) -> None:
        known = {Path(os.path.abspath(folder)) for folder in folders} | {Path(os.path.realpath(folder)) for folder in folders}
        known |= {Path.cwd(), Path(os.path.expanduser("~"))}
        texts = {str(each) for folder in known for each in (folder, *folder.parents) if len(each.parts) > _LEAST_PARTS}
        self._folders = re.compile("|".join(map(re.escape, sorted(texts, key=len, reverse=True))) or "(?!)")
        names = {*hosts, socket.gethostname(), _user()} - _NAMES_NOTHING
        self._names = re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, sorted(names, key=len, reverse=True))) or '(?!)'})(?![\w-])")

    def text(self, text: str) -> str:
        """Return `text` without absolute paths, and without the names of machine and user."""
        if "/" in text or "\\" in text:
            text = self._folders.sub(lambda found: _as_one_word(found[0]), text.replace(_HELD_SPACE, " "))
            text = _PATH.sub(lambda found: _last(found[0]), text).replace(_HELD_SPACE, " ")
        return self._names.sub(_PLACEHOLDER, text)

    def known(self, text: str) -> str:
        """Return `text` without the paths of the known folders and the names; a path that only looks like one stays, as in a command."""
        return self._names.sub(_PLACEHOLDER, self._folders.sub(lambda found: _last(found[0]), text))

    def value(self, value: Any) -> Any:
        """Return mappings, lists and scalars with every text in them redacted, keys included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.value(item) for key, item in value.items()}
        return [self.value(item) for item in value] if isinstance(value, list | tuple) else value


def command_path(path: Path, root: Path, *, private: bool = False) -> str:
    """Write `path` for a command to copy, without naming the user: relative to the current folder, or to the home (`~/…`).

    Args:
        path: below `root`.
        root: a folder that the page was given. `…` stands for its place where that is neither in the current folder nor in the home.
        private: the page is for this machine only (see `PageData`): write the absolute path in place of `…`, so that the command works.
    """
    absolute = Path(os.path.abspath(path))
    if absolute.is_relative_to(here := Path.cwd()):
        return shell_path(absolute.relative_to(here))
    if absolute.is_relative_to(home := Path(os.path.expanduser("~"))):
        return f"~/{shell_path(absolute.relative_to(home))}"
    if private:
        return shell_path(absolute)
    return f"{_PLACEHOLDER}/{shell_path(absolute.relative_to(os.path.abspath(root.parent)))}"


def _as_one_word(path: str) -> str:
    """Return a path with the same meaning here, without spaces before its last part and with others held for a moment."""
    return path if _HOME.fullmatch(path) else f"/{_PLACEHOLDER}/{os.path.basename(path).replace(' ', _HELD_SPACE)}"


def _last(path: str) -> str:
    if _HOME.fullmatch(path):
        return _PLACEHOLDER
    name = path.rstrip("/\\").replace("\\", "/").rpartition("/")[2]
    return f"{_PLACEHOLDER}/{name}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # an id without a name
        return ""
