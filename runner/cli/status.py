"""`runner status`: the state of sweeps and runs, from any terminal, while they are active or afterwards."""

from __future__ import annotations

import argparse
from pathlib import Path

_FORMAT = 1
"""Version of the JSON: it changes when a reader would have to."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("status", help="show the state of a sweep or a run: driver, runs by state, progress, failures")
    parser.add_argument("dir", type=Path, metavar="DIR", help="directory of a sweep, of a run, or of several")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from runner.core.lock import holder  # noqa: PLC0415
    from runner.core.text import json_text  # noqa: PLC0415
    from runner.monitor.overview import read_runs, read_sweep  # noqa: PLC0415
    from runner.monitor.places import find_places  # noqa: PLC0415
    from runner.sweep.sweep_dir import SweepDir  # noqa: PLC0415
    from runner.views.status import render_status  # noqa: PLC0415
    from runner.views.terminal import Terminal  # noqa: PLC0415

    seen = []
    for path, runs in find_places(args.dir):
        sweep = SweepDir(path)
        driver = None if runs else holder(sweep.lock)
        seen.append((read_runs(path, runs) if runs else read_sweep(sweep, driven=driver is not None), driver))
    if args.json:
        found = [
            {**overview.to_json(), "driver": None if driver is None else {"pid": driver.pid, "host": driver.host, "since": driver.since}}
            for overview, driver in seen
        ]
        print(json_text({"format": _FORMAT, "places": found}))
        return 0
    console = Terminal()
    for index, (overview, driver) in enumerate(seen):
        if index:
            console.print()
        shown = render_status(overview, str(driver or ""), brief=len(seen) > 1)
        console.print(shown, soft_wrap=not console.is_terminal)
    return 0
