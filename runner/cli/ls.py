"""`runner ls`: the runs there are."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("ls", help="list runs: state, progress, AP")
    parser.add_argument("paths", nargs="*", type=Path, default=[Path("runs")], metavar="DIR", help="default: runs/")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from runner.core.errors import InputError  # noqa: PLC0415 - kept out of `runner --help`
    from runner.core.rundir import find_runs  # noqa: PLC0415
    from runner.views.table import print_runs  # noqa: PLC0415

    missing = [path for path in args.paths if not path.exists() and path != Path("runs")]
    if missing:
        raise InputError(f"there is no {', '.join(map(str, missing))}")
    runs = list(find_runs([path for path in args.paths if path.exists()]))
    if not runs:
        print("no runs yet; start one: runner train -c configs/fcos_tiny.yml")
        return 0
    print_runs(runs)
    return 0
