"""`runner verify`: checks a sweep's directory and repairs it."""

from __future__ import annotations

import argparse
import os
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "verify",
        help="check a sweep's directory, and repair it",
        description="Check the invariants of a sweep's directory: every run exists once and is complete, the journal, the checkpoints.",
    )
    parser.add_argument("dir", type=Path, metavar="SWEEP", help="directory of a sweep")
    parser.add_argument("--repair", action="store_true", help="repair what can be repaired; no driver may be working on the sweep")
    parser.add_argument("--json", action="store_true", help="print the findings as a JSON list")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    """Return 0 if nothing is wrong or all of it was repaired, 1 if something is wrong."""
    from contextlib import nullcontext  # noqa: PLC0415 - kept out of `runner --help`
    from dataclasses import asdict  # noqa: PLC0415

    from runner.core.files import move_aside  # noqa: PLC0415
    from runner.core.text import json_text, say  # noqa: PLC0415
    from runner.core.values import counted  # noqa: PLC0415
    from runner.store.lock import hold  # noqa: PLC0415
    from runner.sweep.sweep_dir import sweep_at  # noqa: PLC0415
    from runner.sweep.verify import verify  # noqa: PLC0415

    sweep = sweep_at(args.dir)
    if args.repair and os.path.lexists(sweep.lock) and not sweep.lock.is_file():
        move_aside(sweep.lock)
        say(f"{sweep.lock}: was not a regular file; moved aside", error=True)
    with hold(sweep.lock) if args.repair else nullcontext():
        findings = verify(sweep, repair=args.repair)
    wrong = [finding for finding in findings if finding.wrong]
    left = [finding for finding in wrong if not finding.repaired]
    if args.json:
        print(json_text([asdict(finding) for finding in findings]))
        return 1 if left else 0
    for finding in findings:
        say(f"{'' if finding.wrong else 'note: '}{finding}")
    found = f"{counted(len(wrong), 'problem')}, {len(wrong) - len(left)} repaired" if wrong else "nothing is wrong"
    say(f"{counted(len(sweep.run_names()), 'run')}: {found}")
    return 1 if left else 0
