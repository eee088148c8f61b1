"""`runner doctor`: a list of installed and missing requirements, and how to install them."""

from __future__ import annotations

import argparse

from runner.core.text import say


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("doctor", help="list what is installed and what is missing")
    parser.set_defaults(run=_run)


def _run(_args: argparse.Namespace) -> int:
    from runner.doctor import findings  # noqa: PLC0415 - kept out of `runner --help`

    problems = 0
    for finding in findings():
        problems += not finding.good
        say(f"{'ok  ' if finding.good else 'MISS'} {finding.what:22} {finding.text}")
    return 1 if problems else 0
