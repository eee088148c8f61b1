"""Facts of run directories, read again only where a run has changed."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from runner.core.values import keys_overlap, natural
from runner.monitor.progress import run_status
from runner.results.collect import ReadSummary, RunResult, no_summary, read_run, read_summary, relate, with_config
from runner.results.run_configs import ConfigReader, read_config
from runner.store.run_dir import FINISHED, RunDir, check_directories, no_runs
from runner.views.page.cache_file import cache_path
from runner.views.page.index import FactsIndex
from runner.views.page.plan import PLAN_FILE
from runner.views.page.scan import Fingerprint, Mark, RunSearch, file_mark, fingerprint, links_outside

_FEW = 100
"""New runs that are read whole at once."""
_DIRECTORIES_WITHIN = 8
"""Looks within which the directory of every run that does not run is looked at: a file in it was replaced or made."""
_FILES_WITHIN = 15
"""Rounds of these within which every file of those runs is too: one was written in place, which nothing of ours does to a finished run."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A run that was read.

    Args:
        directory, files: marks just before that.
        result: what it said.
        whole: its records were read too.
    """

    directory: Mark | None
    files: Fingerprint
    result: RunResult
    whole: bool = True


@dataclass(frozen=True, slots=True)
class FactsChange:
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
        index: remembers what runs said that have ended; None: nothing does.
        summary: reads the records of a run.
        known: directory of a run to what it said.
    """

    search: RunSearch
    index: FactsIndex | None = None
    summary: ReadSummary = read_summary
    known: dict[str, _Known] = field(default_factory=dict)
    _stored: dict[str, tuple[Fingerprint, RunResult]] = field(default_factory=dict)
    _brief: set[str] = field(default_factory=set)
    _unsaved: set[str] = field(default_factory=set)
    _sweeps: dict[str, Mark | None] = field(default_factory=dict)
    _looks: int = 0
    _version: int = -1
    _order: list[str] = field(default_factory=list)
    _running: set[str] = field(default_factory=set)

    @property
    def is_whole(self) -> bool:
        """True if the records of all runs were read."""
        return not self._brief

    def look(self) -> FactsChange:
        """Look for runs that are new, changed or gone, and read them. Never raises for what is in their directories.

        Many new ones are read without their records; `read_records` reads those then.
        """
        self.search.look()
        if not self._looks and self.index is not None:
            self._stored = self.index.load()
        came_or_went = self.search.version != self._version
        self._version = self.search.version
        gone = tuple(self.known.keys() - self.search.runs) if came_or_went else ()
        for path in gone:
            del self.known[path]
        self._brief.difference_update(gone)
        self._running.difference_update(gone)
        sweeps = {path: file_mark(os.path.join(path, PLAN_FILE)) for path in self.search.sweeps}
        due = self._due(came_or_went)
        changed, ended = self._read_all(due, records=len(self.search.runs) - len(self.known) <= _FEW)
        change = FactsChange(tuple(changed), gone, sweeps != self._sweeps, ended or bool(gone) or sweeps != self._sweeps)
        self._remember([*map(os.path.abspath, gone), *self._stored])  # what is left of these is of runs that have changed or are gone
        self._stored = {}
        self._sweeps = sweeps
        self._looks += 1
        return change

    def read_records(self, limit_s: float) -> FactsChange:
        """Read the records of runs that were read without them, for about `limit_s`."""
        end, changed = time.monotonic() + limit_s, []
        for path in sorted(self._brief, key=natural):
            if time.monotonic() > end:
                break
            self._brief.discard(path)
            known = self.known[path]
            if fingerprint(path) == known.files:
                self.known[path] = replace(known, result=_with_records(known.result, self.summary), whole=True)
                self._unsaved.add(path)
            else:
                self.known[path] = self._read_anew(path, known.directory, records=True)
            changed.append(path)
        self._remember()
        return FactsChange(tuple(changed))

    def _read_all(self, due: Sequence[str], *, records: bool) -> tuple[list[str], bool]:
        """Read the runs that have changed; return them, and whether one has ended."""
        changed, ended = [], False
        for path in due:
            before = self.known.get(path)
            found = self._read(path, before, records=records)
            if found is None:
                continue
            self.known[path] = found
            (self._brief.discard if found.whole else self._brief.add)(path)
            (self._running.add if found.result.state == "running" else self._running.discard)(path)
            if before is None or found.result != before.result:
                changed.append(path)
                ended = ended or found.result.state != "running" or before is None or before.result.state != "running"
        return changed, ended

    def _remember(self, gone: Sequence[str] = ()) -> None:
        """Write into the index what the runs that have ended said, and take those out that are gone."""
        read = {os.path.abspath(path): path for path in self._unsaved if path in self.known}
        self._unsaved.clear()
        if self.index is not None:
            known = {path: self.known[name] for path, name in read.items()}
            ended = {path: (each.files, each.result) for path, each in known.items() if each.whole and is_final(each.result)}
            for path, result in self.index.store(ended, gone).items():
                self.known[read[path]] = replace(known[path], result=result)

    def results(self) -> list[RunResult]:
        """Return what the runs said, in the order of their names."""
        return [self.known[path].result for path in self._order if path in self.known]

    def _due(self, came_or_went: bool) -> list[str]:
        """Return the runs to look at now: all that are new or running, and some of the others in turn."""
        if came_or_went:
            self._order = self.search.ordered()
        new = [path for path in self._order if path not in self.known] if came_or_went else []
        turn = self._order[self._looks % _DIRECTORIES_WITHIN :: _DIRECTORIES_WITHIN]
        return list(dict.fromkeys([*new, *self._running, *turn]))

    def _read(self, path: str, before: _Known | None, *, records: bool) -> _Known | None:
        """Read a run; return None where it has not changed."""
        directory = file_mark(path)
        turn = self._looks // _DIRECTORIES_WITHIN % _FILES_WITHIN == hash(path) % _FILES_WITHIN
        if before is not None and before.result.state != "running" and directory == before.directory and not turn:
            return None
        files = fingerprint(path)
        if before is not None and files == before.files and (before.result.state != "running" or _runs(path)):
            return replace(before, directory=directory)
        stored = self._stored.pop(os.path.abspath(path), None)
        if stored is not None and stored[0] == files:
            return _Known(directory, files, replace(stored[1], path=Path(path)))
        return self._read_anew(path, directory, records=records)

    def _read_anew(self, path: str, directory: Mark | None, *, records: bool) -> _Known:
        """Read a run. One that is not done, or lacks its metrics without its records, is read with them in any case."""
        files = fingerprint(path)
        self._unsaved.add(path)
        if not records:
            result = read_facts(Path(path), self.search.roots, records=no_summary)
            if result.state == "done" and result.metrics:
                return _Known(directory, files, result, whole=False)
        return _Known(directory, files, read_facts(Path(path), self.search.roots, records=self.summary))


def _runs(path: str) -> bool:
    """Return whether a process still works on a run whose files have not changed."""
    try:
        return run_status(RunDir(path)).state == "running"
    except OSError:
        return False


def read_once(roots: Sequence[Path], summary: ReadSummary) -> list[RunResult]:
    """Return the runs below some folders as `runner.results.collect.collect` does; those that have ended are read the first time only.

    Args:
        summary: reads the records of a run.

    Raises:
        InputError: a folder that does not exist, or no run below any of them.
    """
    check_directories(roots)
    index = FactsIndex(cache_path(roots))
    try:
        facts = RunFacts(RunSearch(tuple(roots)), index, summary)
        facts.look()
        while not facts.is_whole:
            facts.read_records(math.inf)
    finally:
        index.close()
    if not facts.known:
        raise no_runs(roots)
    return with_configs(facts.results(), roots)


def with_configs(results: Sequence[RunResult], roots: Sequence[Path]) -> list[RunResult]:
    """Return what `RunFacts.results` returned as `runner.results.collect.collect` does: each with its config, and related to the others."""
    read = ConfigReader().read
    return relate([each if links_outside(each.path, roots) else with_config(each, read) for each in results])


def read_facts(path: Path, roots: Sequence[Path], *, records: ReadSummary = read_summary) -> RunResult:
    """Read a run as `runner.results.collect.read_run` does, but without its config, where its label does not depend on that."""
    if name := links_outside(path, roots):
        return _unreadable(path, f"{name} is a link to outside of the folder; it is not followed")
    run_dir = RunDir(path)
    try:
        result = read_run(run_dir, config=None, records=records)
        if not _unexplained(result):
            return result
        whole = with_config(result, read_config)
        named = {key: value for key, value in whole.config.items() if any(keys_overlap(key, other) for other in result.overrides)}
        return replace(result, config=named, trial_keys=whole.trial_keys)
    except OSError as error:
        return _unreadable(path, f"cannot be read: {error.strerror}")
    except Exception as error:  # noqa: BLE001 - one damaged run must not take the page of all others away
        return _unreadable(path, f"cannot be read: {type(error).__name__}: {error}")


def _with_records(result: RunResult, summary: ReadSummary) -> RunResult:
    """Add what the records say to the result of a run that is done."""
    try:
        return summary(RunDir(result.path).metrics, None).added_to(result)
    except Exception as error:  # noqa: BLE001 - as in `read_facts`
        return _unreadable(result.path, f"cannot be read: {type(error).__name__}: {error}")


def _unexplained(result: RunResult) -> bool:
    """Return whether some override is no key that identifies the trial: whether it belongs to the label depends on the config."""
    return any(key != "seed" and not any(keys_overlap(key, other) for other in result.trial_keys) for key in result.overrides)


def _unreadable(path: Path, problem: str) -> RunResult:
    return RunResult(path, path.name, None, -1, -1, {}, path.name, "pending", None, problem)


def is_final(result: RunResult) -> bool:
    """Return whether only another attempt can change a run's facts."""
    return result.state in FINISHED and not result.problem
