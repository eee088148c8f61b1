"""`runner sweep drill`: what may happen to a sweep, made to happen on this machine."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from runner.core.text import say


def run_drill(argv: Sequence[str]) -> int:
    """``runner sweep drill ARGUMENT…``.

    Returns:
        0 the sweep survived everything; 1 it did not.
    """
    parser = argparse.ArgumentParser(
        prog="runner sweep drill",
        description="Run a sweep of a scripted trainer in a temporary folder, do to it what may happen (kills, hangs, torn files, "
        "a full disk), and check that it comes to the same as one that is left alone. Nothing else on this machine is touched.",
    )
    parser.add_argument("--minutes", type=float, default=1.0, metavar="N", help="about how long faults go on (default: 1)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="what follows what, and when (default: 0)")
    parser.add_argument("--kills", type=int, metavar="N", help="kill the driver so many times at random moments, and nothing else")
    args = parser.parse_args(argv)

    import sys  # noqa: PLC0415 - kept out of `runner --help`
    import tempfile  # noqa: PLC0415
    from pathlib import Path  # noqa: PLC0415

    from rich.table import Table  # noqa: PLC0415

    from runner.sweep.drill import Drill, clear  # noqa: PLC0415
    from runner.views.terminal import Terminal  # noqa: PLC0415

    folder = Path(tempfile.mkdtemp(prefix="runner-drill-"))
    drill = Drill(folder, minutes=args.minutes, seed=args.seed, kills=args.kills, say=lambda text: print(text, file=sys.stderr, flush=True))
    report = drill.run()
    table = Table("fault", "how", "times", "outcome")
    for fault in report.faults:
        outcome = "; ".join(fault.wrong) or (f"skipped: {fault.skipped}" if fault.skipped else "survived" if fault.times else "not reached")
        table.add_row(fault.name, fault.what, str(fault.times), outcome)
    for name, wrong in report.checks.items():
        table.add_row("at the end", name, "", wrong or "yes")
    Terminal().print(table)
    if report.passed:
        clear(folder)
        return 0
    say(f"the sweep is kept in {folder}")
    return 1
