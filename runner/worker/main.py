"""The worker's main: from a run directory to an ended attempt, whatever happens on the way."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from runner.backends.base import BACKENDS, Backend
from runner.config.bind import bind, require
from runner.config.load import load_config
from runner.core.errors import InputError, Interrupted, RunnerError
from runner.core.process import die_with_parent
from runner.core.rundir import RunDir
from runner.data.coco import CocoSet, load_coco
from runner.worker.attempt import Attempt
from runner.worker.lead import lead
from runner.worker.ranks import Member, OtherRank
from runner.worker.stop import StopRequests

log = logging.getLogger("runner.worker")


def main(argv: Sequence[str] | None = None) -> int:
    """``python -m runner.worker RUN_DIR``: goes on from the run's checkpoints if it has any.

    Where several processes train together, this one leads them (`runner.worker.lead`) or is one of them (`runner.worker.ranks`).

    Returns:
        0 done; 1 failed; 2 failed because something the config names cannot be used; 130 interrupted or pruned.
    """
    die_with_parent()
    parser = argparse.ArgumentParser(prog="python -m runner.worker", description="Work on one run: one attempt.")
    parser.add_argument("run_dir", type=Path)
    args = parser.parse_args(argv)
    run_dir = RunDir(args.run_dir)
    member = Member.from_environment()
    if member is not None:
        member.write_to(run_dir.log)
    rank = f"rank {member.rank}: " if member else ""
    logging.basicConfig(level=logging.INFO, format=f"%(asctime)s %(levelname)s {rank}%(name)s: %(message)s", stream=sys.stderr, force=True)
    stop = StopRequests(run_dir.control, member.summons.control_offset if member else None)
    if member is None or member.rank == 0:
        stop.install()
    attempt: Attempt | None = None
    try:
        backend, config = load_run(run_dir)
        if member is None and (ranks := backend.ranks(config)) is not None:
            return lead(run_dir, ranks, stop)
        if member is not None and member.rank > 0:
            backend.train(config, OtherRank(run_dir, member))
            return _end(None, run_dir, member, "done", None, 0)
        number = run_dir.status().attempt + 1
        log.info("attempt %d at %s", number, run_dir.name)
        resume_from = run_dir.checkpoints if run_dir.checkpoints.is_dir() else None
        eval_set = load_dataset(config.eval_dataset, evaluation=True)
        attempt = Attempt(run_dir, config, attempt=number, resume_from=resume_from, eval_set=eval_set, stop=stop, member=member)
        started = time.monotonic()
        backend.train(config, attempt)
        log.info("done in %.1f s", time.monotonic() - started)
        return _end(attempt, run_dir, member, "done", None, 0)
    except Interrupted as error:
        log.info("%s", error)
        return _end(attempt, run_dir, member, "pruned" if stop.action == "prune" else "interrupted", str(error), error.exit_code)
    except RunnerError as error:
        log.error("%s", error)
        return _end(attempt, run_dir, member, "failed", str(error), error.exit_code)
    except Exception as error:  # noqa: BLE001 - whatever it is, the run must be recorded as failed, with the trace in its log
        log.exception("the run failed")
        return _end(attempt, run_dir, member, "failed", f"{type(error).__name__}: {error} (trace in {run_dir.log})", 1)


def load_run(run_dir: RunDir) -> tuple[Backend, Any]:
    """The backend and the bound config of a run directory.

    Raises:
        InputError: config.yml is missing or was edited into something that is no resolved config.
    """
    tree = load_config(run_dir.config)
    name = tree.get("backend")
    backend: Backend = BACKENDS.get(str(name.value) if name else "torch")()
    return backend, require(bind(tree, backend.config_class))


def load_dataset(dataset: Any, *, evaluation: bool) -> CocoSet:
    """The images and boxes of a bound COCODataSet. An evaluation set keeps images without objects, whatever `allow_empty` says."""
    folder = Path(dataset.dataset_dir)
    return load_coco(
        folder / dataset.anno_path,
        folder / dataset.image_dir,
        allow_empty=evaluation or dataset.allow_empty,
        sample_num=dataset.sample_num,
        empty_ratio=1.0 if evaluation else dataset.empty_ratio,
    )


def _end(attempt: Attempt | None, run_dir: RunDir, member: Member | None, state: Any, reason: str | None, exit_code: int) -> int:
    """Record how it ended, or tell the leader. An attempt that could not even start has no Attempt: status.json is written directly.

    Returns:
        What this process exits with. A rank exits with 0 where it was not the one to fail: what starts ranks kills the others otherwise.
    """
    if member is not None and state == "failed":
        member.end(state, reason, exit_code)  # first of all: who fails first tells the reason
    try:
        if attempt is not None:
            attempt.end(state, reason)
        elif member is None or member.rank == 0:
            status = run_dir.status()
            ended = replace(status, state=state, reason=reason, attempt=status.attempt + 1, phase="ended", heartbeat=time.time())
            run_dir.write_status(ended, durable=True)
    except (OSError, InputError) as error:
        log.error("how the run ended cannot be written to %s: %s", run_dir.path, error)
    if member is None:
        return exit_code
    if state != "failed":
        member.end(state, reason, exit_code)
    return int(state == "failed")
