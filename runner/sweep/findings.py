"""Findings of `runner verify`, and their repairs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class VerifyFinding:
    """One finding about a sweep's directory.

    Args:
        where: the file or folder, relative to the sweep.
        what: the problem.
        advice: what to do, or what will happen; empty if nothing is needed.
        wrong: it breaks an invariant; else it is a note (a run that was killed continues by itself).
        repaired: it was repaired just now.
    """

    where: str
    what: str
    advice: str = ""
    wrong: bool = True
    repaired: bool = False

    def __str__(self) -> str:
        ending = "repaired" if self.repaired else self.advice
        return f"{self.where}: {self.what}" + (f"; {ending}" if ending else "")


@dataclass(slots=True)
class Findings:
    """The findings so far; repairs are made if requested.

    Args:
        folder: the sweep's directory.
        repair: make the repairs.
    """

    folder: Path
    repair: bool = False
    found: list[VerifyFinding] = field(default_factory=list)

    def wrong(self, path: Path, what: str, advice: str = "", repair: Callable[[], None] | None = None) -> None:
        """Add a broken invariant. `repair` restores it; it may raise OSError."""
        self._add(path, what, advice, True, repair)

    def note(self, path: Path, what: str, advice: str = "", repair: Callable[[], None] | None = None) -> None:
        """Add a note."""
        self._add(path, what, advice, False, repair)

    def _add(self, path: Path, what: str, advice: str, wrong: bool, repair: Callable[[], None] | None) -> None:
        where = str(path.relative_to(self.folder)) if path != self.folder else "."
        repaired = False
        if repair is not None and self.repair:
            try:
                repair()
                repaired = True
            except OSError as error:
                advice = f"it cannot be repaired: {error.strerror or error}"
        elif repair is not None and wrong:
            advice = advice or "--repair fixes it"
        self.found.append(VerifyFinding(where, what, advice, wrong, repaired))
