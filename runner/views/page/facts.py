"""Facts of run directories, read again only where a run has changed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from runner.core.values import keys_overlap
from runner.results.collect import RunResult, read_run
from runner.store.run_dir import FINISHED, RunDir
from runner.views.page.scan import Fingerprint, Mark, RunSearch, file_mark, fingerprint, links_outside

_DIRECTORIES_WITHIN = 4
"""Looks within which the directory of every run that does not run is looked at: a file in it was replaced or made."""
_FILES_WITHIN = 30
"""Rounds of these within which every file of those runs is too: one was written in place, which nothing of ours does to a finished run."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A run that was read: what it looked like just before that, and what it said."""

    directory: Mark | None
    files: Fingerprint
    result: RunResult


@dataclass(frozen=True, slots=True)
class Change:
    """Result of a look.

    Args:
        runs: directories of runs that are new or say something else now.
        gone: directories of runs that are no longer there.
        sweeps: sweeps have come, gone or changed their plans.
        ended: a run has changed its state, or one that is not running has changed: another report is due.
    """

    runs: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    sweeps: bool = False
    ended: bool = False

    def __bool__(self) -> bool:
        return bool(self.runs or self.gone or self.sweeps)


@dataclass(slots=True)
class RunFacts:
    """Facts of the runs below some folders. Nothing is written there.

    Args:
        search: finds the runs.
        known: directory of a run to what it said.
    """

    search: RunSearch
    known: dict[str, _Known] = field(default_factory=dict)
    _sweeps: dict[str, Mark | None] = field(default_factory=dict)
    _looks: int = 0

    def look(self) -> Change:
        """Look for runs that are new, changed or gone, and read them. Never raises for what is in their directories."""
        self.search.look()
        gone = tuple(self.known.keys() - self.search.runs)
        for path in gone:
            del self.known[path]
        sweeps = {path: file_mark(os.path.join(path, "plan.json")) for path in self.search.sweeps}
        changed, ended = [], bool(gone)
        for path in self._due():
            before = self.known.get(path)
            found = self._read(path, before)
            if found is None:
                continue
            self.known[path] = found
            if before is None or found.result != before.result:
                changed.append(path)
                ended = ended or found.result.state != "running" or before is None or before.result.state != "running"
        change = Change(tuple(changed), gone, sweeps != self._sweeps, ended or sweeps != self._sweeps)
        self._sweeps = sweeps
        self._looks += 1
        return change

    def results(self) -> list[RunResult]:
        """Return what the runs said, in the order of their names."""
        return [self.known[path].result for path in self.search.ordered() if path in self.known]

    def _due(self) -> list[str]:
        """Return the runs to look at now: all that are new or running, and some of the others in turn."""
        due = [path for path in self.search.ordered() if path not in self.known] if len(self.known) < len(self.search.runs) else []
        every = list(self.known)
        due += every[self._looks % _DIRECTORIES_WITHIN :: _DIRECTORIES_WITHIN]
        due += [path for path, known in self.known.items() if known.result.state == "running"]
        return list(dict.fromkeys(due))

    def _read(self, path: str, before: _Known | None) -> _Known | None:
        """Read a run; return None where it has not changed."""
        directory = file_mark(path)
        turn = self._looks // _DIRECTORIES_WITHIN % _FILES_WITHIN == hash(path) % _FILES_WITHIN
        if before is not None and before.result.state != "running" and directory == before.directory and not turn:
            return None
        files = fingerprint(Path(path))
        if before is not None and files == before.files and before.result.state != "running":
            return replace(before, directory=directory)
        return _Known(directory, files, read_facts(Path(path), self.search.roots))


def read_facts(path: Path, roots: Sequence[Path]) -> RunResult:
    """Read a run as `runner.results.collect.read_run` does, but without its config, where its label does not depend on that."""
    if name := links_outside(path, roots):
        return _unreadable(path, f"{name} is a link to outside of the folder; it is not followed")
    run_dir = RunDir(path)
    try:
        result = read_run(run_dir, config=False)
        identity = run_dir.identity()
        if identity is None or identity.trial_keys is not None and not _unexplained(result):
            return result
        whole = read_run(run_dir)
        named = {key: value for key, value in whole.config.items() if any(keys_overlap(key, other) for other in result.overrides)}
        return replace(whole, config=named)
    except OSError as error:
        return _unreadable(path, f"cannot be read: {error.strerror}")
    except Exception as error:  # noqa: BLE001 - one damaged run must not take the page of all others away
        return _unreadable(path, f"cannot be read: {type(error).__name__}: {error}")


def _unexplained(result: RunResult) -> bool:
    """Return whether some override is no key that identifies the trial: whether it belongs to the label depends on the config."""
    return any(key != "seed" and not any(keys_overlap(key, other) for other in result.trial_keys) for key in result.overrides)


def _unreadable(path: Path, problem: str) -> RunResult:
    return RunResult(path, path.name, None, -1, -1, {}, path.name, "pending", None, problem)


def is_final(result: RunResult) -> bool:
    """Return whether only another attempt can change a run's facts."""
    return result.state in FINISHED and not result.problem
