"""Strict YAML reader for data specs: plain mappings, lists and scalars, each with its line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from runner.config.plain import check_number, compose, load
from runner.core.errors import InputError, Problem, nearest
from runner.core.files import read_text

_TYPE_NAMES = {
    str: "text",
    int: "an integer",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "a mapping",
}


@dataclass(slots=True)
class Section:
    """A mapping of a spec file. `take` returns its values; keys that were never taken are unknown.

    Args:
        values: key to value; nested mappings are Sections.
        lines: key to line number, from 1.
        file: the spec file.
        name: dotted name of this mapping, empty for the whole file.
        problems: shared by all sections of a file; everything found wrong ends up here.
    """

    values: dict[str, Any]
    lines: dict[str, int]
    file: Path
    name: str
    problems: list[Problem]
    asked: list[str] = field(default_factory=list)

    def take(self, key: str, kind: type | tuple[type, ...], default: Any = None) -> Any:
        """Take the value of `key`, or `default` if it is absent or null; a value of another kind is a problem."""
        self.asked.append(key)
        value = self.values.get(key)
        if value is None:
            return default
        kinds = kind if isinstance(kind, tuple) else (kind,)
        fits = isinstance(value, kinds) and not (isinstance(value, bool) and bool not in kinds)
        if not fits:
            wanted = " or ".join(_TYPE_NAMES.get(one, one.__name__) for one in kinds)
            self.wrong(key, f"expected {wanted}, got {value!r}")
            return default
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Take a list of strings (empty if absent)."""
        found = self.take(key, list, [])
        if any(not isinstance(one, str) for one in found):
            self.wrong(key, f"expected a list of strings, got {found!r}; quote names that YAML reads as something else")
            return ()
        return tuple(found)

    def section(self, key: str) -> Section:
        """Take a nested mapping (an empty one if absent)."""
        self.asked.append(key)
        value = self.values.get(key)
        if isinstance(value, Section):
            return value
        if value is not None:
            self.wrong(key, f"expected a mapping, got {value!r}")
        return Section({}, {}, self.file, f"{self.name}{key}.", self.problems)

    def wrong(self, key: str, message: str) -> None:
        """Report a problem with `key`."""
        where = f"{self.file}:{self.lines[key]}" if key in self.lines else str(self.file)
        self.problems.append(Problem(message, where, self.name + key))

    def finish(self, renamed: Mapping[str, str] | None = None) -> None:
        """Report every key that was not asked for; of `renamed` (old name to new) by its new name."""
        for key in self.values:
            if renamed and key in renamed:
                self.wrong(key, f"is now called `{renamed[key]}`: rename the key")
            elif key not in self.asked:
                self.wrong(key, f"unknown key; {nearest(key, list(dict.fromkeys(self.asked)))}".rstrip("; "))


def read_sections(path: Path) -> Section:
    """Read a spec file.

    Raises:
        InputError: it is missing, not YAML, not a mapping, or uses tags, anchors or a key twice.
    """
    try:
        node = compose(read_text(path))
    except OSError as error:
        raise InputError(Problem(f"cannot be read: {error.strerror}", str(path))) from error
    except UnicodeDecodeError as error:
        raise InputError(Problem("not UTF-8 text", str(path))) from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise InputError(Problem(f"invalid YAML: {error.problem}", f"{path}:{line}")) from error
    except yaml.YAMLError as error:
        raise InputError(Problem(f"invalid YAML: {error}", str(path))) from error
    if not isinstance(node, yaml.MappingNode):
        raise InputError(Problem("expected a mapping with keys like name and format; the file is empty or something else", str(path)))
    problems: list[Problem] = []
    section = _mapping(node, path, "", problems, set())
    if problems:
        raise InputError(problems)
    return section


def _mapping(node: yaml.MappingNode, path: Path, name: str, problems: list[Problem], seen: set[int]) -> Section:
    section = Section({}, {}, path, name, problems)
    for key_node, value_node in node.value:
        key, line = str(key_node.value), key_node.start_mark.line + 1
        if key in section.values:
            problems.append(Problem(f"given twice, first on line {section.lines[key]}", f"{path}:{line}", name + key))
        section.lines[key] = line
        section.values[key] = _value(value_node, path, f"{name}{key}", problems, seen)
    return section


def _value(node: yaml.Node, path: Path, name: str, problems: list[Problem], seen: set[int]) -> Any:
    where = f"{path}:{node.start_mark.line + 1}"
    if id(node) in seen:
        problems.append(Problem("anchors and aliases are not allowed in a data spec", where, name))
        return None
    seen.add(id(node))
    if node.tag.startswith("!") or "python" in node.tag:
        problems.append(Problem(f"tag {node.tag} is not allowed in a data spec", where, name))
        return None
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, f"{name}.", problems, seen)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, path, f"{name}[{index}]", problems, seen) for index, item in enumerate(node.value)]
    try:
        return check_number(yaml.SafeLoader("").construct_object(node))
    except (yaml.YAMLError, ValueError) as error:
        problems.append(Problem(f"cannot be read: {error}", where, name))
        return None


def plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """Parse string values of `options` as YAML (``"256"`` is a number): they come from a command line."""
    result: dict[str, Any] = {}
    for key, value in options.items():
        try:
            result[key] = load(value) if isinstance(value, str) else value
        except yaml.YAMLError as error:
            raise InputError(Problem(f"value {value!r} is not valid YAML", "option", key)) from error
    return result
