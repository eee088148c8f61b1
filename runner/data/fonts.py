"""Text in pictures: Pillow's own font, and for characters that it lacks (it has ASCII alone) one of the machine's."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from PIL import ImageDraw, ImageFont

Font = ImageFont.ImageFont | ImageFont.FreeTypeFont

_WIDE_FONTS = (
    *("notosanscjk", "notosanssc", "sourcehansans", "wqy", "droidsansfallback", "msyh", "simhei", "pingfang", "hiragino"),
    *("arial unicode", "arialuni", "notosans-regular", "dejavusans.ttf"),
)
"""Beginnings of the file names of fonts with many characters, in lower case, the preferred ones first."""
_SUFFIXES = frozenset({".ttf", ".ttc", ".otf"})
_MISSING = "\U0010fffe"
"""A character that no font has: it is drawn as the font draws all that it lacks."""


def font(size: int, text: str = "") -> Font:
    """Return Pillow's own font, or, where it lacks a character of `text`, a font of this machine that has them all, if there is one."""
    own = _own(size)
    if text.isascii() or not isinstance(own, ImageFont.FreeTypeFont) or _has(own, text):
        return own
    return next((found for path in _machine_fonts() if (found := _loaded(path, size)) is not None and _has(found, text)), own)


def fit(pen: ImageDraw.ImageDraw, text: str, of: Font, width: float) -> str:
    """Shorten `text` to `width` pixels, with dots at its end."""
    while len(text) > 4 and pen.textlength(text, font=of) > width:
        text = text[:-4] + "..."
    return text


@lru_cache(maxsize=64)
def _own(size: int) -> Font:
    return ImageFont.load_default(size)


@lru_cache(maxsize=64)
def _loaded(path: Path, size: int) -> ImageFont.FreeTypeFont | None:
    try:
        return ImageFont.truetype(path, size)
    except OSError:
        return None


def _has(of: ImageFont.FreeTypeFont, text: str) -> bool:
    missing = _drawn(of, _MISSING)
    return all(character.isspace() or _drawn(of, character) != missing for character in set(text))


def _drawn(of: ImageFont.FreeTypeFont, character: str) -> tuple[tuple[int, int], bytes]:
    mask = of.getmask(character)
    return mask.size, bytes(mask)


@lru_cache(maxsize=1)
def _machine_fonts() -> tuple[Path, ...]:
    """Return the files of `_WIDE_FONTS` on this machine, the preferred ones first."""
    found = [(rank, path) for path in _font_files() if (rank := _rank(path.name.lower())) is not None]
    return tuple(path for _, path in sorted(found))


def _rank(name: str) -> int | None:
    return next((rank for rank, start in enumerate(_WIDE_FONTS) if name.startswith(start)), None)


def _font_files() -> Iterable[Path]:
    home = Path.home()
    if sys.platform == "win32":
        folders = [Path(os.environ.get("WINDIR", "C:/Windows"), "Fonts")]
    elif sys.platform == "darwin":
        folders = [Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library/Fonts"]
    else:
        folders = [Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), home / ".local/share/fonts", home / ".fonts"]
    for folder in folders:
        for place, _, names in os.walk(folder):
            yield from (Path(place, name) for name in names if Path(name).suffix.lower() in _SUFFIXES)
