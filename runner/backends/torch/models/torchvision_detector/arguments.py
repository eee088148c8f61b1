"""Arguments that the installed torchvision takes, read from its source: which there are, and of what type. Imports no torch.

A function such as `fasterrcnn_resnet50_fpn(**kwargs)` passes what it does not know itself to the class that it returns, which passes the
rest to GeneralizedRCNNTransform, which ignores what it does not know. So the function's own arguments and the class's are taken, and
nothing of what follows.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from runner.core.errors import nearest

_NUMBER_LISTS: Final = {"bbox_reg_weights": 4}
"""Lists of numbers that have neither annotation nor default, and their lengths."""
_READER: Final = "only the reader resizes, normalises and pads (TrainReader, EvalReader); the model's own transform is switched off"
RESERVED: Final = {
    "num_classes": "it is the top-level num_classes, to which the background is added where the model has one",
    "weights": "first weights are named by pretrain_weights",
    "weights_backbone": "first weights are named by pretrain_weights",
    "progress": "nothing is downloaded",
    "min_size": _READER,
    "max_size": _READER,
    "image_mean": _READER,
    "image_std": _READER,
    "size_divisible": _READER,
    "fixed_size": _READER,
    "size": _READER,
}
"""Arguments that a config must not give, and why."""


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a function or class.

    Args:
        name: as in torchvision.
        kind: int, float, bool, list (of numbers), or object where YAML cannot write a value.
        default: None where it has none, or one that is not a number.
    """

    name: str
    kind: str
    default: Any = None


def torchvision_folder() -> Path | None:
    """Find the folder of the installed torchvision without importing it; None if it is not installed."""
    spec = importlib.util.find_spec("torchvision")
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    return Path(places[0]) if places else None


@functools.cache
def arguments_of(model: str, folder: Path) -> Mapping[str, Argument]:
    """Return the arguments of a function or class of torchvision.models.detection, by name; empty if there is no such one.

    Args:
        model: its name.
        folder: of torchvision, see `torchvision_folder`.
    """
    definition = _definition(model, folder)
    if isinstance(definition, ast.ClassDef):
        return _of_class(definition)
    if definition is None:
        return {}
    made = definition.returns
    cls = _definition(made.id, folder) if isinstance(made, ast.Name) else None
    own = {one.name: one for one in _of_function(definition)}
    return {**(_of_class(cls) if isinstance(cls, ast.ClassDef) else {}), **own}


@functools.cache
def weights_of(model: str, folder: Path) -> tuple[str, ...]:
    """Return the names of the weights classes that a function takes: for the whole model, and for the backbone."""
    definition = _definition(model, folder)
    if not isinstance(definition, ast.FunctionDef):
        return ()
    annotations = {one.arg: one.annotation for one in _all_arguments(definition)}
    nodes = [node for name in ("weights", "weights_backbone") if (one := annotations.get(name)) is not None for node in ast.walk(one)]
    return tuple(node.id for node in nodes if isinstance(node, ast.Name) and "Weights" in node.id)


def _definition(name: str, folder: Path) -> ast.FunctionDef | ast.ClassDef | None:
    """Find the top-level definition of a name in torchvision.models.detection."""
    for path in sorted((folder / "models" / "detection").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        if f"\ndef {name}(" in text or f"\nclass {name}(" in text:
            for node in ast.parse(text).body:
                if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
                    return node
    return None


def _of_class(definition: ast.ClassDef) -> dict[str, Argument]:
    starts = [node for node in definition.body if isinstance(node, ast.FunctionDef) and node.name == "__init__"]
    return {one.name: one for start in starts for one in _of_function(start)}


def _all_arguments(function: ast.FunctionDef) -> list[ast.arg]:
    return [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]


def _of_function(function: ast.FunctionDef) -> Iterator[Argument]:
    positional = [*function.args.posonlyargs, *function.args.args]
    defaults: list[ast.expr | None] = [*([None] * (len(positional) - len(function.args.defaults))), *function.args.defaults]
    for arg, given in zip(_all_arguments(function), [*defaults, *function.args.kw_defaults], strict=True):
        default = _literal(given)
        if arg.arg != "self":
            yield Argument(arg.arg, _kind(arg.arg, arg.annotation, default), default)


def _literal(node: ast.expr | None) -> Any:
    try:
        return None if node is None else ast.literal_eval(node)
    except ValueError:  # a name or a call
        return None


def _kind(name: str, annotation: ast.expr | None, default: Any) -> str:
    text = "" if annotation is None else ast.unparse(annotation).replace("Optional[", "").replace(" | None", "").rstrip("]")
    if text in ("int", "float", "bool"):
        return text
    if name in _NUMBER_LISTS or text.startswith(("list[float", "list[int", "tuple[float", "tuple[int")):
        return "list"
    if annotation is None and isinstance(default, bool | int | float):
        return type(default).__name__
    return "list" if annotation is None and isinstance(default, list | tuple) else "object"


def argument_problem(model: str, name: str, value: Any, known: Mapping[str, Argument], version: str) -> str:
    """Say what is wrong with an argument that a config gives; empty if nothing is.

    Args:
        model: name of the function or class.
        name: the argument's.
        value: from YAML.
        known: see `arguments_of`.
        version: torchvision's, for the message.
    """
    if name in RESERVED:
        return f"cannot be given: {RESERVED[name]}"
    found = known.get(name)
    usable = sorted(one.name for one in known.values() if one.kind != "object" and one.name not in RESERVED)
    if found is None:
        return f"{model} of torchvision {version} has no argument {name!r}; {nearest(name, usable) or 'it has ' + ', '.join(usable)}"
    if found.kind == "object":
        hint = "; the sizes of anchors are set by anchors: {sizes: …}" if "anchor" in name else ""
        return f"cannot be given: {model} takes an object of Python's there, which a config cannot hold{hint}"
    expected, fits = _expected(found, value)
    return "" if fits else f"expected {expected}, got {value!r}"


def _expected(argument: Argument, value: Any) -> tuple[str, bool]:
    """Describe the values that an argument takes, and say whether `value` is one."""
    name, kind = argument.name, argument.kind
    if kind == "bool":
        return "true or false", isinstance(value, bool)
    if kind == "list":
        length = _NUMBER_LISTS.get(name)
        fits = isinstance(value, list) and all(map(_is_number, value)) and length in (None, len(value))
        return f"a list of {length} numbers" if length else "a list of numbers", fits
    if kind == "int":
        low = 0 if name == "trainable_backbone_layers" else 1
        return f"an integer (at least {low})", _is_number(value) and isinstance(value, int) and value >= low
    if name.endswith("_fraction"):  # torchvision divides by it
        return "a number (more than 0 and at most 1)", _is_number(value) and 0 < value <= 1
    if name.endswith("_thresh"):
        return "a number (from 0 to 1)", _is_number(value) and 0 <= value <= 1
    return "a number (more than 0)", _is_number(value) and value > 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
