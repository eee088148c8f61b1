"""`runner backend`: install, list and remove the environments of backends that need one of their own."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from runner.core.errors import InputError
from runner.core.text import say
from runner.core.values import GIB


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("backend", help="install, list and remove the environments of backends")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    install = actions.add_parser("install", help="build a backend's environment and check it with a training step")
    install.add_argument("name", metavar="NAME", help="paddle")
    install.add_argument("--gpu", action="store_true", help="use the framework's build for NVIDIA GPUs")
    install.add_argument("--index", default="", metavar="URL", help="with --gpu: package index with a newer GPU build")
    install.add_argument("--python", default="", metavar="PATH", help="interpreter to build it with")
    install.add_argument(
        "--ppdet", default=None, metavar="DIR", help="checkout of PaddleDetection to install in place of its release 2.6.0"
    )
    install.add_argument("--force", action="store_true", help="rebuild an existing environment")
    install.set_defaults(run=_install)

    listing = actions.add_parser("list", help="list the environments that backends run in")
    listing.set_defaults(run=_list)

    remove = actions.add_parser("remove", help="delete a backend's environment")
    remove.add_argument("name", metavar="NAME", help="paddle")
    remove.set_defaults(run=_remove)


def _install(args: argparse.Namespace) -> int:
    from runner.environments.install import install, size_bytes  # noqa: PLC0415 - kept out of `runner --help`

    _refuse_plugin(args.name)
    with _Line() as line:
        source = Path(args.ppdet).expanduser() if args.ppdet is not None else None
        made = install(args.name, gpu=args.gpu, index=args.index, python=args.python, source=source, force=args.force, progress=line.show)
    record = made.record
    shown = ", ".join(f"{name} {version}" for name, version in record.check.get("versions", {}).items())
    if not made.fresh:
        say(f"{args.name}: already there since {record.made}: {shown}")
        say(f"  in {made.folder}")
        return 0
    say(f"{args.name}: ready after {record.seconds:.0f} s: {shown}; {size_bytes(made.folder) / GIB:.1f} GiB")
    say(f"  in {made.folder}")
    say(f"  use it: -o backend={args.name}")
    if record.gpu and not record.check.get("gpus"):
        say("  note: this is the GPU build, and no GPU was found; `runner doctor` has details")
    return 0


def _list(_args: argparse.Namespace) -> int:
    from rich import box  # noqa: PLC0415 - kept out of `runner --help`
    from rich.table import Table  # noqa: PLC0415

    from runner.backends.base import BACKENDS  # noqa: PLC0415
    from runner.backends.status import backend_status  # noqa: PLC0415
    from runner.environments.install import size_bytes, tidy  # noqa: PLC0415
    from runner.environments.specs import SPECS  # noqa: PLC0415
    from runner.views.terminal import Terminal, plain  # noqa: PLC0415

    table = Table("backend", "runs in", "versions", "build", "size", box=box.SIMPLE_HEAD, pad_edge=False)
    lines = []  # a path in a narrow column could not be copied
    for name in sorted({*BACKENDS.names(), *SPECS}):
        tidy(name)
        found = backend_status(name)
        build = "" if found.gpu is None else "GPU" if found.gpu else "CPU"
        size = f"{size_bytes(found.folder) / GIB:.1f} GiB" if found.folder else ""
        versions = ", ".join(f"{package} {version}" for package, version in found.versions.items())
        table.add_row(*map(plain, (name, found.state, versions, build, size)))
        lines += [f"{name}: {found.problem or found.python}"] if found.problem or found.python else []
    Terminal().print(table)
    for line in lines:
        say(line)
    return 0


def _remove(args: argparse.Namespace) -> int:
    from runner.environments.install import remove  # noqa: PLC0415 - kept out of `runner --help`

    _refuse_plugin(args.name)
    folder, size = remove(args.name)
    say(f"{args.name}: removed {folder} ({size / GIB:.1f} GiB)")
    return 0


def _refuse_plugin(name: str) -> None:
    """Refuse a backend of another distribution: it has no environment of its own."""
    from runner.backends.base import BACKENDS  # noqa: PLC0415 - kept out of `runner --help`

    if (distribution := BACKENDS.distribution(name)) is not None:
        raise InputError(f"the backend {name} runs in this interpreter's environment, where {distribution} is installed")


class _Line:
    """Stage and seconds on stderr: one line that changes on a terminal, one line per stage elsewhere."""

    def __init__(self) -> None:
        from runner.views.terminal import Terminal  # noqa: PLC0415

        self._stage = ""
        self._file = Terminal(stderr=True).file  # past `printable_output`: the escapes are ours
        self._live = sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def show(self, stage: str, seconds: float) -> None:
        """Show progress; a `runner.environments.install.Progress`."""
        if self._live:
            print(f"\r\x1b[K{stage}: {seconds:.0f} s", end="", file=self._file, flush=True)
        elif stage != self._stage:
            print(stage, file=sys.stderr, flush=True)
        self._stage = stage

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        if self._live and self._stage:
            print("\r\x1b[K", end="", file=self._file, flush=True)
