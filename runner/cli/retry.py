"""`runner retry`: starts the failed runs of a sweep again."""

from __future__ import annotations

import argparse
from pathlib import Path

from runner.core.text import say
from runner.core.values import counted, shell_path


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("retry", help="start the failed runs of a sweep again")
    parser.add_argument("dir", type=Path, metavar="SWEEP", help="directory of a sweep")
    parser.add_argument("--failed", action="store_true", help="all runs that failed; the only choice so far")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from runner.core.errors import InputError, Problem  # noqa: PLC0415
    from runner.core.lock import holder  # noqa: PLC0415
    from runner.monitor.progress import run_status  # noqa: PLC0415
    from runner.store.commands import Command  # noqa: PLC0415
    from runner.store.control import send  # noqa: PLC0415
    from runner.store.journal import Journal  # noqa: PLC0415
    from runner.store.lock import hold  # noqa: PLC0415
    from runner.store.run_dir import RunDir  # noqa: PLC0415
    from runner.sweep.runs import reopen  # noqa: PLC0415
    from runner.sweep.sweep_dir import clear_sweep  # noqa: PLC0415 - kept out of `runner --help`

    if RunDir(args.dir).exists():
        raise InputError(Problem(f"is a run; did you mean: runner train -r {shell_path(args.dir)}", where=str(args.dir)))
    sweep = clear_sweep(args.dir)
    if not args.failed:
        raise InputError(f"expected which runs to retry: runner retry {shell_path(args.dir)} --failed")
    failed = [run_dir for run_dir in sweep.run_dirs() if run_dir.status().state == "failed"]
    if not failed:
        left = sum(run_status(run_dir).state == "interrupted" for run_dir in sweep.run_dirs())
        more = f"; {counted(left, 'run')} interrupted, continue: runner resume {shell_path(sweep.path)}" if left else ""
        say(f"no run has failed{more}")
        return 0
    if holder(sweep.lock) is not None:
        send(sweep.control, Command("retry"))
        say(f"retry of {counted(len(failed), 'failed run')} requested; watch it: runner status {shell_path(sweep.path)}")
        return 0
    with hold(sweep.lock):
        journal = Journal(sweep.journal)
        for run_dir in failed:
            journal.append(reopen(run_dir))
        journal.close()
    say(f"{counted(len(failed), 'failed run')} will start again with: runner resume {shell_path(sweep.path)}")
    return 0
