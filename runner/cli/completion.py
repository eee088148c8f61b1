"""`runner completion`: prints a script that completes commands, options and files in a shell."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

_SHELLS = {
    "bash": "~/.local/share/bash-completion/completions/runner",
    "zsh": "a folder of $fpath, as _runner",
    "fish": "~/.config/fish/completions/runner.fish",
}
"""Shell to the place of its script."""
_FOLDERS = ("DIR", "RUN", "SWEEP")
"""Metavars of arguments that are directories."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "completion",
        help="print a script that completes commands, options and files",
        description="Print a script that completes commands, options and files. Save it: "
        + "; ".join(f"{shell}: {place}" for shell, place in _SHELLS.items())
        + '. For this session alone: eval "$(runner completion bash)".',
    )
    parser.add_argument("shell", choices=tuple(_SHELLS))
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from runner.cli.main import build_parser  # noqa: PLC0415 - which imports the commands, and so this one
    from runner.core.errors import InputError, how_to_install  # noqa: PLC0415

    try:
        import shtab  # noqa: PLC0415 - kept out of `runner --help`
    except ImportError as error:
        raise InputError(f"needs the package shtab: {how_to_install('.[completion]')}") from error
    parser = build_parser()
    for action in _actions(parser):
        if action.type is Path:
            action.complete = shtab.DIRECTORY if action.metavar in _FOLDERS else shtab.FILE  # type: ignore[attr-defined]
    print(shtab.complete(parser, args.shell))
    return 0


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield the arguments of a parser and of those below it."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from _actions(below)
