"""Output of ppdet's `load_config` as plain data: the other side of `loader_comparison`.

    PADDLE_PYTHON -P tools/ppdet_config.py ANSWER.json JOBS < files.json

ppdet merges every file into one global mapping, so each file is loaded in a process of its own, forked from one that has imported ppdet.
The trees compared (`tools.loader_comparison` brings ours to the same form):

- A mapping is a dict whose keys are texts, whatever they were (``0:`` is "0"): in our configs a key is a word.
- A tagged object ``!T {x: 1}`` is ``{"!T": {"x": 1}}``. ppdet has made an instance of it by then, from which the arguments cannot be had
  back; so they are taken down while its YAML constructor runs.
- Of the sections that ppdet registers for its modules only what a file set is left; one in which nothing was set is left out, and so is
  ``filename``, which `load_config` itself adds.
- A date, a tuple, and anything else that YAML makes and JSON lacks is ``{"!date": "2020-01-01"}``, ``{"!tuple": "(1, 2)"}``.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from runner.backends.paddle.ppdet import load_ppdet

_TIMEOUT_S = 120  # a config takes 0.1 s
_arguments: dict[int, tuple[Any, str, Any]] = {}
"""id of a tagged object → (the object, so that the id stays its own; its tag; its arguments)."""


def main() -> None:
    """Write a JSON list to the file named first: for each file ``{"tree": …}``, or ``{"error": …}`` where ppdet refuses it."""
    answer, jobs = Path(sys.argv[1]), int(sys.argv[2])
    files = json.load(sys.stdin)
    load_ppdet()
    _take_down_arguments()
    with warnings.catch_warnings(), multiprocessing.get_context("fork").Pool(jobs, maxtasksperchild=1) as pool:
        warnings.simplefilter("ignore", DeprecationWarning)  # Paddle has threads by now; they are not needed to read YAML
        found = pool.imap(_load, files, chunksize=1)
        answer.write_text(json.dumps([found.next(_TIMEOUT_S) for _ in files]), encoding="utf-8")


def _load(path: str) -> dict[str, Any]:
    from ppdet.core import workspace  # noqa: PLC0415

    modules = set(workspace.get_registered_modules())
    try:
        config = workspace.load_config(path)
        given = {key: value for key, value in config.items() if key != "filename" and not (key in modules and value == {})}
        return {"tree": plain(given)}
    except Exception as error:  # noqa: BLE001 - whatever ppdet says to it is the answer
        return {"error": " ".join(f"{type(error).__name__}: {error}".split())}


def plain(value: Any) -> Any:
    """Return the plain form (see the module)."""
    if id(value) in _arguments:
        _, tag, arguments = _arguments[id(value)]
        return {tag: plain(arguments)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if value is None or isinstance(value, str | int | float):
        return value
    return {f"!{type(value).__name__}": str(value)}


def _take_down_arguments() -> None:
    """Make every YAML constructor of ppdet's remember what its object was made from."""
    import yaml  # noqa: PLC0415

    for tag, construct in list(yaml.Loader.yaml_constructors.items()):
        if tag is not None and tag.startswith("!"):
            yaml.Loader.add_constructor(tag, _remembering(construct))


def _remembering(construct: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    import yaml  # noqa: PLC0415

    def remember(loader: Any, node: Any) -> Any:
        arguments: Any = None
        if isinstance(node, yaml.SequenceNode):
            arguments = loader.construct_sequence(node, deep=True)
        elif isinstance(node, yaml.MappingNode):
            arguments = loader.construct_mapping(node, deep=True)
        made = construct(loader, node)
        _arguments[id(made)] = (made, node.tag, arguments)  # not yet in plain form: lists that an alias leads to are filled later
        return made

    return remember


if __name__ == "__main__":
    main()
