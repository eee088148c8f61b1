"""`runner`: parses the command line, runs one command, and turns typed errors into one message and an exit code."""

from __future__ import annotations

import argparse
import errno
import os
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from runner import __version__
from runner.cli import (
    LEFT_OUT,
    backend,
    compare,
    completion,
    config,
    dashboard,
    data,
    doctor,
    drill,
    evaluate,
    export,
    import_logs,
    init,
    ls,
    pause,
    predict,
    resume,
    retry,
    share,
    status,
    stop,
    sweep,
    train,
    verify,
    weights,
)
from runner.cli.streams import expendable_output
from runner.core.errors import InputError, Problem, RunnerError, nearest
from runner.core.files import NO_ROOM
from runner.core.text import printable_output, say

_COMMANDS = {
    "train and sweep": (train, sweep),
    "while it runs": (status, pause, resume, stop, retry, verify),
    "compare and see": (compare, dashboard, share, evaluate, predict, export, ls, import_logs),
    "data, configs and weights": (data, init, config, weights),
    "this machine": (doctor, backend, drill, completion),
}
"""Modules of the commands by task, in the order of `runner --help`."""
_TOO_LONG = "the path is too long for the file system (usually 255 bytes per name, 4,095 in all); give a shorter one"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0: success; 1: failure; 2: the request is invalid; 130: interrupted.
    """
    arguments = sys.argv[1:] if argv is None else argv
    with expendable_output(stdout=False), printable_output():
        if not arguments:
            build_parser().print_help(sys.stderr)
            return 2
        parser = build_parser()
        args, unknown = parser.parse_known_args(arguments)
        if surplus := [*unknown, *getattr(args, "surplus", ())]:
            _refuse(surplus, parser, arguments)
    is_driver = getattr(args, "drives", False) and not getattr(args, "dry_run", False)
    with expendable_output(stdout=is_driver), printable_output():
        return _run(args)


def _refuse(unknown: Sequence[str], parser: argparse.ArgumentParser, arguments: Sequence[str]) -> NoReturn:
    """End with an error of the command that was called, which names the nearest of its options."""
    for word in arguments:
        below = next((action for action in parser._actions if isinstance(action, argparse._SubParsersAction)), None)
        parser = below.choices.get(word, parser) if below is not None else parser
    actions = [action for action in parser._actions if action.help != argparse.SUPPRESS]
    options = [option[2:] for action in actions for option in action.option_strings if option.startswith("--")]
    hints = [nearest(word[2:].partition("=")[0], options) for word in unknown if word.startswith("--")]
    close = next(("; " + re.sub("'(.+?)'", r"'--\1'", hint) for hint in hints if hint.endswith("?")), "")
    parser.error(f"unrecognized arguments: {' '.join(unknown)}{close}")


def _run(args: argparse.Namespace) -> int:
    if relative := [entry for entry in LEFT_OUT if entry]:
        say(f"PYTHONPATH: {', '.join(relative)} ignored; nothing is imported from the working directory: give absolute paths", error=True)
    try:
        code: int = args.run(args)
        if sys.stdout is not None:
            sys.stdout.flush()
    except RunnerError as error:
        print(_message(error), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("runner: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        _print_nowhere()  # the reader (head, less) has gone: nothing is wrong
        return 0
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG and error.filename is not None:
            print(_message(InputError(Problem(_TOO_LONG, f"{os.fsdecode(error.filename)[:100]}…"))), file=sys.stderr)
            return 2
        if error.errno not in NO_ROOM or error.filename is not None:
            raise
        _print_nowhere()
        print(f"runner: the output cannot be written: {error.strerror}", file=sys.stderr)
        return 1  # a partial answer must not look complete
    return code


def _print_nowhere() -> None:
    """Discard the rest of the output, which may still be buffered."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def build_parser() -> argparse.ArgumentParser:
    """Declare the whole command line."""
    parser = _TopParser(
        prog="runner",
        description="Train object detectors, vary their configs over several seeds, and learn which change helped and how sure that is.",
        epilog="Start with: runner train -c configs/fcos_tiny.yml; each command has --help.",
    )
    parser.add_argument("--version", action="version", version=f"runner {__version__}")
    parser.commands = commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=argparse.ArgumentParser)
    for task, modules in _COMMANDS.items():
        before = len(commands.choices)
        for module in modules:
            module.add_parser(commands)
        parser.tasks[task] = tuple(commands.choices)[before:]
    return parser


class _TopParser(argparse.ArgumentParser):
    """Parser of the whole command line, whose help lists the commands by task.

    Args:
        commands: made by `add_subparsers`.
        tasks: task to the names of its commands.
    """

    commands: argparse._SubParsersAction[argparse.ArgumentParser]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.tasks: dict[str, tuple[str, ...]] = {}

    def format_help(self) -> str:
        """Return the help: argparse knows a single list of commands, so its sections are made here."""
        formatter = self._get_formatter()
        formatter.add_usage(self.usage, self._actions, self._mutually_exclusive_groups)
        formatter.add_text(self.description)
        for task, names in self.tasks.items():
            formatter.start_section(task)
            formatter.add_arguments([action for action in self.commands._choices_actions if action.dest in names])
            formatter.end_section()
        formatter.start_section("options")
        formatter.add_arguments(self._optionals._group_actions)
        formatter.end_section()
        formatter.add_text(self.epilog)
        return formatter.format_help()


def _message(error: RunnerError) -> str:
    """Return the message with its further lines indented, so that none of them looks like another message."""
    if isinstance(error, InputError) and len(error.problems) > 1:
        lines = [f"runner: {len(error.problems)} problems", *(str(problem) for problem in error.problems)]
    else:
        lines = [f"runner: {error}"]
    return "\n".join(lines).replace("\n", "\n  ")
