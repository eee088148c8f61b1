"""`runner retry`: let failed runs of a sweep be started again."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from runner.core.text import say


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("retry", help="start failed runs of a sweep again")
    parser.add_argument("dir", type=Path, metavar="DIR", help="directory of a sweep")
    parser.add_argument("--failed", action="store_true", required=True, help="all runs that failed")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from runner.cli.sweep_at import clear_sweep  # noqa: PLC0415 - kept out of `runner --help`
    from runner.conduct.inbox import send  # noqa: PLC0415
    from runner.conduct.lock import hold  # noqa: PLC0415
    from runner.conduct.runs import allow_again  # noqa: PLC0415
    from runner.core.commands import Command  # noqa: PLC0415
    from runner.core.journal import Journal  # noqa: PLC0415
    from runner.core.lock import holder  # noqa: PLC0415

    sweep = clear_sweep(args.dir)
    failed = [run_dir for run_dir in sweep.run_dirs() if run_dir.status().state == "failed"]
    if not failed:
        say("no run has failed")
        return 0
    if holder(sweep.lock) is not None:
        send(sweep.control, Command("retry"))
        say(f"asked to start {len(failed)} failed runs again; watch it: runner status {sweep.path}")
        return 0
    with hold(sweep.lock):
        journal = Journal(sweep.journal)
        for run_dir in failed:
            allow_again(run_dir, journal)
        journal.close()
    command = shlex.join(["runner", *sweep.plan().get("command", ["sweep", "SWEEP.yml"])])
    say(f"{len(failed)} failed runs will be started again by: {command}")
    return 0
