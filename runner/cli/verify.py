"""`runner sweep verify`: what is wrong with a sweep directory, and putting it right."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path


def run_verify(argv: Sequence[str]) -> int:
    """``runner sweep verify ARGUMENT…``.

    Returns:
        0 nothing is wrong, or all of it was repaired; 1 something is.
    """
    parser = argparse.ArgumentParser(
        prog="runner sweep verify",
        description="Check everything that has to hold in a sweep directory: every run once and whole, the journal, the checkpoints.",
    )
    parser.add_argument("dir", type=Path, metavar="DIR", help="directory of a sweep")
    parser.add_argument("--repair", action="store_true", help="put right what can be; nobody may be working on the sweep")
    parser.add_argument("--json", action="store_true", help="print a JSON list of what was found")
    args = parser.parse_args(argv)

    from contextlib import nullcontext  # noqa: PLC0415
    from dataclasses import asdict  # noqa: PLC0415

    from runner.cli.sweep_at import sweep_at  # noqa: PLC0415
    from runner.core.files import move_aside  # noqa: PLC0415
    from runner.core.text import json_text, say  # noqa: PLC0415
    from runner.store.lock import hold  # noqa: PLC0415
    from runner.sweep.verify import verify  # noqa: PLC0415

    sweep = sweep_at(args.dir)
    if args.repair and os.path.lexists(sweep.lock) and not sweep.lock.is_file():
        move_aside(sweep.lock)
        say(f"{sweep.lock}: was no regular file; moved aside", error=True)
    with hold(sweep.lock) if args.repair else nullcontext():
        findings = verify(sweep, repair=args.repair)
    wrong = [finding for finding in findings if finding.wrong]
    left = [finding for finding in wrong if not finding.repaired]
    if args.json:
        print(json_text([asdict(finding) for finding in findings]))
        return 1 if left else 0
    for finding in findings:
        say(f"{'' if finding.wrong else 'note: '}{finding}")
    runs = len(sweep.run_names())
    say(f"{runs} runs: " + (f"{len(wrong)} problems, {len(wrong) - len(left)} repaired" if wrong else "nothing is wrong"))
    return 1 if left else 0
