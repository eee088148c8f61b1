"""`runner drill`: faults injected into a small sweep on this machine."""

from __future__ import annotations

import argparse

from runner.core.text import say


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "drill",
        help="show on this machine which faults a sweep survives",
        description="Run a sweep of a scripted trainer in a temporary folder, expose it to faults (kills, hangs, torn files, a full disk), "
        "and check that its results equal those of an undisturbed sweep. Nothing else on this machine is touched.",
    )
    parser.add_argument("--minutes", type=float, default=1.0, metavar="N", help="approximate duration of the faults (default: 1)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="seed for the order and times of the faults (default: 0)")
    parser.add_argument("--kills", type=int, metavar="N", help="only kill the driver, N times at random moments")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    """Return 0 if the sweep survived every fault, 1 if not."""
    import math  # noqa: PLC0415 - kept out of `runner --help`
    import sys  # noqa: PLC0415
    import tempfile  # noqa: PLC0415
    from pathlib import Path  # noqa: PLC0415

    from rich.table import Table  # noqa: PLC0415

    from runner.core.errors import InputError  # noqa: PLC0415
    from runner.sweep.drill import Drill, clear  # noqa: PLC0415
    from runner.views.terminal import Terminal  # noqa: PLC0415

    if not (math.isfinite(args.minutes) and args.minutes > 0) or (args.kills is not None and args.kills < 1):
        raise InputError("drill: --minutes takes a number above 0, --kills a whole number above 0")
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
