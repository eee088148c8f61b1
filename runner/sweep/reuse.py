"""Reuse of runs that another sweep has finished: an equal run key means the same run, so its files are copied."""

from __future__ import annotations

import os
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from runner.core.files import disk_is_full, sync_folder
from runner.store import legacy
from runner.store.events import Event, ReuseRefused, RunEnded
from runner.store.journal import read_journal
from runner.store.run_dir import Override, RunDir
from runner.sweep.findings import Findings
from runner.sweep.plan import PlannedRun
from runner.sweep.runs import has_config_of
from runner.sweep.sweep_dir import SweepDir
from runner.sweep.verify_run import verify_result

_LEFT_BEHIND = frozenset({"checkpoints", "control.jsonl", "worker.log", "run.json", "run.lock", "override.json", legacy.VERDICT})


class FinishedRuns:
    """The finished runs beside a sweep: of the other sweeps in the same folder, and of `runner train` there.

    They are searched for once, when the first is needed.

    Args:
        notify: receives the events.
    """

    def __init__(self, sweep: SweepDir, notify: Callable[[Event], None]) -> None:
        self._sweep = sweep
        self._notify = notify
        self._by_key: dict[str, list[RunDir]] | None = None

    def reuse(self, run: PlannedRun) -> bool:
        """Make the directory of `run` from a finished run with its key, if there is one, and record the origin in its override.

        Raises:
            OSError: it cannot be written.
        """
        if self._by_key is None:
            self._by_key = self._find()
        for other in self._by_key.get(run.identity.key, ()):
            if problem := self._problem(other, run) or self._copy(other, run):
                self._notify(ReuseRefused(run.run_dir.name, run.trial.number, f"{other.path}: {problem}"))
            else:
                return True
        return False

    def _problem(self, other: RunDir, run: PlannedRun) -> str:
        """Return why a run cannot be reused as `run`; empty if it can. Its own files decide, not a journal."""
        identity = other.identity()
        if identity is None or identity.key != run.identity.key:
            return "has a different run key now"
        if other.status().state != "done":
            return "is not done"
        if not has_config_of(other, run):
            return "config.yml has changed since the run was made"
        findings = Findings(other.path)
        verify_result(other, self._sweep, findings)
        return "; ".join(str(finding) for finding in findings.found if finding.wrong)

    def _copy(self, other: RunDir, run: PlannedRun) -> str:
        """Copy it; return why that failed, for reasons other than the disk's."""
        path = run.run_dir.path
        unfinished = RunDir(path.with_name(f".{path.name[:200]}.tmp"))
        shutil.rmtree(unfinished.path, ignore_errors=True)
        try:
            shutil.copytree(other.path, unfinished.path, ignore=_left_behind)
        except shutil.Error as error:
            shutil.rmtree(unfinished.path, ignore_errors=True)
            if disk_is_full(path.parent):
                raise
            return f"cannot be copied: {error.args[0][0][2]}"
        reason = f"reused from {os.path.relpath(other.path, path)}, which has the same run key"
        unfinished.write_override(Override("done", reason, other.status().attempt, time.time(), final=True))
        unfinished.write_identity(run.identity)
        os.rename(unfinished.path, path)
        sync_folder(path.parent)
        return ""

    def _find(self) -> dict[str, list[RunDir]]:
        """Run key to the runs that may have it: a journal's claim is checked before it is used."""
        found: dict[str, list[RunDir]] = defaultdict(list)
        for folder in _folders(self._sweep.path.absolute().parent):
            other = SweepDir(folder)
            if folder == self._sweep.path.absolute():
                continue
            if other.journal.exists():
                for event in read_journal(other.journal, RunEnded):
                    if event.state == "done":
                        found[event.key].append(RunDir(other.runs / event.run))
                continue
            for run_dir in map(RunDir, _folders(folder)):
                if (identity := run_dir.identity()) is not None:
                    found[identity.key].append(run_dir)
        return {key: list({run.path: run for run in runs}.values()) for key, runs in found.items()}


def _left_behind(folder: str, names: Sequence[str]) -> set[str]:
    """Select what is not copied: what belongs to the other run alone, and what is neither a file nor a folder."""
    paths: dict[str, Any] = {name: os.path.join(folder, name) for name in names}
    odd = {name for name, path in paths.items() if os.path.islink(path) or not (os.path.isfile(path) or os.path.isdir(path))}
    return odd | (_LEFT_BEHIND & set(names)) | {name for name in names if name.startswith(".")}


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(Path(entry.path) for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))
    except OSError:
        return []
