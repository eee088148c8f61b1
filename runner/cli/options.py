"""Options that several commands share."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
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
    """A hidden positional argument. For a config or a run: an error that says which option it needs; anything else is surplus."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: object, option: str | None = None) -> None:
        surplus = [str(value) for value in values] if isinstance(values, list) else []
        setattr(namespace, self.dest, surplus)
        if not surplus or getattr(namespace, "config", None) is not None:
            return
        if os.path.isdir(surplus[0]) and "--resume" in parser._option_string_actions:
            parser.error(f"a run to continue needs -r; did you mean: {parser.prog} -r {shell_path(surplus[0])}")
        if surplus[0].endswith((".yml", ".yaml")):
            parser.error(f"a config needs -c; did you mean: {parser.prog} -c {shell_path(surplus[0])}")


def expect_option(parser: argparse.ArgumentParser) -> None:
    """Explain ``runner train blood.yml``, which lacks ``-c``. The command's own positional arguments have to be declared before."""
    parser.add_argument("surplus", nargs="*", action=_WithoutOption, help=argparse.SUPPRESS)


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


def folder(text: str) -> Path:
    """Read the path of a folder. Raises argparse.ArgumentTypeError for an empty text, which would be the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("expected a folder, got an empty text")
    return Path(text)


def output_file(text: str) -> Path:
    """Read the path of a file to write. Raises argparse.ArgumentTypeError for an empty text and for ``-``, which names no file here."""
    if text in ("", "-"):
        raise argparse.ArgumentTypeError(f"expected the name of a file, got {text!r}" + (" (a file of that name: ./-)" if text else ""))
    return Path(text)


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


def check_output(file: Path, *, force: bool, is_earlier: Callable[[Path], bool] = lambda file: True) -> None:
    """Raise InputError where a file cannot be written, or exists already and is not to be overwritten.

    Args:
        force: overwrite it, unless it belongs to a run or a sweep.
        is_earlier: whether the file that is there is what the command wrote before. Another one is not overwritten.
    """
    from runner.core.errors import InputError, Problem  # noqa: PLC0415

    if not file.parent.is_dir():
        raise InputError(Problem("the folder does not exist", where=str(file.parent)))
    if file.exists() and not file.is_file():
        raise InputError(Problem("is not a regular file: give another -o FILE", where=str(file)))
    if owner := _owner(file):
        raise InputError(Problem(f"belongs to {owner}, which it would damage: give another -o FILE", where=str(file)))
    if file.exists() and file.stat().st_size and not is_earlier(file):
        raise InputError(Problem("exists already and is no earlier report: give another -o FILE", where=str(file)))
    if file.exists() and not force:
        raise InputError(Problem("exists already: give another -o FILE, or --force to overwrite it", where=str(file)))


def _owner(file: Path) -> str:
    """Return the run or sweep that a file belongs to, by name; empty if it belongs to none."""
    from runner.store.run_dir import RunDir  # noqa: PLC0415
    from runner.sweep.sweep_dir import SweepDir  # noqa: PLC0415

    real = Path(os.path.realpath(file))
    for folder in real.parents:
        run, sweep = RunDir(folder), SweepDir(folder)
        if run.exists() and (real in run.files() or folder in real.parent.parents and real.exists()):
            return f"the run {folder.name}"
        if os.path.isfile(sweep.plan_file) and (real in sweep.files() or real.parent == sweep.runs):
            return f"the sweep {folder.name}"
    return ""


def write_output(file: Path, text: str) -> None:
    """Write a file in one step. Raises InputError: it cannot be written."""
    from runner.core.errors import InputError, Problem  # noqa: PLC0415
    from runner.core.files import atomic_write_text  # noqa: PLC0415

    try:
        atomic_write_text(file, text)
    except OSError as error:
        raise InputError(Problem(f"cannot be written: {error.strerror}", where=str(file))) from error
