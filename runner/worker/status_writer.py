"""Writer of a run's status.json."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import replace
from typing import Any

from runner.core.errors import RunnerError
from runner.core.lock import Lock
from runner.core.process import process_mark
from runner.store.run_dir import RunDir, Status

_INTERVAL_S = 0.5
_NEW_PHASE_AFTER_S = 0.05  # replacing a file takes milliseconds


class StatusWriter:
    """The status of an attempt, and its file: written when it begins, at most twice per second while it trains, and at the end.

    Args:
        lock: the run's lock; None: nothing notices when the directory is moved or deleted.
    """

    def __init__(self, run_dir: RunDir, attempt: int, lock: Lock | None) -> None:
        self._run_dir = run_dir
        self._lock = lock
        mark = process_mark(os.getpid())
        self.now = Status(state="running", attempt=attempt, pid=os.getpid(), process=mark, host=platform.node())
        self._next = 0.0
        self.write()

    def change(self, **fields: Any) -> None:
        """Change fields of the status without writing it."""
        self.now = replace(self.now, **fields)

    def is_due(self, phase: str) -> bool:
        """Return whether it is time to write again; a new phase is due almost at once."""
        soon = _NEW_PHASE_AFTER_S - _INTERVAL_S if phase != self.now.phase else 0.0
        return time.monotonic() >= self._next + soon

    def write(self, *, durable: bool = False) -> None:
        """Write the file with the present time as its heartbeat.

        Raises:
            RunnerError: the directory was moved or deleted.
        """
        self._next = time.monotonic() + _INTERVAL_S
        if self._lock is not None and not self._lock.is_there():
            raise RunnerError(f"run directory {self._run_dir.path} was moved or deleted while the run was writing to it")
        self.change(heartbeat=time.time())
        self._run_dir.write_status(self.now, durable=durable)
