"""Recognises PaddleDetection's older dialect (0.x), so that its users get an answer and not a list of unknown keys."""

from __future__ import annotations

from runner.config.node import Node
from runner.core.errors import Problem

_OLD_KEYS = {
    "log_smooth_window": "log_iter",
    "_READER_": "_BASE_",
    "max_shape": "",
}
_OLD_TAGS = {"DecodeImage", "ResizeImage", "RandomFlipImage", "ColorDistort", "MixupImage", "RandomShape"}


def older_dialect(tree: Node) -> Problem | None:
    """What tells that this is a 0.x config, as a problem to report; None if nothing does."""
    for key in _OLD_KEYS:
        if (node := tree.get(key)) is not None:
            return _problem(node, key, f"the key {key}")
    for reader in ("TrainReader", "EvalReader", "TestReader"):
        node = tree.get(reader)
        if node is None or node.mapping is None:
            continue
        old = [key for key in ("dataset", "bufsize", "use_process") if key in node.mapping]
        if old:
            return _problem(node.mapping[old[0]], f"{reader}.{old[0]}", f"the key {old[0]} in a reader")
        if (fields := node.get("inputs_def.fields")) is not None:
            return _problem(fields, f"{reader}.inputs_def.fields", "the key inputs_def.fields in a reader")
        for transform in (node.get("sample_transforms") or node).items or ():
            if transform.tag in _OLD_TAGS:
                return _problem(transform, f"{reader}.sample_transforms", f"the transform !{transform.tag}")
    return None


def _problem(node: Node, key: str, sign: str) -> Problem:
    text = (
        f"this is PaddleDetection's older dialect (0.x): {sign} belongs to it. Only the 2.x shape is read "
        "(TrainDataset, sample_transforms as `- Resize: {…}`); docs/config.md lists what each old key is called there"
    )
    return Problem(text, where=str(node.source), key=key)
