"""A config on its way to one that can run: its tree so far, and everything that was found on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from runner.backends.base import Backend, Probe
from runner.config.node import Node, Source, from_plain
from runner.config.overrides import assign
from runner.core.errors import InputError, Missing, Problem, Remark

AUTO = "auto"
DATA_SECTIONS = ("TrainDataset", "EvalDataset")


@dataclass(slots=True)
class Resolution:
    """State that the steps of `runner.resolve.resolve` pass on, each adding to it.

    Args:
        tree: the config so far.
        backend: the backend that runs it.
        python: the interpreter whose environment the backend runs in; None where there is none.
        probe: what the backend found on this machine; None if it was not asked.
        has_data: the data set that the config names is known and prepared; else its sections say nothing yet.
        counted: whether the number of classes is known; otherwise it is set to 1 until the data exists.
        unmeasured: dotted keys that are ``auto`` and get their value when training starts; stand-ins are in their place.
        notes: sentences for people.
        problems: what is wrong.
        missing: what a run would need and this machine lacks.
    """

    tree: Node
    backend: Backend
    python: Path | None = None
    probe: Probe | None = None
    has_data: bool = True
    counted: bool = True
    unmeasured: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    missing: list[Problem] = field(default_factory=list)

    def set(self, key: str, value: Any, source: Source) -> None:
        """Put `value` at a top-level key, in place of all that was there."""
        self.tree = assign(self.tree.without(key), key, from_plain(value, source))

    def set_default(self, key: str, value: Callable[[], Any]) -> None:
        """Put `value()` at a top-level key that is left out or ``auto``."""
        node = self.tree.get(key)
        if node is None or node.value == AUTO:
            self.set(key, value(), node.source if node else Source(AUTO))

    def add_findings(self, found: Iterable[Problem], moot: tuple[str, ...]) -> None:
        """Sort in what the backend found: remarks, what is missing, what is wrong. Keys that begin with one of `moot` are left out."""
        for problem in found:
            if isinstance(problem, Remark):
                self.notes.append(str(problem))
            elif not problem.key.startswith(moot):
                (self.missing if isinstance(problem, Missing) else self.problems).append(self._with_place(problem))

    def raise_problems(self, *, to_run: bool) -> None:
        """Raise InputError with every problem, if there is one; for a run, what is missing is one too."""
        if to_run:
            self.problems += self.missing
            if not self.counted and not self.problems:
                text = "classes of the training annotations cannot be counted; set their number"
                self.problems.append(Problem(text, key="num_classes"))
        if self.problems:
            raise InputError(dict.fromkeys(self.problems))

    def _with_place(self, problem: Problem) -> Problem:
        """Add the place at which a problem's key was written."""
        parts = problem.key.split(".") if problem.key and not problem.where else []
        while parts:
            if (node := self.tree.get(".".join(parts))) is not None:
                return replace(problem, where=str(node.source))
            parts.pop()
        return problem
