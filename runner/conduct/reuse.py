"""Runs that another sweep has done already: an equal key is the same run, so its files are taken over."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from runner.core.files import sync_folder
from runner.core.journal import read_journal
from runner.core.rundir import RunDir, Verdict
from runner.plan import PlannedRun
from runner.sweepdir import SweepDir

_LEFT_BEHIND = ("checkpoints", "control.jsonl", "worker.log", "run.json", "verdict.json")


class Elsewhere:
    """The finished runs beside a sweep: of the other sweeps in the same folder, and of `runner train` there.

    They are looked for once, when the first is asked for.
    """

    def __init__(self, sweep: SweepDir) -> None:
        self._sweep = sweep
        self._found: dict[str, RunDir] | None = None

    def take_over(self, run: PlannedRun) -> bool:
        """Make the directory of `run` from a finished run with its key, if there is one, and say in its verdict where it came from.

        Raises:
            OSError: it cannot be written.
        """
        if self._found is None:
            self._found = self._look()
        other = self._found.get(run.identity.key)
        if other is None or other.status().state != "done":
            return False
        path = run.run_dir.path
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = RunDir(path.with_name(f".{path.name[:200]}.tmp"))
        shutil.rmtree(unfinished.path, ignore_errors=True)
        shutil.copytree(other.path, unfinished.path, ignore=shutil.ignore_patterns(*_LEFT_BEHIND))
        reason = f"the same run as {os.path.relpath(other.path, path)}, which was done before"
        unfinished.write_verdict(Verdict("done", reason, other.status().attempt, time.time(), final=True))
        unfinished.write_identity(run.identity)
        os.rename(unfinished.path, path)
        sync_folder(path.parent)
        return True

    def _look(self) -> dict[str, RunDir]:
        found: dict[str, RunDir] = {}
        for folder in _folders(self._sweep.path.absolute().parent):
            other = SweepDir(folder)
            if folder == self._sweep.path.absolute():
                continue
            if other.journal.exists():
                for event in read_journal(other.journal, "end"):
                    if event.get("state") == "done" and isinstance(event.get("key"), str):
                        found.setdefault(event["key"], RunDir(other.runs / str(event.get("run"))))
                continue
            for run_dir in map(RunDir, _folders(folder)):
                if (identity := run_dir.identity()) is not None:
                    found.setdefault(identity.key, run_dir)
        return found


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(Path(entry.path) for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))
    except OSError:
        return []
