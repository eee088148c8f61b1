"""`runner dashboard`: our page on runs, or a tracker's viewer."""

from __future__ import annotations

import argparse
import os
from contextlib import closing
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("dashboard", help="open a page on runs, or a tracker's viewer")
    parser.add_argument("paths", nargs="+", type=Path, metavar="DIR", help="sweep or run directories")
    parser.add_argument(
        "--with", dest="viewer", metavar="TRACKER", help="start this tracker's viewer instead: visualdl, tensorboard, or an installed one"
    )
    parser.add_argument("--port", type=int, metavar="N", help="port of the page; default: a free one")
    parser.add_argument(
        "--host", metavar="HOST", help="interface of the page; default: 127.0.0.1, which only this machine reaches; others need a token"
    )
    parser.add_argument("--language", metavar="LANGUAGE", help="language of the page: en or zh; default: the browser's, with visualdl en")
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from runner.core.errors import InputError, Problem  # noqa: PLC0415
    from runner.store.run_dir import check_directories  # noqa: PLC0415

    if args.viewer is None:
        from runner.views.page.server import check_packages  # noqa: PLC0415

        check_packages()
    elif args.host is not None:
        raise InputError(f"--host is for the page; --with {args.viewer} serves this machine only: its viewer asks for no password")
    check_directories(args.paths)
    if wrong := [path for path in args.paths if not os.access(path, os.R_OK | os.X_OK)]:
        raise InputError([Problem("the folder cannot be read: permission denied", where=str(path)) for path in wrong])
    return _serve(args) if args.viewer is None else _view(args)


def _serve(args: argparse.Namespace) -> int:
    from runner.sweep.session_results import read_report  # noqa: PLC0415
    from runner.views.page.live import LiveData  # noqa: PLC0415
    from runner.views.page.server import LOOPBACK, PageServer  # noqa: PLC0415

    host = args.host or LOOPBACK
    with closing(LiveData(args.paths, read_report, is_private=host in (LOOPBACK, "localhost", "::1"))) as data:
        server = PageServer(data, host=host, port=args.port, language=args.language)
        print(f"{data.title} at {server.url} (Ctrl-C ends it)", flush=True)
        if server.url_by_number:
            print(f"from a machine that does not know this one's name: {server.url_by_number}", flush=True)
        if server.token:
            print("who has this address can read the runs, and nothing is encrypted; safer: ssh -L, without --host", flush=True)
        if args.open:
            _open(server.url)
        server.run()
    return 0


def _view(args: argparse.Namespace) -> int:
    from runner.core.errors import InputError  # noqa: PLC0415
    from runner.core.values import counted  # noqa: PLC0415
    from runner.store.run_dir import find_runs  # noqa: PLC0415
    from runner.views.viewers.processes import start_viewer  # noqa: PLC0415

    runs = list(find_runs(args.paths))
    if not runs:
        raise InputError(f"no run in {', '.join(map(str, args.paths))}; `runner ls` lists the runs")
    with start_viewer(args.viewer, runs, port=args.port, language=args.language) as viewer:
        print(f"{viewer.kind} shows {counted(len(runs), 'run')} at {viewer.url} (Ctrl-C ends it)", flush=True)
        if args.open:
            _open(viewer.url)
        viewer.wait()
    return 0


def _open(url: str) -> None:
    """Open an address in the browser, in a thread: a browser in a terminal returns when it ends."""
    import threading  # noqa: PLC0415
    import webbrowser  # noqa: PLC0415

    threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
