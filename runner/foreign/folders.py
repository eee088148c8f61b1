"""Folders with logs of TensorBoard or VisualDL: search, and the names of the runs that are made of them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runner.core.errors import InputError, Problem
from runner.core.files import similar_name
from runner.core.values import natural, safe_name
from runner.foreign.framing import LogFormat
from runner.foreign.tensorboard import TensorBoardLog
from runner.foreign.visualdl import VisualDLLog

FORMATS: Final[Mapping[str, type[LogFormat]]] = {"events.out.tfevents.": TensorBoardLog, "vdlrecords.": VisualDLLog}
"""Beginning of a log's name to its format."""
_OF_PARENT: Final = re.compile(r"[0-9]{9,}\.[0-9]+")
"""Name of the folder, a time, in which torch's `SummaryWriter.add_hparams` puts a run's hyper-parameters and results."""
_MOST_ENTRIES: Final = 200_000
_MOST_NAME: Final = 100
"""Bytes of a run's name."""


@dataclass(frozen=True, slots=True)
class LogFolder:
    """A folder with logs.

    Args:
        path: the folder.
        label: its name for people: its path below the folder that was given, whose own name it is for that one.
        origin: where it comes from, for people: the label, below the name of the folder that was given.
        logs: files in it, in the order of their names; then those of its only folder that `add_hparams` made, if there is one.
        is_session: it is one of several folders that `add_hparams` made below one log. Each has hyper-parameters of its own, and is a run
            of its own as on TensorBoard's HPARAMS page.
    """

    path: Path
    label: str
    origin: str
    logs: tuple[Path, ...]
    is_session: bool = False

    @property
    def name(self) -> str:
        """Name of the run's directory."""
        return safe_name(self.label, _MOST_NAME, any_script=True)


def find_log_folders(given: Sequence[Path]) -> list[LogFolder]:
    """Return the folders with logs among and below those given. Links are not followed, and runs of ours are left out.

    Raises:
        InputError: one that is no folder, cannot be read or has no logs, or two whose runs would have one name.
    """
    problems: list[Problem] = []
    found: list[LogFolder] = []
    for path in given:
        try:
            below = list(_search(path))
        except InputError as error:
            problems += error.problems
            continue
        found += below
        if not below:
            problems.append(_nothing_there(path))
    same: dict[str, list[LogFolder]] = {}
    for folder in {each.path.resolve(): each for each in found}.values():
        same.setdefault(folder.name.casefold(), []).append(folder)
    for folders in same.values():
        if len(folders) > 1:
            names = ", ".join(str(folder.path) for folder in folders)
            problems.append(Problem(f"would all be named {folders[0].name}: import each with a --into of its own", where=names))
    if problems:
        raise InputError(problems)
    return [folder for folders in same.values() for folder in folders]


def _search(top: Path) -> Iterator[LogFolder]:
    if not os.path.isdir(top):
        if os.path.lexists(top):
            raise InputError(Problem("is a file; give the folder that holds the logs", where=str(top)))
        raise InputError(Problem(f"no such folder{similar_name(top)}", where=str(top)))
    own = _readable(top.resolve().name) or "root"
    waiting, seen = [top], 0
    sessions: set[Path] = set()
    while waiting:
        folder = waiting.pop(0)
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: natural(entry.name))
        except OSError as error:
            if folder == top:
                raise InputError(Problem(f"cannot be read: {error.strerror}", where=str(folder))) from error
            continue
        seen += len(entries)
        if seen > _MOST_ENTRIES:
            raise InputError(Problem(f"has more than {_MOST_ENTRIES:,} files and folders; give the folders with the logs", where=str(top)))
        names = {entry.name for entry in entries}
        if "run.json" in names:
            continue
        below = [folder / entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        logs = [folder / entry.name for entry in entries if is_log(entry.name) and not entry.is_dir()]
        added = [each for each in below if logs and _OF_PARENT.fullmatch(each.name)]
        if len(added) > 1:
            sessions.update(added)
        elif added and os.access(added[0], os.R_OK):
            logs += sorted(path for path in added[0].iterdir() if is_log(path.name) and not os.path.isdir(path))
            below.remove(added[0])
        waiting += below
        if logs:
            label = own if folder == top else _readable(folder.relative_to(top).as_posix())
            yield LogFolder(folder, label, own if folder == top else f"{own}/{label}", tuple(logs), folder in sessions)


def is_log(name: str) -> bool:
    """Return whether a file is a log, by its name."""
    return name.startswith(tuple(FORMATS))


def make_format(name: str) -> LogFormat:
    """Return a reader of the log of that name."""
    return next(form for start, form in FORMATS.items() if name.startswith(start))()


def _readable(name: str) -> str:
    """Return a name without bytes that are no text."""
    return os.fsencode(name).decode("utf-8", "replace")


def _nothing_there(path: Path) -> Problem:
    if (path / "run.json").is_file():
        return Problem("is a run of this program already; `runner dashboard` shows it", where=str(path))
    names = " or ".join(f"{start}*" for start in FORMATS)
    return Problem(f"no logs there or below; expected files named {names}", where=str(path))
