"""End of an attempt: its state, reason and exit code, also from an exception."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

from runner.core.errors import Cause, Interrupted, PluginError, RunnerError
from runner.core.files import disk_is_full, says_disk_full
from runner.store.run_dir import State

log = logging.getLogger("runner.worker")

DISK_FULL = 74
"""Exit code of a worker whose disk was full (EX_IOERR of sysexits.h). It may have been unable to write this anywhere else."""


HELD = 75
"""Exit code of a worker that did nothing because another process is working on the run (EX_TEMPFAIL of sysexits.h)."""


@dataclass(frozen=True, slots=True)
class Ending:
    """End of an attempt.

    Args:
        state, reason, cause: for status.json.
        exit_code: of the worker (see `runner.worker.main.main`).
    """

    state: State
    exit_code: int
    reason: str | None = None
    cause: Cause | None = None

    @property
    def is_trouble(self) -> bool:
        """True if the other processes of the attempt have to end too."""
        return self.state == "failed" or self.cause == "disk_full"


DONE = Ending("done", 0)


def ending_of(error: Exception, folder: Path, log_file: Path, action: Literal["stop", "prune"]) -> Ending:
    """Decide what `error` means for the run in `folder`, and log it.

    Args:
        action: the request, if there was one.
    """
    if isinstance(error, Interrupted):
        log.info("%s", error)
        return Ending("pruned" if action == "prune" else "interrupted", error.exit_code, str(error))
    is_ours = isinstance(error, RunnerError)
    # torch.save, among others, raises a RuntimeError that does not name the cause
    if says_disk_full(error) or disk_is_full(folder):
        return disk_full(folder, str(error) if is_ours else f"{type(error).__name__}: {error}")
    if isinstance(error, RunnerError):
        log.error("%s", error, exc_info=error.__cause__ if isinstance(error, PluginError) else None)
        return Ending("failed", error.exit_code, str(error), error.cause)
    log.error("the run failed", exc_info=error)
    cause: Cause = "out_of_memory" if isinstance(error, MemoryError) else "crash"
    return Ending("failed", 1, f"{type(error).__name__}: {error} (trace in {log_file})", cause)


def disk_full(folder: Path, what_it_met: str) -> Ending:
    """Report that the disk of `folder` is full: the run itself is fine and continues from its last checkpoint once there is space."""
    reason = f"the disk is full: {what_it_met}"
    log.error("%s; the run in %s can be resumed when there is space", reason, folder)
    return Ending("interrupted", DISK_FULL, reason, "disk_full")


def leave(exit_code: int) -> NoReturn:
    """End this process without dismantling the interpreter: with a framework loaded that takes longer than the rest of a short run. The
    functions registered for exit are called."""
    threading._shutdown()  # type: ignore[attr-defined] # Python's own order: threads, what is registered, the streams
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # a full disk; Python would end with 120
            stream.flush()
    os._exit(exit_code)
