"""`runner share`: our page on runs as one file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from runner.cli.options import check_output, write_output

_DEFAULT: Final = Path("report.html")
_LARGE_MB: Final = 25
_BYTES_PER_MB: Final = 1_000_000
_LEFT_OUT: Final = (
    "absolute paths, names of machines and users, images that runs made, logs except of failed runs, "
    "configs except the baseline's and what differs from it, points of curves closer together than a chart shows"
)


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("share", help="write the page on runs into one file, to send to others")
    parser.add_argument("paths", nargs="+", type=Path, metavar="DIR", help="sweep or run directories")
    parser.add_argument("-o", "--output", type=Path, default=_DEFAULT, metavar="FILE", help=f"the file; default: {_DEFAULT}")
    parser.add_argument("--force", action="store_true", help="overwrite FILE if it exists")
    parser.add_argument(
        "--view", type=_fragment, metavar="VIEW", help="what it opens with: the page's address from # on, such as '#curves?s=0.9'"
    )
    parser.set_defaults(run=_run)


def _fragment(text: str) -> str:
    """Return the part of an address from # on. Raises argparse.ArgumentTypeError: there is none."""
    _, sign, fragment = text.partition("#")
    if not sign or not fragment:
        raise argparse.ArgumentTypeError(f"expected the page's address from # on, such as '#curves?s=0.9', got {text!r}")
    return sign + fragment


def _run(args: argparse.Namespace) -> int:
    import time  # noqa: PLC0415

    from runner.core.text import say  # noqa: PLC0415
    from runner.core.values import counted  # noqa: PLC0415
    from runner.sweep.session_results import read_report  # noqa: PLC0415
    from runner.views.page.server import check_packages  # noqa: PLC0415

    check_packages(("msgspec",))
    check_output(args.output, force=args.force)

    from runner.views.page.data import SnapshotData  # noqa: PLC0415
    from runner.views.page.freeze import freeze  # noqa: PLC0415

    data = SnapshotData(args.paths, read_report)
    frozen = freeze(data, made=time.time(), view=args.view or "")
    write_output(args.output, frozen.text)
    size_mb = args.output.stat().st_size / _BYTES_PER_MB
    say(f"{args.output}: {counted(len(data.runs()), 'run')}, {size_mb:.1f} MB; opens in a browser, without a server or a network")
    say(f"left out: {_LEFT_OUT}")
    for problem in frozen.unanswered:
        say(f"left out: {problem}", error=True)
    if size_mb > _LARGE_MB:
        say(f"WARNING: larger than {_LARGE_MB} MB, which many mail servers refuse; share fewer runs", error=True)
    return 0
