"""`runner import`: runs of other programs, from their TensorBoard or VisualDL logs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from runner.cli.options import folder
from runner.core.text import say

if TYPE_CHECKING:
    from runner.foreign.import_runs import ImportedRun

_MOST_TAGS = 6


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("import", help="read TensorBoard or VisualDL logs of other programs as runs")
    parser.add_argument("paths", nargs="+", type=folder, metavar="LOGDIR", help="folder with logs, or with folders of them: one run each")
    parser.add_argument("--into", type=folder, default=Path("runs/imported"), metavar="DIR", help="default: runs/imported")
    parser.add_argument(
        "--rename",
        nargs="+",
        action="extend",
        default=[],
        type=_pair,
        metavar="OLD=NEW",
        help="give a tag another name, for example loss=train/loss, so that its curve is beside that of other runs",
    )
    parser.set_defaults(run=_run)


def _pair(text: str) -> tuple[str, str]:
    old, _, new = text.partition("=")
    if not old or not new:
        raise argparse.ArgumentTypeError(f"expected OLD=NEW, got {text!r}")
    return old, new


def _run(args: argparse.Namespace) -> int:
    from runner.core.errors import InputError  # noqa: PLC0415
    from runner.core.values import counted, shell_path  # noqa: PLC0415
    from runner.foreign.import_runs import import_runs  # noqa: PLC0415

    found = import_runs(args.paths, args.into, dict(args.rename))
    new = [run for run in found.runs if run.is_new]
    say(f"{counted(len(new), 'run')} imported into {args.into}" if new else "nothing new: each of these was imported before")
    for run in found.runs:
        say(_describe(run))
        for text in run.lost:
            say(f"    {text}")
    if sessions := sum(run.folder.is_session for run in found.runs):
        say(f"  {sessions} of these were written by add_hparams below one log: each is a run, as on TensorBoard's HPARAMS page")
    for problem in found.empty:
        say(f"  skipped: {problem}")
    say(f"to see them: runner dashboard {shell_path(args.into)}")
    if found.failed:
        raise InputError(found.failed)
    return 0


def _describe(run: ImportedRun) -> str:
    from runner.core.values import counted, listed  # noqa: PLC0415

    history = run.history
    label = f" ({run.folder.label})" if run.folder.label != run.path.name else ""
    what = f"{counted(history.values, 'value')} of {listed(history.tags, _MOST_TAGS)}; steps to {history.last_step:,}"
    return f"  {run.path.name}{label}: {what}{'' if run.is_new else '; imported before'}"
