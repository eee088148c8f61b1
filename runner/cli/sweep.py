"""`runner sweep`: runs the trials of a sweep file that are not finished yet."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from runner.cli.options import add_overrides, missing_lines
from runner.core.text import say
from runner.core.values import counted, listed, shell_path

if TYPE_CHECKING:
    from runner.sweep.session_plan import SweepRequest


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("sweep", help="run a sweep: a baseline and its variations, over several seeds")
    parser.add_argument("file", type=Path, metavar="SWEEP.yml", help="for example sweeps/batchsize.yml")
    add_overrides(parser)
    parser.add_argument("-c", "--config", action=_NotAnOption, metavar="FILE", help=argparse.SUPPRESS)
    parser.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="change a key of the sweep file: --set seeds=[0,1,2]"
    )
    parser.add_argument("--dir", type=Path, metavar="DIR", help="the sweep's directory; default: runs/NAME")
    parser.add_argument("--dry-run", action="store_true", help="print the planned runs and start none")
    parser.add_argument("--launcher", metavar="NAME", help="local (the default), or inline: one after the other in this process")
    parser.add_argument("--retry-failed", action="store_true", help="start failed runs again")
    parser.set_defaults(run=_run, drives=True)


class _NotAnOption(argparse.Action):
    """The option ``-c``, which other commands have: an error that says how a sweep file is given."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: object, values: object, option: str | None = None) -> NoReturn:
        file = shell_path(str(values))
        parser.error(
            f"a sweep file needs no {option}, and names its config; did you mean: runner sweep {file} (one run: runner train -c {file})"
        )


def _run(args: argparse.Namespace) -> int:
    request = request_of(args)
    if args.dry_run:
        return _show_plan(request)
    return run_request(request, retry_failed=args.retry_failed)


def request_of(args: argparse.Namespace) -> SweepRequest:
    """Return what a parsed command line asks for."""
    from runner.launch.base import DEFAULT_LAUNCHER  # noqa: PLC0415 - kept out of `runner --help`
    from runner.sweep.session_plan import SweepRequest  # noqa: PLC0415

    return SweepRequest(args.file, tuple(args.opt), tuple(args.set), args.dir, args.launcher or DEFAULT_LAUNCHER)


def run_request(request: SweepRequest, *, retry_failed: bool = False) -> int:
    """Run a sweep and print its result; returns the exit code."""
    from runner.sweep.session_plan import plan_sweep  # noqa: PLC0415
    from runner.sweep.session_run import run_sweep  # noqa: PLC0415
    from runner.sweep.session_train import make_dataset  # noqa: PLC0415
    from runner.views.terminal import progress_console  # noqa: PLC0415

    sweep = plan_sweep(request, make_dataset=make_dataset)
    for warning in sweep.warnings:
        say(f"warning: {warning}", error=True)
    result = run_sweep(sweep, progress_console(), retry_failed=retry_failed)
    folder = shell_path(sweep.folder.path)
    for name, status in result.unfinished.items():
        state = "infeasible" if status.cause == "out_of_memory" else status.state
        say(f"runner: {name}: {state}: {status.reason}", error=True)
    for number, reason in result.refused.items():
        say(f"runner: trial {number} could not start: {reason}", error=True)
    pruned = f", {result.pruned} pruned" if result.pruned else ""
    done = f"{result.done} of {counted(result.runs, 'run')} done{pruned}"
    say(f"{done}; compare them: runner compare {folder}")
    if result.pruned and sweep.spec.pruner is not None:
        _print_audit(sweep.folder.path)
    if result.failed_before:
        say(f"runner: failed before: {listed(result.failed_before, 3)}; let them start again: runner retry {folder} --failed", error=True)
    if result.exit_code == 130:
        say(f"runner: interrupted: {done}; the same command continues, or: runner resume {folder}", error=True)
    elif result.missing:
        why = f": {result.stopped}" if result.stopped else ""
        say(f"runner: not started: {counted(len(result.missing), 'planned run')} ({listed(result.missing, 3)}){why}", error=True)
    return result.exit_code


def _print_audit(folder: Path) -> None:
    """Print what pruning may have cost."""
    from runner.sweep.session_results import read_search  # noqa: PLC0415

    for note in read_search(folder).audit_notes:
        say(note.text)


def _show_plan(request: SweepRequest) -> int:
    from runner.core.text import printable  # noqa: PLC0415
    from runner.sweep.session_plan import plan_sweep  # noqa: PLC0415
    from runner.views.table import PlannedRow, render_plan  # noqa: PLC0415
    from runner.views.terminal import Terminal  # noqa: PLC0415

    sweep = plan_sweep(request, to_run=False)
    for warning in sweep.warnings:
        say(f"warning: {warning}", error=True)
    states = {"done": "done", "pruned": "done", "failed": "failed", "pending": "to run"}
    rows, identities = [], sweep.folder.identities()
    for entry in sweep.entries():
        state = identities.run_dir(entry["id"]).status().state
        rows.append(PlannedRow(entry["id"], entry["seed"], entry["overrides"], states.get(state, "to resume")))
    console = Terminal()
    console.print(render_plan(rows, dict(sweep.plan.baseline_values)))
    for line in sweep.still_to_come():
        console.print(printable(line), highlight=False)
    for line in missing_lines(sweep.plan.first.missing):
        say(line, error=True)
    return 0
