"""Weights in a config: the long form of `pretrain_weights`, the digests of weights.lock, and the names that a config file has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from runner.config.legacy import as_newer_dialect
from runner.config.load import find_file, find_named, load_config
from runner.config.node import Node
from runner.core.errors import InputError, Problem, nearest
from runner.weights.locate import locked, weights_problems
from runner.weights.names import KEY, WeightsName, parse_name

_LONG: Final = ("file", "sha256")
_MODULES_OWN = re.compile(r"(https?|ppdet)://\S+\.pdparams(#sha256=[0-9a-f]{64})?")
"""Address of weights that a module of PaddleDetection's loads by itself (``SwinTransformer.pretrained``)."""
_NOT_TRAINED_FROM = "weights"


def with_digests(tree: Node, *, lock: bool) -> tuple[Node, list[Problem]]:
    """Write the long form of `pretrain_weights` as ``FILE#sha256=HEX``, and add to each published name its digest in weights.lock.

    Args:
        lock: False: names are left as they are, for a run's own config, which has the digests already.

    Returns:
        The tree; and what is wrong with the long form, with weights.lock, or with the addresses that modules have. The backend checks
        `pretrain_weights` itself.
    """
    try:
        tree = _with_short_form(tree)
        if lock:
            for key, node in list(_strings(tree, "")):
                text = str(node.value)
                if key == KEY or _is_of_module(key, text):
                    tree = tree.with_node(key, replace(node, value=locked(text)))
    except InputError as error:
        given = tree.get(KEY)
        is_refused = given is not None and given.mapping is not None
        return tree.without(KEY) if is_refused else tree, list(error.problems)  # one reason is enough
    found = [(key, node, str(node.value)) for key, node in _strings(tree, "") if _is_of_module(key, str(node.value))]
    return tree, [replace(problem, where=str(node.source)) for key, node, text in found for problem in weights_problems(text, key)]


def _with_short_form(tree: Node) -> Node:
    """Replace the long form of `pretrain_weights`. Raises InputError."""
    node = tree.get(KEY)
    return tree if node is None or node.mapping is None else tree.with_key(KEY, replace(node, value=_short(node), text=None))


def _short(node: Node) -> str:
    """Return the one-line form of ``{file: …, sha256: …}``. Raises InputError."""
    where, plain = str(node.source), node.plain()
    for name in plain:
        if name not in _LONG:
            raise InputError(Problem(f"unknown key; {nearest(name, _LONG)}", where=where, key=f"{KEY}.{name}"))
    for name in _LONG:
        if not isinstance(plain.get(name), str) or not plain[name]:
            text = "expected a path, a name or a URL" if name == "file" else "expected the SHA-256 of the file, 64 hex digits in quotes"
            raise InputError(Problem(text, where=where, key=f"{KEY}.{name}"))
    if not re.fullmatch("[0-9a-fA-F]{64}", plain["sha256"]):
        raise InputError(Problem(f"{plain['sha256']:.80} is no SHA-256: expected 64 hex digits", where=where, key=f"{KEY}.sha256"))
    return WeightsName(plain["file"], "file").pinned(plain["sha256"].lower())


def names_in_config(path: Path) -> list[str]:
    """Return the published weights that a config names, or a sweep file in its config, its trials and its varied values.

    Raises:
        InputError: a file cannot be read.
    """
    path = find_file(path)
    tree = _with_short_form(as_newer_dialect(load_config(path))[0])
    found = [text for key, node in _strings(tree, "") if (text := _published(key, node))]
    base = tree.get("config")
    if base is not None and isinstance(base.value, str) and tree.get("architecture") is None:
        found = [*names_in_config(find_named(base.value, path)), *found]
    return list(dict.fromkeys(found))


def _published(key: str, node: Node) -> str:
    text = node.value if isinstance(node.value, str) else ""
    if KEY in key.split("."):
        return text if text and parse_name(text).is_published else ""
    return text if _is_of_module(key, text) else ""


def _is_of_module(key: str, text: str) -> bool:
    parts = key.split(".")
    return KEY not in parts and _NOT_TRAINED_FROM not in parts and _MODULES_OWN.fullmatch(text) is not None


def _strings(node: Node, key: str) -> Iterator[tuple[str, Node]]:
    """Yield the dotted keys and nodes of all texts."""
    if isinstance(node.value, str):
        yield key, node
    below = node.mapping.items() if node.mapping is not None else enumerate(node.items or ())
    for name, child in below:
        yield from _strings(child, f"{key}.{name}".lstrip("."))
