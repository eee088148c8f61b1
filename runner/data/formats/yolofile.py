"""Reader of a YOLO ``data.yaml`` that keeps names as written: YAML would turn the class NO into false and 007 into 7."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import yaml

from runner.config import plain
from runner.core.errors import InputError, Problem
from runner.core.values import counted
from runner.data.formats.base import read_lines, read_text
from runner.data.formats.splits import split_word

DESCRIPTIONS = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
"""Names of a description (lower case), in the order in which they count."""
_NO_LISTS = ("names", "nc", "path", "kpt_shape")


@dataclass(frozen=True, slots=True)
class Description:
    """Contents of a data.yaml.

    Args:
        file: the file.
        names: the classes in order; empty where it names none.
        root: its ``path``, which the lists are relative to.
        lists: the entries of each list (folders, list files), for the keys that are there and not empty.
        others: the texts of other keys, which are not read.
        keypoints: how many numbers of keypoints follow each box, by its ``kpt_shape``; 0 where it has none.
    """

    file: Path
    names: tuple[str, ...] = ()
    root: str = "."
    lists: dict[str, tuple[str, ...]] = field(default_factory=dict)
    keypoints: int = 0
    others: dict[str, tuple[str, ...]] = field(default_factory=dict)


def read_description(path: Path) -> Description:
    """Read a data.yaml.

    Raises:
        InputError: it is not YAML, or what it says of the classes and lists is not understood.
    """
    try:
        node = plain.compose(read_text(path))
    except yaml.YAMLError as error:
        raise InputError(Problem(f"invalid YAML: {error}", str(path))) from error
    except RecursionError as error:
        raise InputError(Problem("too deeply nested for the description of a data set", str(path))) from error
    if not isinstance(node, yaml.MappingNode):
        raise InputError(Problem("expected a mapping with names, train and val", str(path)))
    values: dict[str, yaml.Node] = {}
    for key, value in node.value:
        name = _text(key, path)
        if name in values and (name in _NO_LISTS or split_word(name)):
            raise InputError(Problem("given twice; keep one of them", f"{path}:{key.start_mark.line + 1}", name))
        values[name] = value
    names = _names(values["names"], path) if "names" in values else ()
    if names and "nc" in values and _text(values["nc"], path, "nc") != str(len(names)):
        text = (
            f"is {_text(values['nc'], path, 'nc')}, but names has {counted(len(names), 'class')}: {', '.join(names)}; correct one of them"
        )
        raise InputError(Problem(text, f"{path}:{values['nc'].start_mark.line + 1}", "nc"))
    lists = {key: _texts(value, path, key) for key, value in values.items() if split_word(key)}
    others = {key: _scalars(value) for key, value in values.items() if key not in lists and key not in _NO_LISTS}
    root = _texts(values["path"], path, "path") if "path" in values else ()
    filled = {key: entries for key, entries in lists.items() if entries}
    return Description(path, names, root[0] if root else ".", filled, _keypoints(values, path), others)


def describes_lists(path: Path) -> bool:
    """Return whether a YAML file of any name has the keys of a data.yaml: names, and a list."""
    try:
        node = plain.compose(read_text(path))
    except (yaml.YAMLError, InputError, RecursionError):
        return False
    keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)] if isinstance(node, yaml.MappingNode) else []
    return "names" in keys and any(split_word(key) for key in keys)


def descriptions_beside(file: Path) -> list[str]:
    """List the names of the other YAML files in its folder that may be read as the description of a source."""
    others = [path for path in sorted(file.parent.iterdir()) if path.suffix.lower() in (".yaml", ".yml") and path != file]
    return [path.name for path in others if path.name.lower() in DESCRIPTIONS or describes_lists(path)]


def _scalars(node: yaml.Node) -> tuple[str, ...]:
    nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
    return tuple(str(one.value) for one in nodes if isinstance(one, yaml.ScalarNode) and one.value)


def _keypoints(values: dict[str, yaml.Node], path: Path) -> int:
    key = "kpt_shape"
    texts = _texts(values[key], path, key) if key in values else ()
    if not texts:
        return 0
    if len(texts) != 2 or not texts[0].isdecimal() or len(texts[0]) > 4 or texts[1] not in ("2", "3"):
        text = f"expected [number of keypoints, 2 or 3], got {', '.join(texts)}"
        raise InputError(Problem(text, f"{path}:{values[key].start_mark.line + 1}", key))
    return int(texts[0]) * int(texts[1])


def read_class_file(path: Path) -> tuple[str, ...]:
    """Return the classes of a classes.txt or obj.names: one per line, whose number is its place.

    Raises:
        InputError: a blank line between them (the numbers after it would shift), or a class twice.
    """
    lines = read_lines(path)
    for place, (number, _) in enumerate(lines, start=1):
        if number != place:
            raise InputError(Problem("blank line, which leaves the numbers of the classes after it open; remove it", f"{path}:{place}"))
    return _distinct([line for _, line in lines], path)


def _names(node: yaml.Node, path: Path) -> tuple[str, ...]:
    where = f"{path}:{node.start_mark.line + 1}"
    _refuse_tag(node, path, "names")
    if isinstance(node, yaml.MappingNode):
        by_number: dict[int, str] = {}
        for key, value in node.value:
            number = _text(key, path, "names")
            if not number.isdecimal() or len(number) > 9 or int(number) in by_number:
                text = f"expected names numbered 0 to {len(node.value) - 1}, each once, got {number!r}"
                raise InputError(Problem(text, f"{path}:{key.start_mark.line + 1}"))
            by_number[int(number)] = _text(value, path, "names")
        if sorted(by_number) != list(range(len(by_number))):
            raise InputError(Problem(f"expected names numbered 0 to {len(by_number) - 1}, got {sorted(by_number)}", where))
        names = [by_number[number] for number in range(len(by_number))]
    elif isinstance(node, yaml.SequenceNode):
        names = [_text(item, path, "names") for item in node.value]
    else:
        raise InputError(Problem(f"expected names to be a list of class names, got {node.value!r}", where))
    if not names:
        raise InputError(Problem("expected names to be a list of class names, got an empty one", where))
    return _distinct(names, path)


def _distinct(names: list[str], path: Path) -> tuple[str, ...]:
    first: dict[str, int] = {}
    for place, name in enumerate(names):
        if not name.strip():
            raise InputError(Problem(f"class number {place} has no name", str(path)))
        if first.setdefault(name, place) != place:
            raise InputError(Problem(f"class {name!r} is given twice, as number {first[name]} and {place}; rename one", str(path)))
    return tuple(names)


def _texts(node: yaml.Node, path: Path, key: str) -> tuple[str, ...]:
    """Return a text or a list of texts; nothing for null."""
    if isinstance(node, yaml.SequenceNode):
        return tuple(_text(item, path, key) for item in node.value)
    if node.tag == "tag:yaml.org,2002:null" or node.value == "":
        return ()
    return (_text(node, path, key),)


def _refuse_tag(node: yaml.Node, path: Path, key: str) -> None:
    if node.tag.startswith("!") or "python" in node.tag:
        raise InputError(Problem(f"tag {node.tag} is not allowed in a description of data", f"{path}:{node.start_mark.line + 1}", key))


def _text(node: yaml.Node, path: Path, key: str = "") -> str:
    """Return the scalar as it is written, without quotes."""
    _refuse_tag(node, path, key)
    if not isinstance(node, yaml.ScalarNode):
        raise InputError(Problem("expected a string, got a list or mapping", f"{path}:{node.start_mark.line + 1}", key))
    return str(node.value)
