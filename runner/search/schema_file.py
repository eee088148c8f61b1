"""The JSON Schema of a sweep file (draft 2020-12), from its declaration, for editors.

    python -m runner.search.schema_file docs/sweep.schema.json

An editor with a YAML language server reads the first line of a sweep file: ``# yaml-language-server: $schema=../docs/sweep.schema.json``.
It knows keys, types and ranges; ``runner sweep FILE --dry-run`` finds what else may be wrong.
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
import types
import typing
from collections.abc import Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

from runner.config.bind import FieldInfo, field_infos
from runner.config.load import BASE_KEY
from runner.config.schema import Range
from runner.core.files import atomic_write_text
from runner.search.base import BUILTIN_DESIGNS
from runner.search.load import DURATION
from runner.search.spec import COMPONENTS, DURATIONS, Resources, SweepSpec

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_KINDS: Final[dict[Any, str]] = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}


def schema() -> dict[str, Any]:
    """Return the whole schema."""
    defined: dict[str, Any] = {}
    top = _object(SweepSpec, defined)
    base = {"description": "sweep files that this one starts from", "anyOf": [{"type": "string"}, _list({"type": "string"})]}
    top["properties"] = {BASE_KEY: base, **top["properties"]}
    del top["required"]  # a base may have it
    return {"$schema": _DIALECT, "title": "A sweep of detection-runner", **top, "$defs": defined}


def text() -> str:
    """Return `schema` as it is written to its file."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _object(cls: type[Any], defined: dict[str, Any]) -> dict[str, Any]:
    infos = field_infos(cls)
    result = {
        "type": "object",
        "description": " ".join((inspect.getdoc(cls) or "").split("\n\n")[0].split()),
        "properties": {info.key: _property(info, cls, defined) for info in infos if not info.rest},
        "required": [info.key for info in infos if info.required],
    }
    return result if any(info.rest for info in infos) else {**result, "additionalProperties": False}


def _property(info: FieldInfo, cls: type[Any], defined: dict[str, Any]) -> dict[str, Any]:
    found = _type(info.type, info.range, defined)
    if cls is Resources and f"resources.{info.key}" in DURATIONS:
        found = {"anyOf": [*found.get("anyOf", [found]), {"type": "string", "pattern": f"^{DURATION}$"}]}
    if info.key in COMPONENTS and cls is SweepSpec:
        found = {"anyOf": [*found.get("anyOf", [found]), {"type": "string"}]}
    if info.key == "design" and cls is SweepSpec:
        found = {"anyOf": [{"enum": list(BUILTIN_DESIGNS)}, found]}  # an installed design is valid too
    found = {"description": info.doc, **found} if info.doc else found
    if info.required or is_dataclass(info.default):
        return found
    return {**found, "default": list(info.default) if isinstance(info.default, tuple) else info.default}


def _type(kind: Any, bounds: Range | None, defined: dict[str, Any]) -> dict[str, Any]:
    origin = get_origin(kind)
    if kind is Any:
        return {}
    if origin is typing.Annotated:
        return _type(get_args(kind)[0], bounds, defined)
    if origin in (types.UnionType, typing.Union):
        return {"anyOf": [_type(member, bounds, defined) for member in get_args(kind)]}
    if origin is Literal:
        return {"enum": list(get_args(kind))}
    if origin is tuple:  # all of them are lists of one type
        return _list(_type(get_args(kind)[0], bounds, defined))
    if origin is dict:
        return {"type": "object", "additionalProperties": _type(get_args(kind)[1], bounds, defined)}
    if is_dataclass(kind) and isinstance(kind, type):
        if kind.__name__ not in defined:
            defined[kind.__name__] = {}
            defined[kind.__name__] = _object(kind, defined)
        return {"$ref": f"#/$defs/{kind.__name__}"}
    return {"type": _KINDS[kind], **(_bounds(bounds) if kind in (int, float) else {})}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _bounds(bounds: Range | None) -> dict[str, Any]:
    if bounds is None:
        return {}
    low = {"exclusiveMinimum" if bounds.open_low else "minimum": bounds.low}
    return {key: value for key, value in (low | {"maximum": bounds.high}).items() if value is not None}


def main(argv: Sequence[str] | None = None) -> int:
    """Write or print the schema."""
    parser = argparse.ArgumentParser(prog="python -m runner.search.schema_file", description="Write the JSON Schema of sweep files.")
    parser.add_argument("file", nargs="?", type=Path, help="what to rewrite; default: print it")
    args = parser.parse_args(argv)
    if args.file is None:
        sys.stdout.write(text())
    else:
        atomic_write_text(args.file, text())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
