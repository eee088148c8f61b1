"""YAML in PaddleDetection's shape: `_BASE_`, tags, line numbers. Safe: nothing in a config can run code or eat the memory.

What differs from PaddleDetection's loader, on purpose: `_BASE_` may be a bare string; a key given twice in one mapping is an error; ``1e-4`` is a
number; a mapping that sets `max_iters` puts aside the `epoch` of its base (see `ALTERNATIVES`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from runner.config.node import Node, Source
from runner.core.errors import InputError, Problem, nearest
from runner.core.shipped import shipped

BASE_KEY = "_BASE_"
MAX_NODES = 100_000  # PaddleDetection's largest config has some 2,000; an alias bomb has millions
MAX_DEPTH = 100

ALTERNATIVES = {"epoch": "max_iters", "snapshot_epoch": "snapshot_iter", "milestones": "milestone_iters", "max_epochs": "max_iters"}
"""Keys that say the same thing in epochs and in iterations: where a later layer sets one, the other one of an earlier layer no longer counts."""

_STANDARD = "tag:yaml.org,2002:"
_EXPONENT = re.compile(r"[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+")  # YAML 1.1 wants a dot in it and would make it a string


class _Loader(yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader):  # type: ignore[misc]
    """PyYAML's safe loader; dates stay text, ``1e-4`` is a number."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != f"{_STANDARD}timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(f"{_STANDARD}float", re.compile(rf"^{_EXPONENT.pattern}$"), list("-+0123456789"))


def load_config(path: Path | str) -> Node:
    """The config in `path` with its `_BASE_` files merged under it.

    A relative path that does not exist here is also looked for among the files that come with the package.

    Raises:
        InputError: a file that is missing, empty, no UTF-8, no YAML (file and line), unsafe, or includes itself.
    """
    return _load_with_bases(find_file(Path(path)), ())


def find_file(path: Path) -> Path:
    """`path`, or the shipped file of that name (``configs/fcos_tiny.yml``) where the former does not exist."""
    if path.exists() or path.is_absolute() or len(path.parts) < 2:
        return path
    candidate = shipped(path.parts[0]).joinpath(*path.parts[1:])
    return candidate if candidate.is_file() else path


def parse(text: str, source: Callable[[int], Source]) -> Node:
    """YAML text as a tree; `source` makes a place of a 1-based line. Empty text is a null.

    Raises:
        InputError: no YAML, unsafe, or a key given twice.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        return Node(None, source(1)) if node is None else _Converter(loader, source).convert(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise InputError(Problem(_describe(error), where=str(source(mark.line + 1 if mark else 1)))) from error
    except yaml.YAMLError as error:
        raise InputError(Problem(f"is not YAML: {error}", where=str(source(1)))) from error
    except RecursionError as error:
        raise InputError(Problem(f"is nested more than {MAX_DEPTH} deep", where=str(source(1)))) from error
    finally:
        loader.dispose()


def merge(base: Node, over: Node) -> Node:
    """`over` on top of `base`: mappings key by key; lists, scalars, null and tagged objects replace what was there."""
    if base.mapping is None or over.mapping is None or over.tag is not None or base.tag is not None:
        return over
    merged = put_aside_alternatives(base, set(over.mapping)).mapping or {}
    merged = dict(merged)
    for key, node in over.mapping.items():
        merged[key] = merge(merged[key], node) if key in merged else node
    return replace(over, value=merged)


def put_aside_alternatives(base: Node, keys: set[str]) -> Node:
    """`base` without the keys that stand for the same thing as one of `keys` (see `ALTERNATIVES`)."""
    pairs = [*ALTERNATIVES.items(), *((iters, epochs) for epochs, iters in ALTERNATIVES.items())]
    gone = [other for key, other in pairs if key in keys and other not in keys]
    return base.without(*gone) if base.mapping is not None else base


def _load_with_bases(path: Path, above: tuple[Path, ...]) -> Node:
    resolved = path.resolve()
    if resolved in above:
        chain = " → ".join(str(file) for file in (*above, resolved))
        raise InputError(Problem(f"{BASE_KEY} includes itself: {chain}", where=str(above[-1])))
    node = _load_one(path)
    assert node.mapping is not None
    base = node.mapping.get(BASE_KEY)
    if base is None:
        return node
    result: Node | None = None
    for entry in base.items if base.items is not None else (base,):
        if not isinstance(entry.value, str) or not entry.value:
            raise InputError(Problem("must be a path or a list of paths", where=str(entry.source), key=BASE_KEY))
        file = Path(entry.value).expanduser()
        file = file if file.is_absolute() else path.parent / file
        if not file.is_file():
            raise InputError(Problem(_missing(file), where=str(entry.source), key=BASE_KEY))
        layer = _load_with_bases(file, (*above, resolved))
        result = layer if result is None else merge(result, layer)
    own = node.without(BASE_KEY)
    return own if result is None else merge(result, own)


def _load_one(path: Path) -> Node:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise InputError(Problem(_missing(path))) from error
    except UnicodeDecodeError as error:
        raise InputError(Problem(f"is not UTF-8 text (byte {error.start}); is it a config?", where=str(path))) from error
    except OSError as error:
        raise InputError(Problem(f"cannot be read: {error.strerror}", where=str(path))) from error
    node = parse(text, lambda line: Source(str(path), line))
    if node.value is None:
        raise InputError(Problem("is empty; a config is a mapping of keys such as `architecture: FCOS`", where=str(path)))
    if node.mapping is None:
        raise InputError(Problem("must be a mapping of keys such as `architecture: FCOS`", where=str(path)))
    return node


def _missing(path: Path) -> str:
    siblings = [file.name for file in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
    hint = nearest(path.name, siblings) if path.parent.is_dir() else f"the folder {path.parent} does not exist"
    return f"there is no file {path}" + (f"; {hint}" if hint else "")


def _describe(error: yaml.MarkedYAMLError) -> str:
    text = " ".join(filter(None, (error.context, error.problem)))
    mark = error.problem_mark
    if "\\t" in repr(error.problem) or "character '\\t'" in text:
        text = "a tab where YAML wants spaces: indent with spaces"
    elif "expected <block end>" in text or "mapping values are not allowed" in text or "could not find expected ':'" in text:
        text += "; look at the indentation of this line and the one before"
    return f"is not YAML: {text}" + (f" (column {mark.column + 1})" if mark else "")


class _Converter:
    """PyYAML's nodes to ours. Aliases are followed, but counted."""

    def __init__(self, loader: Any, source: Callable[[int], Source]) -> None:
        self._loader = loader
        self._source = source
        self._count = 0

    def convert(self, node: yaml.Node, depth: int = 0) -> Node:
        source = self._source(node.start_mark.line + 1)
        self._count += 1
        if self._count > MAX_NODES or depth > MAX_DEPTH:
            what = f"more than {MAX_NODES} values" if self._count > MAX_NODES else f"nested more than {MAX_DEPTH} deep"
            raise InputError(Problem(f"grows to {what} (an alias that repeats itself?)", where=str(source)))
        tag = self._tag(node, source)
        if isinstance(node, yaml.MappingNode):
            return Node(self._mapping(node, depth), source, tag)
        if isinstance(node, yaml.SequenceNode):
            return Node(tuple(self.convert(item, depth + 1) for item in node.value), source, tag)
        if tag is not None:
            if node.value != "":
                raise InputError(Problem(f"!{tag} takes a mapping, a list or nothing, not {node.value!r}", where=str(source)))
            return Node(None, source, tag)
        return Node(self._loader.construct_object(node), source)

    def _tag(self, node: yaml.Node, source: Source) -> str | None:
        tag = node.tag
        if tag.startswith("!") and len(tag) > 1:
            return str(tag[1:])
        name = tag.removeprefix(_STANDARD)
        if name not in ("str", "int", "float", "bool", "null", "map", "seq"):
            text = f"the tag !!{name} is refused: a config holds data, never code"
            raise InputError(Problem(text, where=str(source)))
        return None

    def _mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Node]:
        own: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        for key_node, value_node in node.value:
            where = self._source(key_node.start_mark.line + 1)
            if key_node.tag == f"{_STANDARD}merge":
                parts = value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
                for part in parts:
                    merged = {**(self.convert(part, depth + 1).mapping or {}), **merged}
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                raise InputError(Problem("a key must be a word", where=str(where)))
            key = str(key_node.value)
            if key in own:
                raise InputError(Problem(f"stands twice in one mapping (first at {own[key].source})", where=str(where), key=key))
            value = self.convert(value_node, depth + 1)
            own[key] = replace(value, source=where)  # the line of the key is where a person looks
        return {**merged, **own}
