"""Directories written by an older version, each test with a copy of its own (see README.md)."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
Unpack = Callable[[str], Path]

_SWEEP_KEYS = {"couple": "derive", "join_best": "combine_best", "confirm": "confirm_seeds"}


@pytest.fixture
def unpack(tmp_path: Path) -> Unpack:
    """``unpack("finished")``: the folder in tmp_path, its files as the older version left them."""

    def extract(name: str) -> Path:
        with tarfile.open(HERE / f"{name}.tar.gz") as archive:
            archive.extractall(tmp_path, filter="data")
        return tmp_path / name

    return extract


def rename_keys(sweep_file: Path) -> None:
    """Do to a sweep file of the user's what its messages ask for."""
    text = sweep_file.read_text(encoding="utf-8")
    for old, new in _SWEEP_KEYS.items():
        text = re.sub(rf"^{old}:", f"{new}:", text, flags=re.M)
    text = re.sub(r"(?<=^resources:\n)  memory_gb:", "  memory_gib:", text, flags=re.M)
    sweep_file.write_text(text.replace("resource/memory_gb", "resource/memory_gib"), encoding="utf-8")
