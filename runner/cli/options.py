"""Options that several commands share."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runner.core.values import shell_path

if TYPE_CHECKING:
    from runner.core.errors import Problem


def add_config(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add ``-c`` and ``-o``."""
    parser.add_argument("-c", "--config", type=Path, required=required, metavar="FILE", help="for example configs/fcos_tiny.yml")
    add_overrides(parser)


class _WithoutOption(argparse.Action):
    """A hidden positional argument: an error that says which option it needs."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: object, values: object, option_string: str | None = None) -> None:
        if isinstance(values, list) and values:
            if getattr(namespace, "config", None) is not None:
                parser.error(f"expected one config, got {values[0]!r} too")
            is_run = os.path.isdir(values[0]) and "--resume" in parser._option_string_actions
            given, option = ("a run to continue", "-r") if is_run else ("a config", "-c")
            parser.error(f"{given} needs {option}; did you mean: {parser.prog} {option} {shell_path(values[0])}")


def expect_option(parser: argparse.ArgumentParser) -> None:
    """Explain ``runner train blood.yml``, which lacks ``-c``. The command's own positional arguments have to be declared before."""
    parser.add_argument("_without_option", nargs="*", action=_WithoutOption, help=argparse.SUPPRESS)


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """Add ``-o``, which takes several pairs and may be repeated; all count, a later one wins."""
    parser.add_argument(
        "-o",
        "--opt",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="set config keys: -o TrainReader.batch_size=4 LearningRate.schedulers.0.gamma=0.5; values are YAML",
    )


def missing_lines(missing: Sequence[Problem]) -> list[str]:
    """Return what a config needs and this machine lacks, as a block of lines; empty if nothing is missing."""
    return ["a run would also need:", *(f"  {problem}" for problem in missing)] if missing else []


def boolean(text: str) -> bool:
    """Read ``true`` or ``false``, or another usual spelling. Raises argparse.ArgumentTypeError for anything else."""
    values = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    if text.lower() not in values:
        raise argparse.ArgumentTypeError(f"expected true or false, got {text!r}")
    return values[text.lower()]


def fraction(text: str) -> float:
    """Read a number from 0 to 1. Raises argparse.ArgumentTypeError for anything else."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:  # nan too
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1, got {text!r}")
    return value


def positive(text: str) -> int:
    """Read a whole number of at least 1. Raises argparse.ArgumentTypeError for anything else."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)
