"""`runner status`: the state of sweeps and runs, from any terminal, while they are active or afterwards."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("status", help="show driver, progress and failures of a sweep or a run")
    parser.add_argument("dir", type=Path, metavar="DIR", help="directory of a sweep, of a run, or of several")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from runner.sweep.session_status import read_status  # noqa: PLC0415
    from runner.views.renderers.base import render_report  # noqa: PLC0415
    from runner.views.terminal import Terminal  # noqa: PLC0415

    shown = render_report(read_status(args.dir), "json" if args.json else "table")
    if isinstance(shown, str):
        print(shown.rstrip("\n"))
    else:
        console = Terminal()
        console.print(shown, soft_wrap=not console.is_terminal)
    return 0
