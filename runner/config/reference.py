"""Config reference: every module, key, type, range and default of a declared config class, as Markdown.

    python -m runner.config.reference runner.backends.torch.schema:TorchConfig docs/config-reference.md

The class is named on the command line, so that this package knows no backend. Without a file the text is printed.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import re
import sys
import types
import typing
from collections.abc import Iterator, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from runner.config.bind import FieldInfo, describe, field_infos
from runner.config.schema import Form
from runner.core.files import atomic_write_text
from runner.core.values import format_value

_HOW: dict[Form, str] = {
    "section": "A section: `{name}:` at the top level, and its name where it is used.",
    "tag": "Written `!{name} {{…}}`.",
    "name": "Written `{{name: {name}, …}}`.",
    "type": "Written `{{type: {name}, …}}`.",
    "key": "Written `{name}: {{…}}`.",
    "plain": "A mapping of its keys; the name `{name}` is not written.",
}

_INTRODUCTION = (
    "Every supported key, with its default. [config.md](config.md) explains how a config is built, what",
    "`auto` means, and which keys are ours. A key marked *neutral* cannot change a result: two runs that differ in nothing",
    "else are the same run. One marked *shared* takes the top-level key of its name if the module does not set it. A key",
    "with a single allowed value is one that PaddleDetection has and this backend does not support: any other value is",
    "refused. One with *no effect here* is accepted with any value, so that PaddleDetection's configs run as they are: what it",
    "sets there cannot change a result here.",
)


def reference(cls: type[Any], command: str) -> str:
    """Write the whole page for the config class `cls`; `command` is the command that writes it."""
    modules = list(_modules(cls))
    lines = [
        "# Config reference",
        "",
        f"<!-- Written by `{command}`; a test compares. Edit the schema, not this file. -->",
        "",
        *_INTRODUCTION,
        "",
        "Modules: " + ", ".join(f"[{item.__name__}](#{_anchor(item)})" for item in modules),
        "",
        "## Top level",
        "",
        table(cls),
    ]
    for item in modules:
        lines += ["", f"## {item.__name__}", "", f"{_summary(item)} {_HOW[item.form].format(name=item.__name__)}", "", table(item)]
    return "\n".join(lines) + "\n"


def table(cls: type[Any]) -> str:
    """Write the keys of one declared class as a Markdown table."""
    infos = field_infos(cls)
    if not infos:
        return "Its keys are those of the class that is named." if hasattr(cls, "names") else "It has no keys."
    return "\n".join(["| key | value | default | |", "| --- | --- | --- | --- |", *map(_row, infos)])


def _row(info: FieldInfo) -> str:
    notes = [word for word, holds in (("shared", info.shared), ("neutral", info.neutral)) if holds]
    classes = _direct_classes(info.type)
    text = _escape(info.doc) or (_summary(classes[0]) if len(classes) == 1 else "")
    doc = text + "".join(f" *({word})*" for word in notes)
    default = "required" if info.required else "`auto`" if info.auto else f"`{_default(info.default)}`"
    cells = ("…", "any value", "none", doc) if info.rest else (f"`{info.key}`", _value_in_words(info), default, doc)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _anchor(cls: type[Any]) -> str:
    return re.sub(r"[^\w-]", "", cls.__name__.lower())


def _escape(text: str) -> str:
    """Escape what Markdown would read as HTML; in a code span it is text already."""
    return "`".join(part if inside % 2 else part.replace("<", "&lt;") for inside, part in enumerate(text.split("`")))


def _value_in_words(info: FieldInfo) -> str:
    """Describe a type as `describe` does, with a link to each declared module."""
    words = describe(info.type, info.range)
    for cls in sorted(set(_classes(info.type)), key=lambda item: -len(item.__name__)):
        linked = f"[{cls.__name__}](#{_anchor(cls)})"
        words = " ".join(word.replace(cls.__name__, linked) if word.strip("()") == cls.__name__ else word for word in words.split(" "))
    return words


def _default(value: Any) -> str:
    if is_dataclass(value):
        return type(value).__name__
    if isinstance(value, tuple) and any(is_dataclass(item) for item in value):
        return "[" + ", ".join(_default(item) for item in value) + "]"
    return format_value(value) if value != "" else '""'


def _modules(cls: type[Any]) -> Iterator[type[Any]]:
    """Yield every declared class below `cls` once, in order of first mention."""
    todo, seen = [cls], {cls}
    while todo:
        for info in field_infos(todo.pop(0)):
            for found in _classes(info.type):
                if found not in seen:
                    seen.add(found)
                    todo.append(found)
                    yield found


def _classes(kind: Any) -> list[type[Any]]:
    """List the declared classes that a type names, at any depth."""
    return _direct_classes(kind) if get_origin(kind) is None else [cls for item in get_args(kind) for cls in _classes(item)]


def _direct_classes(kind: Any) -> list[type[Any]]:
    """List the declared classes that a type names itself, not inside a list or a mapping."""
    if get_origin(kind) in (types.UnionType, typing.Union):
        return [cls for member in get_args(kind) for cls in _direct_classes(member)]
    return [kind] if isinstance(kind, type) and is_dataclass(kind) and get_origin(kind) is not Literal else []


def _summary(cls: type[Any]) -> str:
    return " ".join((inspect.getdoc(cls) or "").split("\n\n")[0].split())


def main(argv: Sequence[str] | None = None) -> int:
    """Write or print the reference of a class."""
    parser = argparse.ArgumentParser(prog="python -m runner.config.reference", description="Write the config reference.")
    parser.add_argument("cls", metavar="MODULE:CLASS", help="for example runner.backends.torch.schema:TorchConfig")
    parser.add_argument("file", nargs="?", type=Path, help="file to rewrite; default: print the table of this class alone")
    args = parser.parse_args(argv)
    module, _, name = args.cls.partition(":")
    cls = getattr(importlib.import_module(module), name)
    if args.file is None:
        sys.stdout.write(table(cls) + "\n")
    else:
        atomic_write_text(args.file, reference(cls, f"python -m runner.config.reference {args.cls} {args.file}"))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
