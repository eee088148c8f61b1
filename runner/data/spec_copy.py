"""Data spec under a name of its own: several data sets of one format, such as `voc`, side by side."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import yaml

from runner.config.load import parse
from runner.config.node import Source
from runner.core.errors import InputError, Problem
from runner.core.files import atomic_write_text
from runner.core.values import is_stem
from runner.data.proposal import SOURCE, prepare_command
from runner.data.spec import BOX_RULES, NAME, TOO_LONG, DataSpec, find_spec, spec_names


def spec_called(spec: DataSpec, name: str) -> DataSpec:
    """Return `spec` under another name; its file is ``datasets/NAME.yml``, which may exist if it says the same.

    Raises:
        InputError: no valid name, or one that another spec has.
    """
    if not NAME.fullmatch(name):
        raise InputError(f"{name!r} is not a valid name of a data set; allowed: letters, digits, '_', '-' and '.'")
    if not is_stem(name):
        raise InputError(f"--name is {TOO_LONG}")
    if not _is_text(name) or name.endswith((".yml", ".yaml")):
        raise InputError(f"{name!r} cannot be the name of a data set: a config would read something else; expected one such as screws")
    if name not in spec_names():
        return replace(spec, name=name, where="", file=Path("datasets", f"{name}.yml"))
    taken = find_spec(name)
    if taken.hash() != spec.hash():
        text = f"is the spec of the name {name}, and differs from {spec.file} with these options"
        command = prepare_command(name, source=None if taken.generated else SOURCE)
        raise InputError(Problem(f"{text}; choose another name, or prepare it as it is: {command}", str(taken.file)))
    return replace(spec, name=name, file=taken.file)


def _is_text(name: str) -> bool:
    """Return whether ``dataset: NAME`` in a config is a text: not null, a truth value or a number."""
    return isinstance(parse(name, lambda line: Source("", line)).value, str)


def write_spec(spec: DataSpec) -> None:
    """Write the file of a spec, unless it exists. Raises InputError."""
    if spec.file.exists():
        return
    try:
        spec.file.parent.mkdir(exist_ok=True)
        atomic_write_text(
            spec.file, f"# Written by `runner data prepare --name {spec.name}`. datasets/README.md of runner lists the keys.\n{_text(spec)}"
        )
    except OSError as error:
        raise InputError(Problem(f"the data set is prepared, but its spec cannot be written: {error.strerror}", str(spec.file))) from error


def _text(spec: DataSpec) -> str:
    given: dict[str, Any] = {
        "name": spec.name,
        "title": spec.title,
        **({"format": spec.formats[0]} if len(spec.formats) == 1 else {"formats": list(spec.formats)}),
        "classes": list(spec.classes),
        "split": {} if spec.generated else _split(spec),
        "expect": {key: value for key in ("images", "boxes") if (value := getattr(spec, key)) is not None},
        "eval_iou_thresholds": list(spec.eval_iou_thresholds),
        "generate": {key: value for key, value in asdict(spec.generate).items() if value is not None} if spec.generate is not None else {},
        **{key: getattr(spec, key) for key in BOX_RULES},
    }
    filled = {key: value for key, value in given.items() if value}
    return yaml.safe_dump(filled, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120)


def _split(spec: DataSpec) -> dict[str, Any]:
    rule = asdict(spec.split)
    lists = {split: list(names) for split, names in spec.split.lists.items()}
    kept = {key: rule[key] for key in ("by", "val", "seed")} | {key: rule[key] for key in ("group",) if rule[key]}
    return kept | ({} if rule["respect_source"] else {"respect_source": False}) | ({"lists": lists} if lists else {})
