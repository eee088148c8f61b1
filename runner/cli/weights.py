"""`runner weights fetch | list | verify | remove`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from runner.cli.options import folder
from runner.core.text import say
from runner.core.values import counted

if TYPE_CHECKING:
    from runner.weights.inventory import StockItem

_MIB = 1 << 20


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("weights", help="fetch, list, verify and remove published weights")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    fetch = actions.add_parser("fetch", help="download weights and lock them in weights.lock; no other command downloads")
    fetch.add_argument(
        "sources",
        nargs="*",
        metavar="NAME|URL|CONFIG",
        help="a name of torchvision's or of the Hugging Face hub, an address, or a config or sweep file; default: all of weights.lock",
    )
    fetch.add_argument("--offline-from", type=folder, metavar="DIR", help="take the files from a folder below DIR; do not use the network")
    fetch.set_defaults(run=_fetch)

    listing = actions.add_parser("list", help="list the weights of weights.lock, and which of them are on this machine")
    listing.set_defaults(run=_list)

    verify = actions.add_parser("verify", help="compare the stored files with their SHA-256")
    verify.add_argument("names", nargs="*", metavar="NAME", help="names in weights.lock; default: all, and all other stored files")
    verify.set_defaults(run=_verify)

    remove = actions.add_parser("remove", help="delete weights from weights.lock and from this machine")
    remove.add_argument("names", nargs="+", metavar="NAME", help="names in weights.lock")
    remove.add_argument("--keep-lock", action="store_true", help="delete only the file, to free space")
    remove.set_defaults(run=_remove)


def _fetch(args: argparse.Namespace) -> int:
    from runner.core.errors import InputError, Problem  # noqa: PLC0415 - kept out of `runner --help`
    from runner.views.counting import count_progress  # noqa: PLC0415
    from runner.weights.fetch import fetch  # noqa: PLC0415
    from runner.weights.in_config import names_in_config  # noqa: PLC0415
    from runner.weights.lockfile import lock_path, read_lock  # noqa: PLC0415
    from runner.weights.names import parse_name, without_pin  # noqa: PLC0415

    names: list[str] = []
    for source in args.sources:
        if Path(source).suffix in (".yml", ".yaml") and not parse_name(source).is_published:
            found = names_in_config(Path(source))
            if not found:
                say(f"{source}: names no published weights, nothing to fetch")
            names += found
        else:
            names.append(source)
    if not args.sources:
        names = [entry.name for entry in read_lock(lock_path())]
        if not names:
            raise InputError(Problem("has no entries; give a name, an address or a config", where=str(lock_path())))
    for name in dict.fromkeys(names):
        with count_progress() as bar:
            got = fetch(
                name,
                say,
                lambda done, total, name=name: bar(done // _MIB, (total or done) // _MIB, f"{without_pin(name)} (MiB)"),  # type: ignore[misc]
                args.offline_from,
            )
        if got.origin == "store":
            say(f"{got.entry.name}: already there, {got.entry.sha256[:16]}… in {got.path.parent}")
        else:
            say(f"  stored   {got.path}")
            say(f"  locked   {lock_path()}")
    return 0


def _list(_args: argparse.Namespace) -> int:
    from rich import box  # noqa: PLC0415 - kept out of `runner --help`
    from rich.table import Table  # noqa: PLC0415

    from runner.views.terminal import Terminal, plain  # noqa: PLC0415
    from runner.weights.inventory import inventory  # noqa: PLC0415
    from runner.weights.lockfile import lock_path  # noqa: PLC0415
    from runner.weights.store import store_folder  # noqa: PLC0415

    items = inventory(read=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("name", overflow="fold")  # a shortened one could not be copied
    for column in ("MiB", "licence", "sha256", "on this machine"):
        table.add_column(column)
    for item in items:
        if (entry := item.entry) is not None:
            there = "yes" if item.path is not None else "no"
            table.add_row(*map(plain, (entry.name, f"{entry.size_bytes / _MIB:,.1f}", entry.licence, entry.sha256[:16], there)))
    if table.row_count:
        Terminal().print(table)
    else:
        say(f"no weights in {lock_path()}; add some: runner weights fetch NAME")
    others = [item.path.stat().st_size for item in items if item.entry is None and item.path is not None]
    if others:
        say(f"{store_folder()} also has {counted(len(others), 'file')} of other projects, {sum(others) / _MIB:,.1f} MiB")
    return 0


def _verify(args: argparse.Namespace) -> int:
    from runner.weights.inventory import inventory  # noqa: PLC0415 - kept out of `runner --help`

    items = inventory(args.names, read=True)
    for item in items:
        say(f"{_title(item)}: {_verdict(item)}")
    good = sum(item.state == "intact" for item in items)
    say(f"{good} of {counted(len(items), 'file')} intact")
    return 0 if good == len(items) else 1


def _title(item: StockItem) -> str:
    return item.entry.name if item.entry is not None else f"{item.path} (not in weights.lock)"


def _verdict(item: StockItem) -> str:
    from runner.core.values import shell_path  # noqa: PLC0415 - kept out of `runner --help`

    if item.state == "intact":
        return "intact"
    if item.entry is None:
        return "damaged; delete it"
    what = "not on this machine" if item.state == "missing" else f"{item.path} is damaged"
    return f"{what}: runner weights fetch {shell_path(item.entry.name)}"


def _remove(args: argparse.Namespace) -> int:
    from runner.weights.inventory import remove  # noqa: PLC0415 - kept out of `runner --help`

    for name in args.names:
        entry = remove(name, keep_lock=args.keep_lock, say=say)
        say(f"{entry.name}: removed{' from this machine; it is still locked' if args.keep_lock else ''}")
    return 0
