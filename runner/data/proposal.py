"""Command lines of `runner data prepare`, for messages that propose one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runner.core.values import shell_path
from runner.data.manifest import Manifest

SOURCE = "FOLDER_OR_ARCHIVE"
"""Stands for a source that is not known."""


def prepare_command(
    name: str | Path,
    *,
    source: Path | str | None,
    options: Mapping[str, Any] | None = None,
    called: str | None = None,
    force: bool = False,
) -> str:
    """Return the command that prepares a data set; the arguments are those of `runner.data.prepare.prepare`."""
    words = [f"runner data prepare {shell_path(name)}"]
    words += [f"--source {shell_path(source)}"] if source is not None else []
    words += [f"--{key.replace('_', '-')} {value}" for key, value in (options or {}).items()]
    words += [f"--name {shell_path(called)}"] if called is not None else []
    words += ["--force"] if force else []
    return " ".join(words)


def prepare_again(name: str | Path, manifest: Manifest) -> str:
    """Return the command that prepares a set anew, with its options and, where it is still there, from its source."""
    there = bool(manifest.source) and Path(manifest.source).exists()
    source = None if manifest.generated else manifest.source if there else SOURCE
    return prepare_command(name, source=source, options=manifest.options, force=True)
