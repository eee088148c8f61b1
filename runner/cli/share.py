"""`runner share`: our page on runs as one file, or their logs at a viewer's service."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from runner.cli.options import check_output, output_file, write_output
from runner.core.text import say

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
    parser.add_argument("-o", "--output", type=output_file, metavar="FILE", help=f"the file; default: {_DEFAULT}")
    parser.add_argument("--force", action="store_true", help="overwrite FILE if it is an earlier report")
    parser.add_argument(
        "--view",
        type=_fragment,
        metavar="VIEW",
        help="what it opens with: the page's address from # on, such as '#curves?s=0.9'",
    )
    parser.add_argument("--no-images", action="store_true", help="without images of the evaluated data set, of which it has up to 50")
    parser.add_argument(
        "--service", metavar="NAME", help="write no file; send the logs of the runs to a viewer's service in the web: visualdl"
    )
    parser.add_argument("--yes", action="store_true", help="with --service: send without asking")
    parser.set_defaults(run=_run)


def _fragment(text: str) -> str:
    """Return the part of an address from # on. Raises argparse.ArgumentTypeError: there is none, or it names no tab."""
    from urllib.parse import unquote  # noqa: PLC0415

    from runner.core.errors import what_exists  # noqa: PLC0415
    from runner.views.page import TABS  # noqa: PLC0415

    _, sign, fragment = text.partition("#")
    if not sign or not fragment:
        raise argparse.ArgumentTypeError(f"expected the page's address from # on, such as '#curves?s=0.9', got {text!r}")
    tab = unquote(fragment.partition("?")[0])
    if tab and tab not in TABS:
        raise argparse.ArgumentTypeError(f"the page has no tab {tab!r}; {what_exists(tab, TABS)}")
    return sign + fragment


def _run(args: argparse.Namespace) -> int:
    from runner.core.errors import InputError  # noqa: PLC0415

    if args.service is None:
        if args.yes:
            raise InputError("--yes is for --service; a file leaves this machine only if you send it")
        return _write_file(args)
    if args.output is not None or args.view is not None or args.force or args.no_images:
        raise InputError("--output, --force, --view and --no-images are for a file; with --service none is written")
    return _send(args)


def _write_file(args: argparse.Namespace) -> int:
    import time  # noqa: PLC0415
    from contextlib import closing  # noqa: PLC0415
    from functools import partial  # noqa: PLC0415

    from runner.core.values import counted  # noqa: PLC0415
    from runner.sweep.session_results import read_report  # noqa: PLC0415
    from runner.views.page.server import check_packages  # noqa: PLC0415

    output = args.output or _DEFAULT
    check_packages(("msgspec",))

    from runner.views.page.column_cache import ColumnCache  # noqa: PLC0415
    from runner.views.page.column_store import ColumnStore  # noqa: PLC0415
    from runner.views.page.data import SnapshotData  # noqa: PLC0415
    from runner.views.page.facts import read_once  # noqa: PLC0415
    from runner.views.page.freeze import freeze, is_frozen  # noqa: PLC0415

    check_output(output, force=args.force, is_earlier=is_frozen)
    with closing(ColumnStore(cache=ColumnCache())) as columns:
        results = read_once(args.paths, columns.summary)
        data = SnapshotData(args.paths, partial(read_report, runs=results), results, columns)
        frozen = freeze(data, made=time.time(), view=args.view or "", images=not args.no_images)
    write_output(output, frozen.text)
    size_mb = output.stat().st_size / _BYTES_PER_MB
    say(f"{output}: {counted(len(data.runs()), 'run')}, {size_mb:.1f} MB; opens in a browser, without a server or a network")
    if frozen.images:
        say(f"in it: {counted(frozen.images, 'image')} of the evaluated data set; --no-images leaves them out")
    say(f"left out: {_LEFT_OUT}")
    for problem in frozen.unanswered:
        say(f"left out: {problem}", error=True)
    if size_mb > _LARGE_MB:
        say(f"WARNING: larger than {_LARGE_MB} MB, which many mail servers refuse; share fewer runs", error=True)
    return 0


def _send(args: argparse.Namespace) -> int:
    from runner.core.errors import InputError  # noqa: PLC0415
    from runner.core.values import counted  # noqa: PLC0415
    from runner.store.run_dir import check_directories, find_runs, no_runs  # noqa: PLC0415
    from runner.views.viewers.service import LogUpload, prepare_upload, send_logs  # noqa: PLC0415

    def confirmed(upload: LogUpload) -> bool:
        say(f"to {upload.service}, where everyone who has the address that it returns can see them:")
        for log in upload.logs:
            say(f"  {log.name}  {log.size / _BYTES_PER_MB:.2f} MB")
        total_mb = sum(log.size for log in upload.logs) / _BYTES_PER_MB
        say(f"{counted(len(upload.logs), 'file')}, {total_mb:.2f} MB, with curves, sample images, varied keys and names of runs")
        say(f"the service takes {upload.viewer.most_sent_bytes / _BYTES_PER_MB:.0f} MB at once, and {upload.viewer.service_terms}")
        if args.yes:
            return True
        if sys.stdin is None or not sys.stdin.isatty():
            raise InputError("nothing was sent: there is no terminal to ask at; --yes sends these files")
        print("send them? [y/N] ", end="", flush=True)
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    check_directories(args.paths)
    runs = list(find_runs(args.paths))
    if not runs:
        raise no_runs(args.paths)
    with prepare_upload(args.service, runs) as upload:
        if not confirmed(upload):
            say("nothing was sent")
            return 1
        say(f"sent; to be seen at {send_logs(upload)}")
    return 0
