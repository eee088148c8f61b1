"""PaddleDetection's older dialect (0.x), recognised and translated into the 2.x shape.

The translation is pure: it reads no file and does not change its input. Every node keeps the file and line it was written at, so that later
problems still point there. The meaning of 0.x's keys, and their defaults, are those of PaddleDetection's release/0.4 (ppdet/).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from runner.config.legacy.explain import explain, summary
from runner.config.legacy.fcos import fcos
from runner.config.legacy.keys import Change, Keys, Odd, TranslationLog, whole, yes_or_no
from runner.config.legacy.parts import Model
from runner.config.legacy.rcnn import faster_rcnn
from runner.config.legacy.reader import has_background, readers
from runner.config.legacy.schedule import learning_rate
from runner.config.legacy.transforms import OPS
from runner.config.legacy.weights import translate_weights
from runner.config.legacy.yolo import targets, yolov3
from runner.config.node import Node, Source, from_plain
from runner.config.overrides import apply_overrides, parse_override
from runner.core.errors import InputError, Problem, nearest

__all__ = ["Change", "Translation", "as_newer_dialect", "explain", "older_dialect", "summary", "translate"]

_OLD_KEYS = ("log_smooth_window", "_READER_", "max_shape")
_OLD_READER_KEYS = ("dataset", "bufsize", "use_process", "drop_empty")
_ARCHITECTURES = {"FCOS": fcos, "FasterRCNN": faster_rcnn, "YOLOv3": yolov3}
_WITH_BACKGROUND = ("FasterRCNN",)


@dataclass(frozen=True, slots=True)
class Translation:
    """A config in the 2.x shape.

    Args:
        tree: the new tree; valid only if there are no problems.
        changes: all changes, in the order architecture, schedule, data, rest.
        problems: what cannot be translated.
    """

    tree: Node
    changes: tuple[Change, ...]
    problems: tuple[Problem, ...]


def older_dialect(tree: Node) -> Problem | None:
    """Return the sign that this is a 0.x config, as a sentence with its place; None without one."""
    for key in _OLD_KEYS:
        if (node := tree.get(key)) is not None:
            return _sign(node, key, f"the key {key}")
    for reader in ("TrainReader", "EvalReader", "TestReader"):
        node = tree.get(reader)
        if node is None or node.mapping is None:
            continue
        for key in _OLD_READER_KEYS:
            if key in node.mapping:
                return _sign(node.mapping[key], f"{reader}.{key}", f"the key {key} in a reader")
        if (fields := node.get("inputs_def.fields")) is not None:
            return _sign(fields, f"{reader}.inputs_def.fields", "the key inputs_def.fields in a reader")
        for transform in (node.get("sample_transforms") or node).items or ():
            if transform.tag in OPS:
                return _sign(transform, f"{reader}.sample_transforms", f"the transform !{transform.tag}")
    return None


def _sign(node: Node, key: str, sign: str) -> Problem:
    return Problem(f"a config in PaddleDetection's older dialect (0.x): {sign} belongs to it", where=str(node.source), key=key)


def translate(tree: Node) -> Translation:
    """Translate `tree`, a config of 0.x with its reader merged under it, into the 2.x shape."""
    record = TranslationLog()
    top = Keys(tree, "", record)
    model = Model(top, record, for_torch=_trains_on_torch(tree), sections={})
    architecture = top.take("architecture")
    name = architecture.value if architecture is not None else None
    if architecture is not None:
        top.new["architecture"] = architecture
        build = _ARCHITECTURES.get(str(name))
        if build is not None:
            build(model)
        else:
            hint = nearest(str(name), tuple(_ARCHITECTURES))
            text = f"{name} of PaddleDetection 0.x is not translated; supported: {', '.join(_ARCHITECTURES)}" + (
                f"; {hint}" if hint else ""
            )
            record.problem(text, architecture, "architecture")
    _weights(top, model, record)
    _classes(top, tree, str(name), record)
    learning_rate(top, model.sections, record)
    if (builder := top.take("OptimizerBuilder")) is not None:
        model.sections["OptimizerBuilder"] = builder
    of_head = targets(model.sections.get("YOLOv3Head"), model.sections.get("YOLOv3Loss")) if name == "YOLOv3" else None
    sections = readers(top, record, of_head, collate=name != "FasterRCNN")
    _rest(top)
    if architecture is not None and str(name) in model.sections:  # the whole before its parts
        model.sections = {str(name): model.sections.pop(str(name)), **model.sections}
    new = {**top.new, **model.sections, **sections}
    return Translation(Node(new, tree.source), tuple(record.changes), tuple(dict.fromkeys(record.problems)))


def as_newer_dialect(tree: Node, overrides: Iterable[str] = (), backend: Any = None) -> tuple[Node, tuple[Change, ...]]:
    """Translate `tree` into the 2.x shape and apply `overrides`, which use 2.x's keys; also return the changes.

    Args:
        overrides: ``KEY=VALUE`` from the command line.
        backend: the backend, where something other than the file and the overrides sets it (a sweep's trial).

    Raises:
        InputError: something cannot be translated, or an override cannot be applied.
    """
    overrides = list(overrides)
    changes: tuple[Change, ...] = ()
    sign = older_dialect(tree)
    if sign is not None:
        chosen = from_plain(backend, Source("-o")) if backend is not None else _overridden_backend(overrides)
        translation = translate(tree if chosen is None else tree.with_key("backend", chosen))
        if translation.problems:
            raise InputError([sign, *translation.problems])
        tree, changes = translation.tree, translation.changes
    return apply_overrides(tree, overrides), changes


def _overridden_backend(overrides: list[str]) -> Node | None:
    """Return the value of the last ``-o backend=…``; where batch norm is configured depends on it."""
    chosen = None
    for text in overrides:
        if text.partition("=")[0].strip() == "backend":
            _, chosen = parse_override(text)
    return chosen


def _trains_on_torch(tree: Node) -> bool:
    backend = tree.get("backend")
    return backend is None or backend.value == "torch"


def _weights(top: Keys, model: Model, record: TranslationLog) -> None:
    node = top.take("pretrain_weights")
    if node is not None:
        top.new["pretrain_weights"] = translate_weights(node, record)


def _classes(top: Keys, tree: Node, architecture: str, record: TranslationLog) -> None:
    """Translate `num_classes`: without the background, which 0.x counts where its data says so."""
    background = has_background(tree)
    if background is None:
        background = architecture in _WITH_BACKGROUND
    if background:
        top.move("num_classes", "num_classes", "2.x counts no background", _one_less)
    top.keep("num_classes")


def _one_less(node: Node) -> int:
    if whole(node) < 2:
        raise Odd("background and at least one class")
    return whole(node) - 1


def _rest(top: Keys) -> None:
    """Translate the other top-level keys. Unknown ones are left for the backend to report."""
    top.drop("values are averaged over log_iter steps", "log_smooth_window")
    top.drop("its file is merged under this one", "_READER_")
    top.drop("2.x has only the fine-grained loss", "use_fine_grained_loss")
    top.drop("2.x leaves out the weights whose shapes do not fit", "finetune_exclude_pretrained_params")
    top.drop("`runner eval` and `runner predict` take it from the command line", "save_prediction_only")
    for key in ("use_fp16", "fp16"):
        top.move(key, "amp", "another name", yes_or_no)
    for key in ("norm_type", "freeze_norm"):
        node = top.take(key)
        if node is not None:
            top.record.problem("not translated at the top level; set it in the sections of the model", node, key)
    for key in list(top.left):
        top.keep(key)
