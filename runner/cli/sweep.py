"""`runner sweep`: the runs of a sweep file, those that are not finished yet."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runner.cli.again import again
from runner.cli.options import add_overrides, missing_lines
from runner.core.text import say
from runner.core.values import shell_path

if TYPE_CHECKING:
    from runner.sweep.session_plan import PlannedSweep


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("sweep", help="run a sweep: a baseline and what is varied, over several seeds")
    parser.add_argument("file", type=Path, metavar="SWEEP.yml", help="for example sweeps/batchsize.yml")
    add_overrides(parser)
    parser.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="change a key of the sweep file: --set seeds=[0,1,2]"
    )
    parser.add_argument("--dir", type=Path, metavar="DIR", help="the sweep's directory; default: runs/NAME")
    parser.add_argument("--dry-run", action="store_true", help="print the trials and start none")
    parser.add_argument("--launcher", choices=("local", "inline"), default="local", help="inline: one after the other in this process")
    parser.add_argument("--retry-failed", action="store_true", help="start failed runs again")
    parser.set_defaults(run=_run, drives=True)


def _run(args: argparse.Namespace) -> int:
    from runner.config.load import find_file  # noqa: PLC0415 - kept out of `runner --help`
    from runner.search.load import load_sweep  # noqa: PLC0415
    from runner.sweep.plan import folder_name, refuse_parent  # noqa: PLC0415
    from runner.sweep.session_plan import plan_sweep  # noqa: PLC0415
    from runner.sweep.session_run import make_dataset, run_sweep  # noqa: PLC0415

    file = find_file(args.file)
    spec = load_sweep(file, args.set)
    folder = args.dir or Path("runs") / folder_name(file, "--dir")
    refuse_parent(folder, "--dir")
    sweep = plan_sweep(spec, file, folder, args.opt, make_dataset=None if args.dry_run else make_dataset, to_run=not args.dry_run)
    for warning in sweep.warnings:
        say(f"warning: {warning}", error=True)
    if args.dry_run:
        _print_plan(sweep)
        for line in missing_lines(sweep.plan.first.missing):
            say(line, error=True)
        return 0
    result = run_sweep(sweep, launcher=args.launcher, retry_failed=args.retry_failed)
    for name, status in result.unfinished.items():
        state = "infeasible" if status.cause == "out_of_memory" else status.state
        say(f"runner: {name}: {state}: {status.reason}", error=True)
    for number, reason in result.refused.items():
        say(f"runner: trial {number} could not start: {reason}", error=True)
    given_up = f", {result.pruned} given up early" if result.pruned else ""
    say(f"{result.done} of {result.runs} runs done{given_up}; compare them: runner compare {shell_path(folder)}")
    if result.pruned and spec.pruner is not None:
        _print_audit(folder)
    if result.failed_before:
        say(f"runner: failed before: {_some(result.failed_before)}; --retry-failed starts them again", error=True)
    if result.exit_code == 130:
        say(f"runner: interrupted; the same command goes on with it: {again(sweep.folder)}", error=True)
    elif result.missing:
        why = f": {result.stopped}" if result.stopped else ""
        say(f"runner: {len(result.missing)} planned runs were not started ({_some(result.missing)}){why}", error=True)
    return result.exit_code


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _print_audit(folder: Path) -> None:
    """Print what pruning may have cost."""
    from runner.sweep.session_results import read_search  # noqa: PLC0415

    for note in read_search(folder).audit_notes:
        say(note.text)


def _print_plan(sweep: PlannedSweep) -> None:
    from runner.core.text import printable  # noqa: PLC0415
    from runner.views.table import PlannedRow, render_plan  # noqa: PLC0415
    from runner.views.terminal import Terminal  # noqa: PLC0415

    states = {"done": "done", "pruned": "done", "failed": "failed", "pending": "to run"}
    rows, identities = [], sweep.folder.identities()
    for entry in sweep.entries():
        state = identities.run_dir(entry["id"]).status().state
        rows.append(PlannedRow(entry["id"], entry["seed"], entry["overrides"], states.get(state, "to go on")))
    console = Terminal()
    console.print(render_plan(rows, dict(sweep.plan.baseline_values)))
    for line in sweep.still_to_come():
        console.print(printable(line), highlight=False)
