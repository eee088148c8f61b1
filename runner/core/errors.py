"""Typed exceptions. What a user typed wrong is an InputError: one message, exit code 2, no traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from runner.core.text import printable

Cause = Literal["input", "not_finite", "out_of_memory", "disk_full", "crash", "hung", "timeout"]
"""Failure cause of a run, where the driver handles it specially: it decides whether the run is retried and whether its trial is infeasible.

input: something the config names cannot be used. not_finite: the loss. out_of_memory: also where the run exceeded its limit and was killed.
disk_full: nothing is wrong with the run. crash: its process died, or an unexpected exception. hung: no progress. timeout: too slow.
"""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in the user's input.

    Args:
        message: what is wrong, what was expected, and what to do about it.
        where: its place: ``file.yml:12``, ``-o`` or a path; empty if there is none.
        key: dotted key of the config or sweep it concerns; empty if none.
    """

    message: str
    where: str = ""
    key: str = ""

    def __str__(self) -> str:
        prefix = "".join(f"{printable(part)}: " for part in (self.where, self.key) if part)
        return prefix + self.message


class UnknownKey(Problem):
    """A key of a config that no code reads."""

    __slots__ = ()


class ElsewhereKnown(Problem):
    """A name in a config that its backend does not know and another one does."""

    __slots__ = ()


class Remark(Problem):
    """A remark for the user. It stops nothing."""

    __slots__ = ()


class Missing(Problem):
    """Something that a run needs and this machine lacks: data, weights, a GPU, an environment. Nothing is wrong with the config."""

    __slots__ = ()


class NotInstalled(Missing):
    """A plug-in that is not installed here, or cannot be used."""

    __slots__ = ()


class TooFewImages(Problem):
    """A training set that is too small for a single step. It prevents training, not evaluation."""

    __slots__ = ()


class RunnerError(Exception):
    """Base of everything this program raises on purpose. The command line prints it without a traceback and exits with `exit_code`."""

    exit_code = 1
    cause: Cause | None = None
    """Failure cause, where the driver handles it specially; otherwise None."""


class InputError(RunnerError):
    """Unusable input of the user (config, command line, data, checkpoint). Carries every problem found, not only the first."""

    exit_code = 2
    cause: Cause | None = "input"

    def __init__(self, problems: Iterable[Problem] | Problem | str) -> None:
        if isinstance(problems, str):
            problems = [Problem(problems)]
        elif isinstance(problems, Problem):
            problems = [problems]
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class PluginError(RunnerError):
    """Failure of a plug-in of another distribution: an unexpected exception, or a result of the wrong type."""


class TrainingFailed(RunnerError):
    """Failure of a run that training itself detected."""


class NotFinite(TrainingFailed):
    """Loss that is no longer a finite number."""

    cause: Cause | None = "not_finite"


class OutOfMemory(TrainingFailed):
    """Too little memory for this run, on the GPU or the machine."""

    cause: Cause | None = "out_of_memory"


class Interrupted(RunnerError):
    """End of a run on request (signal or control record), after it saved its state."""

    exit_code = 130


def how_to_install(requirement: str) -> str:
    """Return the command that installs `requirement`. Our extras, such as ``.[optuna]``, come from a checkout: no index has runner."""
    return f"pip install '{requirement}'" + (" in a checkout of runner" if requirement.startswith(".") else "")


def what_exists(name: str, known: Sequence[str]) -> str:
    """Return a hint that names everything there is, after the nearest names if there are close ones."""
    close, everything = nearest(name, known), f"nown: {', '.join(known)}"
    return f"{close} K{everything}" if close.endswith("?") else f"k{everything}"


def nearest(name: str, allowed: Sequence[str]) -> str:
    """Return a hint that names what exists: the names closest to `name`, else all of them if they are few, else an empty text."""
    by_lower = {other.lower(): other for other in allowed}
    close = [by_lower[match] for match in difflib.get_close_matches(name.lower(), by_lower, n=3, cutoff=0.6)]
    if close:
        return "did you mean " + " or ".join(repr(match) for match in close) + "?"
    if 0 < len(allowed) <= 12:
        return "allowed: " + ", ".join(sorted(allowed))
    return ""


def keep_one(key: str, is_needed: bool) -> str:
    """Advise on a value that contradicts a key of the config which stands for several values.

    Args:
        is_needed: the key gives other values too, which would be missing without it.
    """
    return f"remove it, as {key} gives other values too" if is_needed else f"remove one of them (`-o {key}=null` keeps this one)"
