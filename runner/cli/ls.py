"""`runner ls`: a list of runs."""

from __future__ import annotations

import argparse
from pathlib import Path

from runner.core.text import say


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("ls", help="list runs: state, progress, AP")
    parser.add_argument("paths", nargs="*", type=Path, default=[Path("runs")], metavar="DIR", help="default: runs/")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from runner.results.collect import collect  # noqa: PLC0415
    from runner.store.run_dir import find_runs  # noqa: PLC0415
    from runner.views.table import render_runs  # noqa: PLC0415
    from runner.views.terminal import Terminal  # noqa: PLC0415

    if args.paths == [Path("runs")] and not any(find_runs(args.paths)):
        say("no runs yet; start one: runner train -c configs/fcos_tiny.yml")
        return 0
    Terminal().print(render_runs(collect(args.paths)))
    return 0
