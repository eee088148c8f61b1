"""`runner compare`."""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from runner.cli.options import check_output, output_file, write_output

if TYPE_CHECKING:
    from rich.console import RenderableType

_REPLACED: Final = {"--csv": "--format csv", "--json": "--format json", "--md": "--format md"}
_CONFIG_SUFFIXES: Final = (".yml", ".yaml")
_FILE_WIDTH: Final = 120


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("compare", help="compare trials with their baseline: which change helped")
    parser.add_argument("paths", nargs="+", type=Path, metavar="DIR", help="sweep or run directories")
    parser.add_argument("--metric", metavar="TAG", help="deciding metric, for example bbox/AP50; default: the sweep file's")
    parser.add_argument("--goal", choices=("maximize", "minimize"), help="better direction; default: the sweep file's")
    parser.add_argument(
        "--images",
        action=argparse.BooleanOptionalAction,
        help="compare two checkpoints of one seed by a paired bootstrap over the images; default: where a trial has a single seed",
    )
    parser.add_argument(
        "--against", type=int, metavar="N", help="number of the trial that the others are compared with; default: the baseline"
    )
    parser.add_argument("--view", metavar="VIEW", help="part of a search's table: best, importances, pareto, slice or parallel")
    parser.add_argument(
        "--format", default="table", metavar="NAME", help="table, md, csv (one row per run), json (everything), or an installed renderer"
    )
    parser.add_argument("-o", "--output", type=output_file, metavar="FILE", help="write to a file instead of the terminal")
    parser.add_argument("--force", action="store_true", help="overwrite FILE if it exists")
    for option in _REPLACED:
        parser.add_argument(option, action=_Replaced, nargs=0, help=argparse.SUPPRESS)
    parser.set_defaults(run=_compare)


class _Replaced(argparse.Action):
    """An option of earlier versions: an error that names the new one."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: object, values: object, option: str | None = None) -> NoReturn:
        parser.error(f"{option} was replaced by {_REPLACED[str(option)]}")


def _compare(args: argparse.Namespace) -> int:
    from runner.core.errors import InputError  # noqa: PLC0415
    from runner.core.values import shell_path  # noqa: PLC0415
    from runner.sweep.session_results import read_report  # noqa: PLC0415
    from runner.views.renderers.base import render_report  # noqa: PLC0415
    from runner.views.terminal import Terminal  # noqa: PLC0415

    if args.output is not None:
        check_output(args.output, force=args.force)
    if configs := [path for path in args.paths if path.suffix in _CONFIG_SUFFIXES and path.is_file()]:
        pair = " ".join(map(shell_path, configs)) if len(configs) == 2 else "A.yml B.yml"
        raise InputError(f"expected directories of sweeps or runs, got {configs[0]}; to compare two configs: runner config diff {pair}")
    report = read_report(args.paths, args.metric, args.goal, images=args.images, against=args.against)
    shown = render_report(report, args.format, [args.view] if args.view else [])
    if args.output is not None:
        write_output(args.output, _text(shown))
    elif isinstance(shown, str):
        print(shown.rstrip("\n"))
    else:
        Terminal().print(shown)
    return 0


def _text(shown: str | RenderableType) -> str:
    """Return what a file gets: text as it is, a table 120 columns wide and without colour."""
    from runner.views.terminal import Terminal  # noqa: PLC0415

    if isinstance(shown, str):
        return shown
    page = io.StringIO()
    Terminal(file=page, width=_FILE_WIDTH, color_system=None).print(shown)
    return "\n".join(line.rstrip() for line in page.getvalue().split("\n"))
