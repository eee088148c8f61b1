"""Checks of `pretrain_weights` that need not read the weights. Imports no torch, so that `runner config check` answers at once."""

from __future__ import annotations

from pathlib import PurePath

from runner.core.errors import Missing, Problem, nearest
from runner.weights.formats import file_name, suffix_of
from runner.weights.locate import weights_problems
from runner.weights.names import KEY, WeightsName, parse_name

_KNOWN_WEIGHTS = tuple(f"ResNet{depth}_Weights.IMAGENET1K_V1" for depth in (18, 34, 50, 101)) + (
    "ResNet50_Weights.IMAGENET1K_V2",
    "ResNet101_Weights.IMAGENET1K_V2",
    "MobileNet_V3_Large_Weights.IMAGENET1K_V1",
    "MobileNet_V3_Large_Weights.IMAGENET1K_V2",
    "MobileNet_V3_Small_Weights.IMAGENET1K_V1",
)
_ALTERNATIVES = (
    "give null (start from random weights), the path of a .pth, .pt, .safetensors or .pdparams file, or published weights by name"
    " (ResNet50_Weights.IMAGENET1K_V1, PekingU/rtdetr_r18vd) or URL"
)

_PADDLE_OTHERS = {
    ".pdopt": "the state of PaddlePaddle's optimiser, not weights (they are in the .pdparams beside it)",
    ".pdmodel": "an exported PaddlePaddle program, not weights",
    ".pdiparams": "the weights of an exported PaddlePaddle program, which have no names (the .pdparams it was exported from has them)",
}
"""File contents by suffix, of the suffixes that are not read."""
_READ = (".pt", ".pth", ".pdparams", ".safetensors")


def check_weights(source: str | None) -> list[Problem]:
    """Find what is wrong with `pretrain_weights` without reading it: published weights that are not in weights.lock or not on this machine,
    a kind of file that is not read, a file that is not there or not the pinned one."""
    if source is None:
        return []
    name = parse_name(source)
    suffix = suffix_of(file_name(name.url)) if name.kind == "url" else PurePath(name.text).suffix.lower()
    if name.kind == "url" and suffix == ".tar":
        text = f"{name.text} has the ending of PaddleDetection 0.x's weights, which are not read: {_ALTERNATIVES}"
        return [Problem(text, key=KEY)]
    if name.kind in ("file", "url") and suffix in _PADDLE_OTHERS:
        return [Problem(f"{name.text} holds {_PADDLE_OTHERS[suffix]}: {_ALTERNATIVES}", key=KEY)]
    if name.is_published or name.path.is_file():
        return weights_problems(source)
    return [_missing_file(name, suffix)]


def _missing_file(name: WeightsName, suffix: str) -> Problem:
    if name.path.exists():
        text = f"{name.text} is not a file (a folder with one file per parameter, as in PaddleDetection 0.x, is not read): {_ALTERNATIVES}"
        return Problem(text, key=KEY)
    hint = nearest(name.text, _KNOWN_WEIGHTS) if "weights" in name.text.lower() else ""
    kind = Missing if suffix in _READ else Problem
    return kind(f"file {name.text} does not exist; {hint + ' Or ' if hint else ''}{_ALTERNATIVES}", key=KEY)


def is_paddle_file(source: str) -> bool:
    """Return whether `source` has the ending of PaddlePaddle's weights (.pdema: of a run with a moving average, those without it)."""
    return source.lower().endswith((".pdparams", ".pdema"))


def is_weights_name(source: str) -> bool:
    """Return whether `source` has the form of a torchvision weights name."""
    return parse_name(source).kind == "torchvision"
