"""Reader of the configs of many runs: what they have in common is parsed once, and kept once."""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from runner.config.load import parse
from runner.config.node import Source, flatten
from runner.core.errors import InputError
from runner.core.files import read_text

ReadConfig = Callable[[Path], tuple[Mapping[str, Any], str]]
"""Reads a config.yml as (dotted key to scalar or list, what is wrong with it)."""

_SECTION: Final = re.compile(r"^(?=[A-Za-z_])", re.MULTILINE)
_NOTHING: Final = re.compile(r"(?:[ \t]*(?:#.*)?\n)*[ \t]*")
_DOCUMENTS: Final = re.compile(r"^(?:---|\.\.\.|%)", re.MULTILINE)
_MOST_SECTIONS: Final = 2_000
"""Different sections that are kept."""
_LONGEST: Final = 1 << 20
"""Characters of a text beyond which it is parsed whole, so that its size is judged."""


class _Section(NamedTuple):
    """Part of a text that begins at a key of the top level. `keys`: those of the top level in it; `values`: dotted key to value."""

    keys: tuple[str, ...]
    values: dict[str, Any]


def read_config(path: Path) -> tuple[Mapping[str, Any], str]:
    """Read a single config.yml (see `ReadConfig`)."""
    return ConfigReader().read(path)


class ConfigReader:
    """Reader that parses each section of the top level once, however many configs have it: runs of a sweep differ in few of them.

    YAML is read by sections only where each is a mapping by itself and no key of the top level is in two. Then the whole means the same:
    an alias or a value that reaches beyond its section is an error there, and the text is parsed whole; so is one of several documents.
    """

    def __init__(self) -> None:
        self._sections: dict[str, _Section] = {}
        self._first: frozenset[str] = frozenset()
        self._alike: dict[tuple[object, ...], dict[str, Any]] = {}

    def read(self, path: Path) -> tuple[Mapping[str, Any], str]:
        """Read a config.yml (see `ReadConfig`)."""
        try:
            text = read_text(path)
            values = self._by_sections(text)
            if values is None:
                tree = _parse(text, str(path))
                values = dict(flatten(tree)) if isinstance(tree, Mapping) else {}
        except (OSError, UnicodeDecodeError, InputError) as error:
            return {}, f"{path.name} cannot be read: {error}"
        return values, ""

    def _by_sections(self, text: str) -> Mapping[str, Any] | None:
        """Return the values in a text; None where it has to be parsed whole."""
        if len(text) > _LONGEST or _DOCUMENTS.search(text):
            return None
        texts = [part for part in _SECTION.split(text) if not _NOTHING.fullmatch(part)]
        try:
            sections = [self._section(part) for part in texts]
        except InputError:
            return None
        keys = [key for section in sections for key in section.keys]
        if len(set(keys)) < len(keys):
            return None
        self._first = self._first or frozenset(texts)
        return self._kept_once(texts, sections)

    def _section(self, text: str) -> _Section:
        if (found := self._sections.get(text)) is None:
            tree = _parse(text, "")
            if not isinstance(tree, Mapping):
                raise InputError("no mapping")
            if len(self._sections) >= _MOST_SECTIONS:
                self._sections.clear()
            found = self._sections[text] = _Section(tuple(tree), dict(flatten(tree)))
        return found

    def _kept_once(self, texts: list[str], sections: list[_Section]) -> Mapping[str, Any]:
        """Return the values of the sections in their order; those that the first config has too are the same objects in every config."""
        own: dict[str, Any] = {}
        form: list[object] = []
        for text, section in zip(texts, sections, strict=True):
            if text in self._first:
                form.append(text)
            else:
                own.update(section.values)
                form.append(tuple(section.values))
        if (alike := self._alike.get(key := tuple(form))) is None:
            alike = self._alike[key] = {}
            for section in sections:
                alike.update(section.values)
        return ChainMap(own, alike) if own else alike


def _parse(text: str, name: str) -> Any:
    return parse(text, lambda line: Source(name, line)).plain()
