"""Loads Paddle and ppdet 2.6.0, and mends what is wrong with them: the one place for it. Each mend names what it is for."""

from __future__ import annotations

import functools
import os
import sys
import warnings
from collections.abc import Callable
from typing import Any

_loaded = False


def load_ppdet() -> None:
    """Import Paddle and ppdet in an order that works, once a process. Takes about 5 seconds.

    Raises:
        ImportError: they are not in this interpreter's environment, or not whole.
    """
    global _loaded
    if _loaded:
        return
    import zlib  # noqa: F401, PLC0415 - loaded after paddle 3.3.1 it takes functions from paddle's own copy of it, and crashes

    os.environ.setdefault("GLOG_minloglevel", "2")
    with warnings.catch_warnings():  # ppdet 2.6.0 switches warnings off for the whole process
        warnings.simplefilter("ignore")
        import paddle  # noqa: F401, PLC0415
    _never_download()
    _count_proposals_as_vectors()
    _build_heads_as_wide_as_their_features()
    _loaded = True


def _never_download() -> None:
    """ppdet 2.6.0 answers a data path that does not exist by fetching COCO (ppdet/utils/download.py). The config's check has looked at
    the paths; whatever still fails must fail here."""
    from ppdet.data.source import dataset  # noqa: PLC0415

    def existing(path: str, _annotation: str, _image_dir: str) -> str:
        return path

    dataset.get_dataset_path = existing


def _count_proposals_as_vectors() -> None:
    """ppdet 2.6.0's RPN joins the number of proposals of each image with `concat`, which takes no 0-D tensors since Paddle 2.5
    (PaddleDetection PR 8112, 8423)."""
    import paddle  # noqa: PLC0415
    from ppdet.modeling.proposal_generator import rpn_head  # noqa: PLC0415

    def concat(x: Any, axis: Any = 0, name: str | None = None) -> Any:
        return paddle.concat([one.reshape([1]) if one.ndim == 0 else one for one in x], axis, name)

    rpn_head.paddle = _Instead(paddle, concat=concat)


def _build_heads_as_wide_as_their_features() -> None:
    """ppdet 2.6.0's FCOSHead builds its last convolutions for 256 channels, whatever `feat_out` its FCOSFeat has."""
    from ppdet.modeling.heads import fcos_head  # noqa: PLC0415

    original, nn = fcos_head.FCOSHead.__init__, fcos_head.nn

    @functools.wraps(original)
    def build(self: Any, *args: Any, **options: Any) -> None:
        width = getattr(options.get("fcos_feat"), "feat_out", 256)
        fcos_head.nn = _Instead(nn, Conv2D=lambda in_channels, **others: nn.Conv2D(in_channels=width, **others))
        try:
            original(self, *args, **options)
        finally:
            fcos_head.nn = nn

    fcos_head.FCOSHead.__init__ = build


class _Instead:
    """A module with some of its names replaced, for one that imported it."""

    def __init__(self, module: Any, **names: Any) -> None:
        self._module = module
        self.__dict__.update(names)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


def quiet(call: Callable[[], Any]) -> Any:
    """`call()` with what it prints sent to stderr (ppdet prints to stdout while it builds models)."""
    out, sys.stdout = sys.stdout, sys.stderr
    try:
        return call()
    finally:
        sys.stdout = out
