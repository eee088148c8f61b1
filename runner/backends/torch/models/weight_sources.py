"""Checks of `pretrain_weights` that need not read the weights. Imports no torch, so that `runner config check` answers at once."""

from __future__ import annotations

import re
from pathlib import Path

from runner.core.errors import Missing, Problem, nearest

_WEIGHTS_NAME = re.compile(r"\w+_Weights\.\w+")
_KNOWN_WEIGHTS = tuple(f"ResNet{depth}_Weights.IMAGENET1K_V1" for depth in (18, 34, 50, 101)) + (
    "ResNet50_Weights.IMAGENET1K_V2",
    "ResNet101_Weights.IMAGENET1K_V2",
    "MobileNet_V3_Large_Weights.IMAGENET1K_V1",
    "MobileNet_V3_Large_Weights.IMAGENET1K_V2",
    "MobileNet_V3_Small_Weights.IMAGENET1K_V1",
)
_ALTERNATIVES = (
    "give null (start from random weights), the path of a .pth, .pt or .pdparams file, or a torchvision weights name such as"
    " ResNet50_Weights.IMAGENET1K_V1"
)

_PADDLE_OTHERS = {
    ".pdopt": "the state of PaddlePaddle's optimiser, not weights (they are in the .pdparams beside it)",
    ".pdmodel": "an exported PaddlePaddle program, not weights",
    ".pdiparams": "the weights of an exported PaddlePaddle program, which have no names (the .pdparams it was exported from has them)",
}
"""File contents by suffix, of the suffixes that are not read."""


def check_weights(source: str | None) -> list[Problem]:
    """Find what is wrong with `pretrain_weights` without reading it: a URL, a kind of file that is not read, a file that is not there."""
    key = "pretrain_weights"
    if source is None or is_weights_name(source):
        return []
    if "://" in source:
        return [Problem(f"{source} is a URL, and nothing is downloaded from URLs: {_of_paddle(source)}{_ALTERNATIVES}", key=key)]
    suffix = Path(source).suffix.lower()
    if suffix in _PADDLE_OTHERS:
        return [Problem(f"{source} holds {_PADDLE_OTHERS[suffix]}: {_ALTERNATIVES}", key=key)]
    if suffix == ".safetensors":
        return [Problem(f"{source}: safetensors files are not read: save the tensors with torch.save, or {_ALTERNATIVES}", key=key)]
    path = Path(source).expanduser()
    if path.is_file():
        return []
    if path.exists():
        return [
            Problem(
                f"{source} is not a file (a folder with one file per parameter, as in PaddleDetection 0.x, is not read): {_ALTERNATIVES}",
                key=key,
            )
        ]
    hint = nearest(source, _KNOWN_WEIGHTS) if "weights" in source.lower() else ""
    kind = Missing if suffix in (".pt", ".pth", ".pdparams") else Problem
    return [kind(f"file {source} does not exist; {hint + ' Or ' if hint else ''}{_ALTERNATIVES}", key=key)]


def _of_paddle(url: str) -> str:
    """Return what to do where PaddleDetection would download `url`; empty if the URL is not one of its own."""
    if url.endswith(".tar"):
        return "it has the ending of PaddleDetection 0.x's weights, which are not read; of the .pdparams of 2.x give the path, or "
    if is_paddle_file(url) or url.startswith("ppdet://"):
        return "download it and give the path of the file, train with backend: paddle, or "
    return ""


def is_paddle_file(source: str) -> bool:
    """Return whether `source` has the ending of PaddlePaddle's weights (.pdema: of a run with a moving average, those without it)."""
    return source.lower().endswith((".pdparams", ".pdema"))


def is_weights_name(source: str) -> bool:
    """Return whether `source` has the form of a torchvision weights name."""
    return _WEIGHTS_NAME.fullmatch(source) is not None


def weights_hint(name: str) -> str:
    """Name the nearest torchvision weights that a backbone here can take."""
    return nearest(name, _KNOWN_WEIGHTS)
