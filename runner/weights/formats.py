"""Formats of weight files by suffix, and what their first and last bytes say about a file that was just fetched. Nothing is loaded."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

SUFFIXES: Final = (".safetensors", ".pth", ".pt", ".pdparams")
"""Suffixes of the files that can be fetched."""
_MAX_HEADER_BYTES = 100 << 20
"""Largest header that the format safetensors allows."""
_PICKLE, _PICKLE_END, _ZIP = b"\x80", b".", b"PK"


def file_name(url: str) -> str:
    """Return the name of the file at an address."""
    return unquote(urlsplit(url).path).rsplit("/", 1)[-1]


def defect_of(path: Path, suffix: str) -> str:
    """Return what is wrong with a file of this suffix, as the end of a sentence; empty if it looks whole."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        begin = file.read(8)
        file.seek(max(0, size - 1))
        end = file.read(1)
        if begin.lstrip()[:1] == b"<":
            return "is a web page, not weights"
        if suffix == ".safetensors":
            file.seek(8)
            return _safetensors_defect(size, begin, file.read(min(_MAX_HEADER_BYTES, int.from_bytes(begin, "little"))))
    if suffix != ".pdparams" and begin.startswith(_ZIP):
        return "" if zipfile.is_zipfile(path) else "is cut off"
    if not begin.startswith(_PICKLE):
        return f"is no {suffix} file"
    return "is cut off" if suffix == ".pdparams" and end != _PICKLE_END else ""


def _safetensors_defect(size: int, begin: bytes, header: bytes) -> str:
    length = int.from_bytes(begin, "little")
    if len(begin) < 8 or not header.startswith(b"{") or length > _MAX_HEADER_BYTES:
        return "is no .safetensors file"
    try:
        tensors = json.loads(header)
        ends = [int(entry["data_offsets"][1]) for name, entry in tensors.items() if name != "__metadata__"]
    except (ValueError, TypeError, KeyError, AttributeError, LookupError, RecursionError):
        return "is cut off" if len(header) < length else "is no .safetensors file"
    return "" if 8 + length + max(ends, default=0) == size else "is cut off"


def suffix_of(name: str) -> str:
    """Return the suffix of a file name, in lower case."""
    return os.path.splitext(name)[1].lower()
