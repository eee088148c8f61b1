"""Keys that the installed transformers declares for a config class: names, types and defaults, read from its source.

Importing a config class of the library loads torch, which takes seconds and which `runner config check` may be without. The classes are
plain dataclasses whose annotations say everything, so their source is read instead.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union

from runner.backends.torch.models.transformers_detector.families import ConfigClass

_SCALARS: Mapping[str, Any] = {"int": int, "float": float, "str": str, "bool": bool, "None": type(None)}
_LEVELS: Mapping[str, Any] = {"out_indices": tuple[int, ...] | None, "out_features": tuple[str, ...] | None}


@dataclass(frozen=True, slots=True)
class Declared:
    """A declared key.

    Args:
        type: as `runner.config.bind` takes it; Any where the annotation says more than that can check.
        default: its value; None too where it is computed.
    """

    type: Any
    default: Any


@functools.cache
def library_folder() -> Path | None:
    """Return the folder of the installed transformers, without importing it; None where it is not installed."""
    found = importlib.util.find_spec("transformers")
    return Path(found.origin).parent if found is not None and found.origin is not None else None


@functools.cache
def declared_keys(cls: ConfigClass) -> Mapping[str, Declared]:
    """Return the keys that a config class declares itself. A backbone's levels, which it declares as private, are under their public names.

    Raises:
        FileNotFoundError: the installed version has no such class.
    """
    body = _class_body(f"models/{cls.folder}/{cls.module}.py", cls.name)
    keys = {}
    for item in body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name) and not _is_class_variable(item.annotation):
            keys[item.target.id] = Declared(_type_of(item.annotation), _value_of(item.value))
    if "backbone_config" in keys:
        return keys
    private = [name for name in keys if name.startswith("_")]
    return {name: key for name, key in keys.items() if name not in private} | {name: Declared(kind, None) for name, kind in _LEVELS.items()}


@functools.cache
def activation_names() -> tuple[str, ...]:
    """Return the names of the activation functions that the installed version knows."""
    for item in _tree("activations.py").body:
        if isinstance(item, ast.Assign) and isinstance(item.targets[0], ast.Name) and item.targets[0].id == "ACT2CLS":
            if isinstance(item.value, ast.Dict):
                return tuple(key.value for key in item.value.keys if isinstance(key, ast.Constant) and isinstance(key.value, str))
    return ()


def _tree(file: str) -> ast.Module:
    folder = library_folder()
    if folder is None:
        raise FileNotFoundError(file)
    return ast.parse((folder / file).read_text(encoding="utf-8"))


def _class_body(file: str, name: str) -> Sequence[ast.stmt]:
    for item in _tree(file).body:
        if isinstance(item, ast.ClassDef) and item.name == name:
            return item.body
    raise FileNotFoundError(f"{file}: {name}")


def _is_class_variable(annotation: ast.expr) -> bool:
    return "ClassVar" in ast.unparse(annotation)


def _value_of(node: ast.expr | None) -> Any:
    try:
        return None if node is None else ast.literal_eval(node)
    except ValueError:
        return None


def _type_of(node: ast.expr) -> Any:
    """Translate an annotation to a type that `runner.config.bind` takes: every sequence is a tuple of any length."""
    members = list(dict.fromkeys(_members(node)))
    if float in members and int in members:  # bind takes an integer for a float
        members.remove(int)
    return Any if Any in members else Union[tuple(members)]  # noqa: UP007 - made of values


def _members(node: ast.expr) -> Iterator[Any]:
    if isinstance(node, ast.BinOp):
        yield from _members(node.left)
        yield from _members(node.right)
    elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id in ("list", "tuple", "Sequence"):
        arguments = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        elements = [_type_of(item) for item in arguments if not (isinstance(item, ast.Constant) and item.value is ...)]
        yield types.GenericAlias(tuple, (Union[tuple(elements)], ...))  # noqa: UP007 - made of values
    elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "Literal":
        yield Literal[ast.literal_eval(node.slice)]
    else:
        yield _SCALARS.get(ast.unparse(node), Any)
