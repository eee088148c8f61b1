"""Run directories of a sweep by identity: the id in run.json counts, not the name of the directory."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from runner.core.files import open_regular
from runner.store.run_dir import RunDir


@dataclass(frozen=True, slots=True)
class Identities:
    """Which directory counts as which run.

    Args:
        folder: holds them all.
        runs: run id to the name of the directory that counts as it.
        copies: name of a directory that does not count, to the id of the run that it is a copy of.
        unclear: run id to the names of its copies, if none of them has the run's own name: it is ambiguous which one counts.
    """

    folder: Path
    runs: Mapping[str, str]
    copies: Mapping[str, str]
    unclear: Mapping[str, tuple[str, ...]]

    @property
    def renamed(self) -> dict[str, str]:
        """Run id to the name of its directory, if that differs."""
        return {run: name for run, name in self.runs.items() if run != name}

    def run_dir(self, run: str) -> RunDir:
        """Return the directory of a run, or the one it will have if it does not exist yet."""
        return RunDir(self.folder / self.runs.get(run, run))

    def run_dirs(self) -> list[RunDir]:
        """Return the directories that count, by the names of the runs."""
        return [RunDir(self.folder / self.runs[run]) for run in sorted(self.runs)]

    def remarks(self) -> list[str]:
        """Return a line for each directory whose name is not that of its run."""
        lines = [f"{name} is the run {run} under another name, and counts as it" for run, name in sorted(self.renamed.items())]
        lines += [f"{name} is a copy of {self.runs.get(run, run)} and does not count" for name, run in sorted(self.copies.items())]
        return lines + self.problems()

    def in_the_way(self, runs: Iterable[str]) -> dict[str, str]:
        """Those of `runs` whose directory is occupied by another run, to the id of that run."""
        holds = {name: run for run, name in self.runs.items()} | dict(self.copies)
        return {run: holds[run] for run in runs if run not in self.runs and run not in self.unclear and run in holds}

    def problems(self) -> list[str]:
        """Return a line for each run with several copies, none of which has the run's name."""
        return [
            f"{', '.join(str(self.folder / name) for name in names)}: all of them are copies of the run {run}; "
            f"keep one, named {run}, and move the others out of {self.folder}"
            for run, names in sorted(self.unclear.items())
        ]


def identify(folder: Path, names: Iterable[str]) -> Identities:
    """Identify which of the directories `names` in `folder` counts as which run.

    The directory with the run's own name does; without one, the only other with this run's id. A directory whose run.json is missing
    or incomplete counts by its name, unless another directory has that id in its run.json.
    """
    found: dict[str, list[str]] = defaultdict(list)
    unknown = []
    for name in names:
        run = _run_in(folder, name)
        if run is None:
            unknown.append(name)
        else:
            found[run].append(name)
    runs, copies, unclear = {}, {}, {}
    for run, same in found.items():
        if run in same or len(same) == 1:
            runs[run] = run if run in same else same[0]
            copies.update({name: run for name in same if name != runs[run]})
        else:
            unclear[run] = tuple(sorted(same))
    for name in unknown:
        if name in runs or name in unclear:
            copies[name] = name
        else:
            runs[name] = name
    return Identities(folder, runs, copies, unclear)


def _run_in(folder: Path, name: str) -> str | None:
    """Return the id in a directory's run.json. If it is the directory's name, as in most cases, only the beginning of the file is compared:
    thousands take no time."""
    path = os.path.join(folder, name, "run.json")
    beginning = f'{{\n  "id": {json.dumps(name, ensure_ascii=False)},'.encode("utf-8", "surrogateescape")
    try:
        with open_regular(path) as file:
            if file.read(len(beginning)) == beginning:
                return name
    except OSError:
        return None
    identity = RunDir(os.path.join(folder, name)).identity()
    return None if identity is None else identity.id
