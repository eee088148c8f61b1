"""Names of initial weights as a config writes them: a file, a name of torchvision's, a model of the hub, or a URL; each may be pinned to
a content, ``NAME#sha256=HEX``.
"""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

KEY: Final = "pretrain_weights"
PADDLE_STORE: Final = "https://paddledet.bj.bcebos.com/"
"""PaddleDetection's model store, which it calls ``ppdet://``."""

Kind = Literal["file", "torchvision", "hub", "url"]

_PIN = re.compile(r"(.+)#sha256=([0-9a-fA-F]{64})", re.DOTALL)
_TORCHVISION = re.compile(r"\w+_Weights\.\w+")
_HUB = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}(@[\w.-]{1,100})?")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://.+", re.DOTALL)
_OF_FILES = frozenset(
    ".pt .pth .pdparams .pdema .pdopt .pdmodel .pdiparams .safetensors .tar .ckpt .bin .onnx .pkl .h5 .npz .yml .yaml".split()
)
"""Suffixes with which a text is a path, also where the file does not exist."""


@dataclass(frozen=True, slots=True)
class WeightsName:
    """Parsed value of `pretrain_weights`.

    Args:
        text: as written, without the pin.
        kind: file: a path; torchvision: ``ResNet50_Weights.IMAGENET1K_V1``; hub: ``owner/model`` or ``owner/model@revision``; url: with a
            scheme.
        sha256: 64 hex digits that the content must have; empty if it is not pinned.
    """

    text: str
    kind: Kind
    sha256: str = ""

    @property
    def is_published(self) -> bool:
        """True for everything but a path: weights.lock says what it is."""
        return self.kind != "file"

    @property
    def url(self) -> str:
        """The address of a URL, with ``ppdet://`` replaced by what PaddleDetection means by it; empty for the other kinds."""
        if self.kind != "url":
            return ""
        return PADDLE_STORE + self.text.removeprefix("ppdet://") if self.text.startswith("ppdet://") else self.text

    @property
    def path(self) -> Path:
        """The path of a file; the suffix ``.pdparams`` may be left out, as in PaddleDetection."""
        path = Path(self.text).expanduser()
        longer = path.with_name(f"{path.name}.pdparams") if path.name else path
        return longer if not path.is_file() and longer.is_file() else path

    @property
    def command(self) -> str:
        """The command that gets these weights."""
        pin = f"#sha256={self.sha256}" if self.sha256 else ""
        return f"runner weights fetch {shlex.quote(self.text + pin)}"

    def pinned(self, sha256: str) -> str:
        """Return the text with a digest."""
        return f"{self.text}#sha256={sha256}"


def parse_name(text: str) -> WeightsName:
    """Parse a value of `pretrain_weights`. ``a/b`` is a path if there is such a file or folder, otherwise a model of the hub."""
    found = _PIN.fullmatch(text)
    body, sha256 = (found[1], found[2].lower()) if found else (text, "")
    return WeightsName(body, _kind(body), sha256)


def without_pin(text: str) -> str:
    """Return a value of `pretrain_weights` as its author wrote it."""
    found = _PIN.fullmatch(text)
    return found[1] if found else text


def short_pin(text: str) -> str:
    """Return a pinned name with 8 digits of its digest, for tables."""
    found = _PIN.fullmatch(text)
    return f"{found[1]}#sha256={found[2][:8]}…" if found else text


def _kind(text: str) -> Kind:
    if _TORCHVISION.fullmatch(text):
        return "torchvision"
    if _URL.fullmatch(text):
        return "url"
    path = os.path.expanduser(text)
    is_path = os.path.splitext(text)[1].lower() in _OF_FILES or os.path.lexists(path) or os.path.lexists(f"{path}.pdparams")
    return "hub" if not is_path and _HUB.fullmatch(text) else "file"
