"""`runner pause`: starts no further runs of a running sweep."""

from __future__ import annotations

import argparse
from pathlib import Path

from runner.core.text import say
from runner.core.values import shell_path


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("pause", help="start no further runs of a sweep until `runner resume`")
    parser.add_argument("dir", type=Path, metavar="SWEEP", help="directory of a sweep")
    parser.add_argument("--save", action="store_true", help="also save and end the active runs; they continue from there")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from runner.store.commands import Command  # noqa: PLC0415 - kept out of `runner --help`
    from runner.store.control import send  # noqa: PLC0415
    from runner.sweep.sweep_dir import driven_sweep  # noqa: PLC0415

    sweep = driven_sweep(args.dir)
    send(sweep.control, Command("pause", save=args.save))
    active = "active runs save and end" if args.save else "active runs finish"
    say(f"paused: nothing new starts, {active}; continue: runner resume {shell_path(sweep.path)}")
    return 0
