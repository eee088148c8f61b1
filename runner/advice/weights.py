"""Published weights that are already on this machine: those that torchvision has downloaded before. Imports no torch, downloads nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

RESNET18: Final = "resnet18-f37072fd.pth"
"""File of torchvision's ResNet18_Weights.IMAGENET1K_V1."""


def stored_weights(name: str, environment: Mapping[str, str] = os.environ) -> Path | None:
    """Return the file of this name in the folder where torch keeps its downloads (see `torch.hub.get_dir`); None if it is not there."""
    cache = environment.get("XDG_CACHE_HOME") or "~/.cache"
    home = environment.get("TORCH_HOME") or f"{cache}/torch"
    file = Path(home).expanduser() / "hub" / "checkpoints" / name
    return file if file.is_file() else None
