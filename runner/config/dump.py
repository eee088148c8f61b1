"""Canonical YAML of a bound config: every effective key is written out, and the text binds to an equal object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from typing import Any

import yaml

from runner.config.bind import FieldInfo, iterate_fields
from runner.config.load import EXPONENT_FLOAT
from runner.config.schema import Tagged
from runner.core.text import is_printable, json_text, printable_lines


def canonical(config: Any) -> dict[str, Any]:
    """Return the canonical tree of a bound config: dicts, lists, scalars and `Tagged`; sections at the top level, in order of first use."""
    return _tree(config, neutral=True)


def result_affecting(config: Any) -> dict[str, Any]:
    """Return the plain canonical tree for the run key: without keys declared `Neutral`, and without those declared `AddedLater` that have
    their default."""
    plain: dict[str, Any] = to_plain(_tree(config, neutral=False))
    return plain


def affecting_keys(config: Any, plain: Mapping[str, Any]) -> list[str]:
    """Return the dotted keys of `plain`, the plain canonical tree of a config, that are also in `result_affecting`; each stands for all
    keys below it."""
    return list(_common(plain, result_affecting(config), ""))


def _common(whole: Any, part: Any, prefix: str) -> Iterator[str]:
    """Yield the shortest dotted keys below which `part` has all that `whole` has."""
    if whole == part and prefix:
        yield prefix.removesuffix(".")
    elif isinstance(whole, Mapping) and isinstance(part, Mapping):
        for key in [key for key in whole if key in part]:
            yield from _common(whole[key], part[key], f"{prefix}{key}.")
    elif isinstance(whole, list) and isinstance(part, list):
        for index, (item, kept) in enumerate(zip(whole, part, strict=True)):
            yield from _common(item, kept, f"{prefix}{index}.")


def to_plain(value: Any) -> Any:
    """Convert to dicts, lists and scalars; a tag becomes the key ``name`` (which binds as well)."""
    if isinstance(value, Tagged):
        keys = to_plain(value.keys)
        return {"name": value.name, "args": keys} if isinstance(keys, list) else {"name": value.name, **keys}
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [to_plain(item) for item in value]
    return value


def to_yaml(tree: Mapping[str, Any]) -> str:
    """Write a canonical tree as YAML: block style, short lists and leaves in flow style."""
    return printable_lines(yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=140))


def to_json(tree: Mapping[str, Any]) -> str:
    """Write a canonical tree as JSON."""
    return json_text(to_plain(tree))


def _tree(config: Any, *, neutral: bool) -> dict[str, Any]:
    sections: dict[str, Any] = {}
    top = _keys_of(config, sections, neutral=neutral)
    return {**top, **sections}


def _keys_of(value: Any, sections: dict[str, Any], *, neutral: bool) -> dict[str, Any]:
    """Return the keys of a value. A shared key is written at the top level only, so that it can be changed in one place."""
    kept = [(info, item) for info, item in iterate_fields(value) if not info.shared and (neutral or _counts(info, item))]
    keys = {info.key: _dump(item, info.key, sections, neutral=neutral) for info, item in kept if not info.rest}
    return keys | {key: item for info, rest in kept if info.rest for key, item in rest.items()}


def _counts(info: FieldInfo, value: Any) -> bool:
    """Return whether a key is part of the run key."""
    return not info.neutral and not (info.added_later and value == info.default)


def _dump(value: Any, key: str, sections: dict[str, Any], *, neutral: bool) -> Any:
    if isinstance(value, tuple):
        return [_dump(item, key, sections, neutral=neutral) for item in value]
    if isinstance(value, Mapping):
        return {name: _dump(item, name, sections, neutral=neutral) for name, item in value.items()}
    if not is_dataclass(value):
        return value
    name, form = type(value).__name__, getattr(value, "form", "plain")
    if form == "section" and key != name:
        sections[name] = None  # reserves its place before the sections below it
        sections[name] = _keys_of(value, sections, neutral=neutral)
        return name
    keys = _keys_of(value, sections, neutral=neutral)
    if form == "tag":
        return Tagged(name, keys)
    if form == "key":
        return {name: keys}
    return {form: name, **keys} if form in ("name", "type") else keys


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc] # the one in C takes a tenth of the time
    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _is_leaf(value: Any) -> bool:
    if isinstance(value, list):
        return all(not isinstance(item, Mapping | Tagged) for item in value)
    return not isinstance(value, Mapping | Tagged)


def _represent_mapping(dumper: yaml.SafeDumper, data: dict[str, Any]) -> yaml.Node:
    node = dumper.represent_mapping("tag:yaml.org,2002:map", data.items(), flow_style=False)
    (item,) = data.values() if len(data) == 1 else (None,)
    if isinstance(item, dict) and all(map(_is_leaf, item.values())):  # `Resize: {target_size: 800}`
        node.value[0][1].flow_style = True
    return node


def _represent_list(dumper: yaml.SafeDumper, data: list[Any]) -> yaml.Node:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=_is_leaf(data))


def _represent_tagged(dumper: yaml.SafeDumper, data: Tagged) -> yaml.Node:
    if isinstance(data.keys, list):
        return dumper.represent_sequence(f"!{data.name}", data.keys, flow_style=True)
    return dumper.represent_mapping(f"!{data.name}", data.keys.items(), flow_style=True)


def _represent_text(dumper: yaml.SafeDumper, data: str) -> yaml.Node:
    """Quote text with invisible characters, so that they are escaped; PyYAML would also turn unusual line ends into spaces."""
    return dumper.represent_scalar("tag:yaml.org,2002:str", data, style=None if is_printable(data.replace("\n", "")) else '"')


_Dumper.add_representer(str, _represent_text)
_Dumper.add_implicit_resolver(*EXPONENT_FLOAT)  # so that the string "1e-4" is quoted
_Dumper.add_representer(dict, _represent_mapping)
_Dumper.add_representer(list, _represent_list)
_Dumper.add_representer(Tagged, _represent_tagged)
