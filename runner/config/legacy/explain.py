"""Description of a translation in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from runner.config.legacy.keys import Change
from runner.core.values import format_value

_WIDTH = 110


def summary(changes: Sequence[Change], path: Path | str) -> str:
    """Write the one note about a translated config."""
    return f"translated from PaddleDetection's older dialect: {len(changes)} changes; `runner config show -c {path} --explain` lists them"


def explain(changes: Sequence[Change], path: Path | str) -> Iterator[str]:
    """Yield lines: each change with its place, then its reason, in the order of the files' lines."""
    if not changes:
        yield f"{path}: nothing to translate"
        return
    yield f"{path}: translated from PaddleDetection's older dialect (0.x), {len(changes)} changes"
    files = list(dict.fromkeys([str(path), *(change.where.file for change in changes)]))
    for change in sorted(changes, key=lambda change: (files.index(change.where.file), change.where.line)):
        before = _side(change.key_before, change.value_before) or "(not given)"
        after = _side(change.key_after, change.value_after) or "(dropped)"
        here = f"line {change.where.line}" if change.where.file == str(path) and change.where.line else str(change.where)
        yield ""
        yield f"{here}: {before} → {after}"
        yield f"    {change.why}"


def _side(key: str, value: Any) -> str:
    if not key or value is None:
        return key
    text = f"{key}: {format_value(value)}"
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"
