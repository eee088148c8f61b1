"""Main of the worker: one attempt at the run in a directory, with a recorded end whatever happens."""

from __future__ import annotations

import argparse
import faulthandler
import logging
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.backends.base import BACKENDS, DEFAULT_BACKEND, Backend
from runner.config.bind import bind, require
from runner.config.load import load_config
from runner.core.errors import RunnerError
from runner.core.files import disk_is_full, says_disk_full
from runner.core.lock import Held, Lock, take
from runner.core.process import die_with_parent
from runner.store.run_dir import RunDir
from runner.worker.attempt import Attempt
from runner.worker.ending import DONE, HELD, Ending, disk_full, ending_of, leave
from runner.worker.ranks import Member, OtherRank
from runner.worker.stop import StopRequests
from runner.worker.supervisor import supervise

if TYPE_CHECKING:
    from runner.worker.scoring import Scorer

log = logging.getLogger("runner.worker")
_PARSER = argparse.ArgumentParser(prog="python -m runner.worker", description="Work on one run: one attempt.")
_PARSER.add_argument("run_dir", type=Path)  # made here, not in each forked process
_STDERR = 2  # the descriptor, which is the log whatever `sys.stderr` is


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``python -m runner.worker RUN_DIR``: continue from the run's checkpoints if it has any.

    Where several processes train together, this one leads them (`runner.worker.supervisor`) or is one of them (`runner.worker.ranks`).

    Returns:
        0 done; 1 failed; 2 failed because something the config names cannot be used; 74 the disk is full; 75 another process is
        working on the run, and nothing was done; 130 interrupted or pruned. Where a launcher started it, it does not return: the process
        ends with this.
    """
    faulthandler.register(signal.SIGUSR1, file=_STDERR, all_threads=True)  # to investigate a hung process
    has_launcher = die_with_parent()
    args = _PARSER.parse_args(argv)
    run_dir = RunDir(args.run_dir)
    member = Member.from_environment()
    if member is not None:
        member.write_to(run_dir.log)
    rank = f"rank {member.rank}: " if member else ""
    logging.basicConfig(level=logging.INFO, format=f"%(asctime)s %(levelname)s {rank}%(name)s: %(message)s", stream=sys.stderr, force=True)
    try:
        lock = _lock(run_dir) if member is None else None  # ranks end with their supervisor, which has it
    except Held as held:
        log.error("%s is working on the run in %s: nothing is done", held, run_dir.path)
        return HELD
    exit_code = _work(run_dir, member, lock)
    if has_launcher and member is None:
        if lock is not None:
            lock.clear()
        leave(exit_code)  # the lock ends with the process
    if lock is not None:
        lock.release()
    return exit_code


def _lock(run_dir: RunDir) -> Lock | None:
    """Take the run's lock for the whole attempt; None if it cannot be written, which the attempt will report. Raises Held."""
    try:
        return take(run_dir.lock)
    except OSError:
        return None


def _work(run_dir: RunDir, member: Member | None, lock: Lock | None) -> int:
    stop = StopRequests(run_dir.control, member.group.control_offset if member else None)
    if member is None or member.rank == 0:
        stop.install()
    attempt: Attempt | None = None
    try:
        backend, config = load_run(run_dir)
        if member is None and (ranks := backend.ranks(config)) is not None:
            return supervise(run_dir, ranks, stop, lock)
        if member is not None and member.rank > 0:
            backend.train(config, OtherRank(run_dir, member, backend.metrics(config).primary))
            return _end(None, run_dir, member, DONE)
        number = run_dir.status().attempt + 1
        log.info("attempt %d at %s", number, run_dir.name)
        resume_from = run_dir.checkpoints if run_dir.checkpoints.is_dir() else None
        attempt = Attempt(
            run_dir,
            config,
            primary_metric=backend.metrics(config).primary,
            attempt=number,
            resume_from=resume_from,
            scorer=_scorer(config),
            stop=stop,
            member=member,
            lock=lock,
        )
        started = time.monotonic()
        backend.train(config, attempt)
        log.info("done in %.1f s", time.monotonic() - started)
        return _end(attempt, run_dir, member, DONE)
    except Exception as error:  # noqa: BLE001 - whatever it is, how the run ended must be recorded, with the trace in its log
        return _end(attempt, run_dir, member, ending_of(error, run_dir.path, run_dir.log, "prune" if stop.action == "prune" else "stop"))


def load_run(run_dir: RunDir) -> tuple[Backend, Any]:
    """Load the backend and the bound config of a run directory.

    Raises:
        InputError: config.yml is missing or is no longer a resolved config.
    """
    tree = load_config(run_dir.config)
    name = tree.get("backend")
    backend: Backend = BACKENDS.get(str(name.value) if name else DEFAULT_BACKEND)()
    return backend, require(bind(tree, backend.config_class))


def _scorer(config: Any) -> Scorer | None:
    """Make the scorer that evaluates the predictions; None for a backend without images."""
    if config.eval_dataset is None:
        return None
    from runner.worker.scoring import Scorer  # noqa: PLC0415 - NumPy and Pillow are loaded only where there are images

    return Scorer(config)


def _end(attempt: Attempt | None, run_dir: RunDir, member: Member | None, ending: Ending) -> int:
    """Record the end, or report it to the supervisor. An attempt that could not start has no Attempt: status.json is written directly.

    Returns:
        The exit code of this process. A rank that was not the first to fail exits with 0: otherwise the ranks' launcher kills the others.
    """
    if member is not None and ending.is_trouble:
        member.end(ending)  # before anything else: the first failure is the root cause
    try:
        if attempt is not None:
            attempt.end(ending)
        elif member is None or member.rank == 0:
            status = run_dir.status()
            ended = replace(status, state=ending.state, reason=ending.reason, cause=ending.cause, attempt=status.attempt + 1)
            run_dir.write_status(replace(ended, phase="ended", heartbeat=time.time()), durable=True)
    except (OSError, RunnerError) as error:
        log.error("the end of the run cannot be written to %s: %s", run_dir.path, error)
        if ending.state != "failed" and (says_disk_full(error) or disk_is_full(run_dir.path)):
            ending = disk_full(run_dir.path, str(error))
    if member is None:
        return ending.exit_code
    if not ending.is_trouble:
        member.end(ending)
    return int(ending.is_trouble)
