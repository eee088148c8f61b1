"""media.jsonl and media/: the files that a run makes besides numbers, and their index.

    {"step": 200, "epoch": 1.5, "tag": "samples/0", "kind": "image", "file": "media/samples_0-00000200.png"}

| kind      | file                                                                       |
| --------- | -------------------------------------------------------------------------- |
| image     | PNG                                                                        |
| text      | UTF-8, `.txt` or `.md`                                                     |
| histogram | JSON: `edges`, ascending, one more than `counts`                           |
| embedding | TSV: a vector per line; labels in the first column if it is no number      |
| graph     | JSON: `nodes` (each with `id`, `name`, `type`) and `edges` (pairs of ids)  |

The attempt is the only writer. A file is complete before the index names it, and each index line is a single write, so a kill leaves
nothing that readers could misread. As in metrics.jsonl, an attempt first records where it continues: ``{"step": 120, "resumed":
true}`` supersedes every file of a later step.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import starmap
from pathlib import Path, PurePosixPath
from typing import IO, Annotated, Any, Final, Literal

from runner.core.files import atomic_open, open_lines, parse_json, read_lines
from runner.core.typed import Check, Count, Moment, build
from runner.core.values import is_name, safe_name
from runner.store import legacy

MediaKind = Literal["image", "histogram", "embedding", "graph", "text"]
FOLDER: Final = "media"


def _is_media_file(file: str) -> bool:
    """Return whether a name in the index is that of a file in the folders of media: a resumed run deletes what it supersedes."""
    folder, *rest = file.split("/")
    return folder in (FOLDER, legacy.SAMPLES) and bool(rest) and all(is_name(part) and "\\" not in part for part in rest)


@dataclass(frozen=True, slots=True)
class Medium:
    """A file that a run has made: a line of media.jsonl.

    Args:
        step: optimiser steps finished when it was made.
        tag: what it shows: ``samples/0`` is the same picture at every step.
        kind: decides what is in the file (see the module).
        file: its path in the run directory, parts joined by ``/``; always below ``media/`` (``samples/`` in old runs).
        epoch: epochs finished, as a fraction; None where it was not recorded.
    """

    step: Count
    tag: str
    kind: MediaKind
    file: Annotated[str, Check(_is_media_file)]
    epoch: Moment | None = None


@dataclass(frozen=True, slots=True)
class _Mark:
    """The line an attempt writes first: it continues from `step`."""

    step: Count
    resumed: Literal[True]


class MediaWriter:
    """Adds files to a run directory and lines to its index.

    Args:
        run: the run directory.
    """

    def __init__(self, run: Path) -> None:
        self._run = run
        self._index: IO[bytes] | None = None

    def resume(self, step: int) -> None:
        """Supersede and delete the files of later steps than `step`. Nothing is written if the run has no media yet."""
        later = [medium for medium in read_media(self._run) if medium.step > step]
        if later:
            self._append({"step": step, "resumed": True})
        for medium in later:
            (self._run / medium.file).unlink(missing_ok=True)

    def add(self, kind: MediaKind, tag: str, data: bytes, *, suffix: str, step: int, epoch: float | None = None) -> Path:
        """Save `data` to a file and return its path.

        Args:
            suffix: of its name: ``.png``.
        """
        file = f"{FOLDER}/{_file_name(tag)}-{step:08d}{suffix}"
        path = self._run / file
        path.parent.mkdir(exist_ok=True)
        with atomic_open(path, durable=False) as opened:
            opened.write(data)
        self._append(asdict(Medium(step, tag, kind, file, epoch)))
        return path

    def close(self) -> None:
        """Close the index."""
        if self._index is not None:
            self._index.close()
            self._index = None

    def _append(self, line: dict[str, Any]) -> None:
        if self._index is None:
            self._index = open_lines(self._run / f"{FOLDER}.jsonl")
        self._index.write(json.dumps(line, ensure_ascii=False, allow_nan=False).encode() + b"\n")


def read_media(run: Path) -> list[Medium]:
    """Return the media of the run directory `run` that count, by step; files that are missing, or outside it behind a link, are skipped.
    Never raises for the directory's contents."""
    found = {medium.file: medium for medium in starmap(Medium, legacy.former_samples(run))}
    for line in _lines(run / f"{FOLDER}.jsonl"):
        if isinstance(line, _Mark):
            found = {file: medium for file, medium in found.items() if medium.step <= line.step}
        else:
            found.pop(line.file, None)
            found[line.file] = line
    root = os.path.realpath(run)
    kept = [medium for medium in found.values() if _is_file_in(root, medium.file)]
    return sorted(kept, key=lambda medium: medium.step)


def is_media_line(line: bytes) -> bool:
    """Return whether a line of media.jsonl is one that `MediaWriter` could have written."""
    return _parse(line) is not None


def _lines(index: Path) -> Iterator[Medium | _Mark]:
    try:
        yield from filter(None, map(_parse, read_lines(index)))
    except OSError:
        return


def _parse(line: bytes) -> Medium | _Mark | None:
    try:
        data = parse_json(line)
    except ValueError:
        return None
    return build(_Mark, data) or build(Medium, data)


def _is_file_in(root: str, file: str) -> bool:
    path = os.path.join(root, *PurePosixPath(file).parts)
    return os.path.realpath(path) == path and os.path.isfile(path)


def _file_name(tag: str) -> str:
    """Make a file name from a tag, unique among tags on any file system."""
    name = safe_name(tag.replace("/", "_"))
    if name.replace("_", "/") == tag and name == name.lower():
        return name
    return f"{name}-{hashlib.sha256(tag.encode('utf-8', 'surrogatepass')).hexdigest()[:10]}"
