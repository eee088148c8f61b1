"""Typed exceptions. What a user typed wrong is an InputError: one message, exit code 2, no traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from runner.core.text import printable

Cause = Literal["input", "not_finite", "out_of_memory", "disk_full", "crash", "hung", "timeout"]
"""Why a run failed, where it matters for what is done about it: whether it is tried again, whether its point is infeasible.

input: something the config names cannot be used. not_finite: the loss. out_of_memory: also where it went over its limit and was killed.
disk_full: nothing is wrong with it. crash: its process died, or an exception nobody expected. hung: no sign of life. timeout: too slow.
"""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with what the user gave.

    Args:
        message: what is wrong, what was expected, and what to do about it.
        where: where it stands: ``file.yml:12``, ``-o`` or a path; empty if there is no place.
        key: dotted key of the config or sweep it concerns; empty if none.
    """

    message: str
    where: str = ""
    key: str = ""

    def __str__(self) -> str:
        prefix = "".join(f"{printable(part)}: " for part in (self.where, self.key) if part)
        return prefix + self.message


class UnknownKey(Problem):
    """A key of a config that nobody reads."""

    __slots__ = ()


class Remark(Problem):
    """Something that a user should know, and that stops nothing."""

    __slots__ = ()


class Missing(Problem):
    """Something that a run needs and this machine has not: data, weights, a GPU, an environment. Nothing is wrong with the config."""

    __slots__ = ()


class TooFewImages(Problem):
    """A training set without one step to make. It stops training, and no evaluation."""

    __slots__ = ()


class RunnerError(Exception):
    """Anything this program raises on purpose. The command line prints it without a traceback and exits with `exit_code`."""

    exit_code = 1
    cause: Cause | None = None
    """Why a run that ended with this failed; None: nothing that is treated in a way of its own."""


class InputError(RunnerError):
    """The user's input (config, command line, data, checkpoint) cannot be used. Carries every problem found, not only the first."""

    exit_code = 2
    cause: Cause | None = "input"

    def __init__(self, problems: Iterable[Problem] | Problem | str) -> None:
        if isinstance(problems, str):
            problems = [Problem(problems)]
        elif isinstance(problems, Problem):
            problems = [problems]
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class TrainingFailed(RunnerError):
    """A run ended as failed for a reason training itself found."""


class NotFinite(TrainingFailed):
    """The loss is not a finite number any more."""

    cause: Cause | None = "not_finite"


class OutOfMemory(TrainingFailed):
    """The GPU or the machine has not enough memory for this run."""

    cause: Cause | None = "out_of_memory"


class Interrupted(RunnerError):
    """A run was asked to stop (signal or control record), saved its state and ended."""

    exit_code = 130


def nearest(name: str, allowed: Sequence[str]) -> str:
    """A hint naming what exists: the nearest names to `name`, else all of them while they are few; empty if neither."""
    by_lower = {other.lower(): other for other in allowed}
    close = [by_lower[match] for match in difflib.get_close_matches(name.lower(), by_lower, n=3, cutoff=0.6)]
    if close:
        return "did you mean " + " or ".join(repr(match) for match in close) + "?"
    if 0 < len(allowed) <= 12:
        return "allowed: " + ", ".join(sorted(allowed))
    return ""
