"""Loader of YAML in PaddleDetection's shape: `_BASE_`, tags, line numbers. Safe: no config can run code or exhaust memory.

Intended differences from PaddleDetection's loader:

- `_BASE_` may be a bare string; a tag needs no value (``!CosineDecay``).
- A key given twice in one mapping is an error, and so is a tag that means code (``!!python/…``).
- ``1e-4`` is a number, a date is a string, and every key is a string (``0:``, ``yes:``).
- A layer that sets `max_iters` drops the `epoch` of its base (see `ALTERNATIVES`); one that says ``dataset: NAME``, `image_size` or
  `levels` replaces what its base says of the same thing (see `put_replaced_aside`); one that selects another module starts that module's
  mapping anew (see `put_aside`).
- An alias (``*a``) is a copy: a later layer that changes a key of one leaves the other unchanged. In PaddleDetection both change.
- A base is merged with its own bases before it is merged over the bases named before it. PaddleDetection merges all of them in sequence,
  which differs where one replaces a mapping by a scalar, a list or null and the next one by a mapping again.

`tools.loader_comparison` compares the two on PaddleDetection's own configs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

from runner.config.node import Node, Source
from runner.config.plain import MAX_DEPTH, MAX_NODES, check_number
from runner.config.stand_ins import STAND_INS
from runner.core.errors import InputError, Problem, nearest
from runner.core.files import read_text
from runner.core.shipped import shipped

BASE_KEY = "_BASE_"
READER_KEY = "_READER_"
"""Key of 0.x: one file, merged under the file that names it. The key is kept for `runner.config.legacy`."""
_SHIPPED: tuple[Literal["configs", "datasets", "sweeps"], ...] = ("configs", "datasets", "sweeps")

ALTERNATIVES = {"epoch": "max_iters", "snapshot_epoch": "snapshot_iter", "milestones": "milestone_iters", "max_epochs": "max_iters"}
"""Pairs of keys for the same thing in epochs and in iterations: where a later layer sets one, the other one of an earlier layer is
dropped."""

OVERRULED_BY = {"steps": "epochs", "gamma": "values"}
"""Maps a key of a schedule to the one that overrules it if both are set (PaddleDetection's rule: a file may have both)."""

TWICE = "given twice in one mapping"
NO_CODE = "a config contains data, never code"

DATA_SECTIONS = ("TrainDataset", "EvalDataset", "TestDataset")
_NAMES_DATA = ("name", "dataset_dir", "image_dir", "anno_path", "label_list")
_FOLLOWS_FROM_DATA = ("num_classes", "metric", "map_type")

_STANDARD = "tag:yaml.org,2002:"
_EXPONENT = re.compile(r"[-+]?([0-9][0-9_]*(\.[0-9_]*)?|\.[0-9][0-9_]*)[eE][-+]?[0-9]+")  # YAML 1.1 requires dot and sign


class _Loader(yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader):  # type: ignore[misc]
    """PyYAML's safe loader, except that dates and a single ``=`` are strings and ``1e-4`` is a number."""


_LEFT_TEXT = {f"{_STANDARD}timestamp", f"{_STANDARD}value"}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _LEFT_TEXT]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
EXPONENT_FLOAT = (f"{_STANDARD}float", re.compile(rf"^{_EXPONENT.pattern}$"), list("-+.0123456789"))
"""Resolver of ``1e-4`` and ``1.5e3``; `runner.config.dump` quotes strings that look like it."""
_Loader.add_implicit_resolver(*EXPONENT_FLOAT)


def load_config(path: Path | str) -> Node:
    """Load the config in `path` with its `_BASE_` files merged under it.

    A relative path that does not exist here is also looked up among the files that come with the package.

    Raises:
        InputError: a file that is missing, empty, not UTF-8, not YAML (file and line), unsafe, or includes itself.
    """
    return _load_with_bases(find_file(Path(path)), (), {})


def find_file(path: Path) -> Path:
    """Return `path`, or the shipped file of that name (``configs/fcos_tiny.yml``) if it does not exist."""
    return path if os.path.lexists(path) else _shipped_file(path) or path


def find_named(text: str, by: Path) -> Path:
    """Find the file that the file `by` names: relative to its folder, else the shipped one of that name."""
    path = Path(text).expanduser()
    if path.is_absolute():
        return path
    beside = by.parent / path
    return beside if os.path.lexists(beside) else _shipped_file(path) or beside


def _shipped_file(path: Path) -> Path | None:
    for kind in _SHIPPED:
        if path.parts[:1] == (kind,):
            candidate = shipped(kind).joinpath(*path.parts[1:])
            return candidate if candidate.is_file() else None
    return None


def parse(text: str, source: Callable[[int], Source]) -> Node:
    """Parse a YAML text into a tree; `source` makes a place from a 1-based line number. An empty text is null.

    Raises:
        InputError: not YAML, unsafe, or a key given twice.
    """
    try:
        anchors = _read_events(text, source)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            return Node(None, source(1)) if node is None else _Converter(loader, source, anchors).convert(node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line if mark else 0
        raise InputError(Problem(_describe(error, text, line), where=str(source(line + 1)))) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position)
        raise InputError(Problem(f"invalid YAML: {error.reason} (character #x{error.character:x})", where=str(source(line + 1)))) from error
    except UnicodeEncodeError as error:
        raise InputError(Problem("not UTF-8 text", where=str(source(text.count("\n", 0, error.start) + 1)))) from error


def _read_events(text: str, source: Callable[[int], Source]) -> dict[tuple[int, str], str]:
    """Read what composed nodes do not contain: the places (see `_position`) of values with an anchor, and the anchors' names.

    Deep nesting is refused here: PyYAML's C code recurses once per level and overflows its stack, which no `except` can catch.
    """
    anchors: dict[tuple[int, str], str] = {}
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                line = event.start_mark.line + 1 if event.start_mark else 1
                raise InputError(Problem(f"nested more than {MAX_DEPTH} levels deep", where=str(source(line))))
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if isinstance(event, yaml.CollectionStartEvent | yaml.ScalarEvent) and event.anchor is not None:
            anchors[_position(event)] = event.anchor
    return anchors


def _position(part: Any) -> tuple[int, str]:
    """Return the position where an event or its node begins, and its kind: a mapping begins where its first key does."""
    return part.start_mark.index, type(part).__name__.removesuffix("Event").removesuffix("Start").removesuffix("Node")


def merge(base: Node, over: Node) -> Node:
    """Merge `over` over `base`: mappings key by key; lists, scalars, null and tagged objects replace the old value."""
    if base.mapping is None or over.mapping is None or over.tag is not None or base.tag is not None or base.former:
        return over
    for key in over.mapping:
        base = put_aside(base, key, over.mapping[key])
    merged = dict(base.mapping or {})
    for key, node in over.mapping.items():
        merged[key] = merge(merged[key], node) if key in merged else node
    return replace(over, value=merged)


def put_aside(base: Node, key: str, value: Node) -> Node:
    """Prepare `base` for a later layer that sets `key`: drop its alternative (see `ALTERNATIVES`), and, where `type` or `name` now selects
    another module, mark the keys that a file gave for the former one.

    A null sets nothing.
    """
    mapping = base.mapping
    if mapping is None or value.value is None:
        return base
    pairs = [*ALTERNATIVES.items(), *((iters, epochs) for epochs, iters in ALTERNATIVES.items())]
    base = base.without(*(other for one, other in pairs if one == key))
    chooses = key in ("type", "name") and key in mapping and mapping[key].plain() != value.plain()
    if not chooses:
        return base
    return replace(base, value={name: replace(node, former=bool(node.source.line)) for name, node in (base.mapping or {}).items()})


def put_data_aside(base: Node, name: Node | None) -> Node:
    """Prepare the config `base` for a later layer (a file, the command line, a trial) that says ``dataset: NAME``: drop the keys that
    identify its data and those that follow from it. Keys that apply to any data set (`sample_num`) stay.

    A null names nothing.
    """
    if name is None or name.value is None:
        return base
    base = base.without(*_FOLLOWS_FROM_DATA)
    for section in DATA_SECTIONS:
        given = base.get(section)
        if given is not None and given.mapping is not None:
            base = base.with_key(section, replace(given.without(*_NAMES_DATA), tag=None))
    return base


def put_replaced_aside(base: Node, layer: Mapping[str, Node]) -> Node:
    """Prepare the config `base` for a later layer with these keys, some of which stand for many others: the data set, and `STAND_INS`.
    They replace what `base` says of the same thing."""
    base = put_data_aside(base, layer.get("dataset"))
    for key, stand_in in STAND_INS.items():
        base = stand_in.put_aside(base, layer.get(key))
    return base


def _load_with_bases(path: Path, above: tuple[Path, ...], loaded: dict[Path, Node]) -> Node:
    """Return the merged tree of one file; `above` are the files that lead to it, `loaded` the finished ones (files may share a base)."""
    resolved = Path(os.path.realpath(path))  # unlike Path.resolve, also for a link that leads to itself
    if resolved in loaded:
        return loaded[resolved]
    if resolved in above:
        chain = " → ".join(str(file) for file in (*above, resolved))
        raise InputError(Problem(f"{BASE_KEY} includes itself: {chain}", where=str(above[-1])))
    node = _load_one(path)
    assert node.mapping is not None
    bases = [(key, base) for key in (BASE_KEY, READER_KEY) if (base := node.mapping.get(key)) is not None]
    if not bases:
        return loaded.setdefault(resolved, node)
    result: Node | None = None
    for key, entry in [(key, entry) for key, base in bases for entry in (base.items if base.items is not None else (base,))]:
        if not isinstance(entry.value, str) or not entry.value:
            raise InputError(Problem("expected a path or a list of paths", where=str(entry.source), key=key))
        file = find_named(entry.value, path)
        if not os.path.isfile(file):  # unlike Path.is_file, also False for a name that is too long
            raise InputError(Problem(missing_file(file), where=str(entry.source), key=key))
        layer = _load_with_bases(file, (*above, resolved), loaded)
        result = layer if result is None else _layered(result, layer)
    own = node.without(BASE_KEY)
    return loaded.setdefault(resolved, own if result is None else _layered(result, own))


def _layered(base: Node, over: Node) -> Node:
    return merge(put_replaced_aside(base, over.mapping or {}), over)


def _load_one(path: Path) -> Node:
    try:
        text = read_text(path, encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise InputError(Problem(missing_file(path))) from error
    except UnicodeDecodeError as error:
        raise InputError(Problem(f"not UTF-8 text (byte {error.start}); expected a config file in YAML", where=str(path))) from error
    except OSError as error:
        raise InputError(Problem(f"cannot be read: {error.strerror}", where=str(path))) from error
    node = parse(text, lambda line: Source(str(path), line))
    if node.value is None:
        raise InputError(Problem("empty file; expected a mapping of keys such as `architecture: FCOS`", where=str(path)))
    if node.mapping is None or node.tag is not None:
        raise InputError(Problem("expected a mapping of keys such as `architecture: FCOS`", where=str(path)))
    return node


def missing_file(path: Path) -> str:
    """Say that a file does not exist, and which similar ones do."""
    if os.path.islink(path):
        return f"{path} is a symbolic link that leads to no file"
    own = [file.name for file in path.parent.glob("*.y*ml")]
    with_us = [] if path.is_absolute() else [str(path.parent / file.name) for file in _shipped_beside(path)]
    hint = nearest(path.name, own) if path.parent.is_dir() else f"nor does the folder {path.parent}"
    if not hint.startswith("did") and (close := nearest(str(path), with_us)).startswith("did"):
        hint = close
    return f"file {path} does not exist" + (f"; {hint}" if hint else "")


def _shipped_beside(path: Path) -> list[Path]:
    """Return the shipped files that a path such as ``configs/NAME.yml`` can name."""
    kind = path.parts[0] if path.parts else ""
    return sorted(shipped(kind).joinpath(*path.parent.parts[1:]).glob("*.yml")) if kind in ("configs", "sweeps") else []  # type: ignore[arg-type]


def _describe(error: yaml.MarkedYAMLError, text: str, line: int) -> str:
    began = error.context_mark
    since = f"(which began on line {began.line + 1})" if error.context and began and began.line != line else ""
    problem = " ".join(filter(None, (error.context, since, error.problem)))
    column = f" (column {error.problem_mark.column + 1})" if error.problem_mark else ""
    lines = text.splitlines()
    indent = lines[line][: len(lines[line]) - len(lines[line].lstrip())] if line < len(lines) else ""
    if "\t" in indent:
        return "invalid YAML: a tab in the indentation; indent with spaces"
    if any(sign in problem for sign in _INDENT_SIGNS):
        problem += "; check the indentation of this line and the one before"
    return f"invalid YAML: {problem}{column}"


_INDENT_SIGNS = (
    "did not find expected key",
    "did not find expected '-' indicator",
    "expected <block end>",
    "mapping values are not allowed",
    "could not find expected ':'",
)


class _Converter:
    """Converter from PyYAML's nodes to ours. Aliases are followed, but counted. `anchors` are those of `_read_events`."""

    def __init__(self, loader: Any, source: Callable[[int], Source], anchors: dict[tuple[int, str], str]) -> None:
        self._loader = loader
        self._source = cache(source)
        self._anchors = anchors
        self._count = 0

    def convert(self, node: yaml.Node, depth: int = 0, key: Source | None = None) -> Node:
        """Convert a node. `key`: where the key is written that it is the value of, which is where a user looks."""
        source = self._source(node.start_mark.line + 1)
        place = key or source
        self._count += 1
        if self._count > MAX_NODES or depth > MAX_DEPTH:
            what = f"to more than {MAX_NODES} values" if self._count > MAX_NODES else f"beyond {MAX_DEPTH} levels of nesting"
            raise InputError(Problem(f"expands {what}, with each alias replaced by its value", where=str(source)))
        tag = self._tag(node, source)
        # popped: a later alias leads to the same node, but is written without
        anchor = self._anchors.pop(_position(node), None) if self._anchors else None
        if isinstance(node, yaml.MappingNode):
            return Node(self._mapping(node, depth), place, tag, anchor=anchor)
        if isinstance(node, yaml.SequenceNode):
            return Node(tuple(self.convert(item, depth + 1) for item in node.value), place, tag, anchor=anchor)
        if tag is not None:
            if node.value != "":
                raise InputError(Problem(f"!{tag} takes a mapping, a list or nothing, not {node.value!r}", where=str(source)))
            return Node(None, place, tag, anchor=anchor)
        try:
            value = check_number(self._loader.construct_object(node))
            return Node(value, place, anchor=anchor, text=None if isinstance(value, str) else node.value)
        except (ValueError, KeyError) as error:
            name = node.tag.removeprefix(_STANDARD)
            raise InputError(Problem(f"{_short(node.value)} is not a valid !!{name}", where=str(source))) from error

    def _tag(self, node: yaml.Node, source: Source) -> str | None:
        tag = node.tag
        if tag.startswith("!") and len(tag) > 1:
            return str(tag[1:])
        name = tag.removeprefix(_STANDARD)
        if name not in ("str", "int", "float", "bool", "null", "map", "seq"):
            text = f"tag !!{name} is not allowed: {NO_CODE}"
            raise InputError(Problem(text, where=str(source)))
        return None

    def _mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Node]:
        own: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        for key_node, value_node in node.value:
            where = self._source(key_node.start_mark.line + 1)
            if self._anchors:
                self._anchors.pop(_position(key_node), None)
            if key_node.tag == f"{_STANDARD}merge":
                if merged:
                    raise InputError(Problem(f"{TWICE}; write one key with a list: <<: [*a, *b]", where=str(where), key="<<"))
                for part in value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]:
                    found = self.convert(part, depth + 1).mapping
                    if found is None:
                        raise InputError(Problem("expected a mapping, or a list of mappings", where=str(where), key="<<"))
                    merged = {**found, **merged}
                continue
            if not isinstance(key_node, yaml.ScalarNode) or self._tag(key_node, where) is not None:
                raise InputError(Problem("a key must be a scalar without a tag", where=str(where)))
            key = str(key_node.value)
            if key in own:
                first = f"{TWICE} (first at {own[key].source})"
                raise InputError(Problem(f"{first}; delete one (PaddleDetection uses the last)", where=str(where), key=key))
            own[key] = self.convert(value_node, depth + 1, where)
        return {**merged, **own}


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:39] + "…")
