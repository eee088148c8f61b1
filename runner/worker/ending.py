"""How an attempt ends, and what an exception says of that."""

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

from runner.core.errors import Cause, Interrupted, RunnerError
from runner.core.files import disk_is_full, says_disk_full
from runner.store.run_dir import State

log = logging.getLogger("runner.worker")

DISK_FULL = 74
"""Exit code of a worker that had no room to write (EX_IOERR of sysexits.h). It need not have been able to say so anywhere else."""


HELD = 75
"""Exit code of a worker that did nothing, because another process is working on the run (EX_TEMPFAIL of sysexits.h)."""


@dataclass(frozen=True, slots=True)
class Ending:
    """What an attempt came to.

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
        """Whether what works on the run with this process has to end as well."""
        return self.state == "failed" or self.cause == "disk_full"


DONE = Ending("done", 0)


def ending_of(error: Exception, folder: Path, log_file: Path, action: Literal["stop", "prune"]) -> Ending:
    """What `error` means for the run in `folder`; it is written to the log.

    Args:
        action: what was asked for, if it was.
    """
    if isinstance(error, Interrupted):
        log.info("%s", error)
        return Ending("pruned" if action == "prune" else "interrupted", error.exit_code, str(error))
    is_ours = isinstance(error, RunnerError)
    # torch.save, among others, raises a RuntimeError that does not say what it met
    if says_disk_full(error) or disk_is_full(folder):
        return disk_full(folder, str(error) if is_ours else f"{type(error).__name__}: {error}")
    if isinstance(error, RunnerError):
        log.error("%s", error)
        return Ending("failed", error.exit_code, str(error), error.cause)
    log.error("the run failed", exc_info=error)
    cause: Cause = "out_of_memory" if isinstance(error, MemoryError) else "crash"
    return Ending("failed", 1, f"{type(error).__name__}: {error} (trace in {log_file})", cause)


def disk_full(folder: Path, what_it_met: str) -> Ending:
    """There is no room in `folder`: nothing is wrong with the run, which goes on from its last checkpoint once there is."""
    reason = f"the disk is full: {what_it_met}"
    log.error("%s; the run in %s can go on when there is room", reason, folder)
    return Ending("interrupted", DISK_FULL, reason, "disk_full")


def leave(exit_code: int) -> NoReturn:
    """End this process as it would end by itself, but for taking down the interpreter: with a framework loaded that takes longer than the
    rest of a short run. What is registered to be called at exit is called."""
    threading._shutdown()  # type: ignore[attr-defined] # Python's own order: threads, what is registered, the streams
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # a full disk; Python would end with 120
            stream.flush()
    os._exit(exit_code)
