"""What `runner verify` has found, and what it did about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about a sweep directory.

    Args:
        where: the file or folder, relative to the sweep.
        what: what is the matter with it.
        advice: what to do, or what will happen; empty if nothing has to.
        wrong: whether it breaks an invariant; else it is only worth knowing (a run that was cut off goes on by itself).
        repaired: whether it was put right just now.
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
    """Collects them, and repairs where that was asked for.

    Args:
        folder: the sweep's directory.
        repair: whether to put right what can be.
    """

    folder: Path
    repair: bool = False
    found: list[Finding] = field(default_factory=list)

    def wrong(self, path: Path, what: str, advice: str = "", repair: Callable[[], None] | None = None) -> None:
        """Something is broken. `repair` puts it right; it may raise OSError."""
        self._add(path, what, advice, True, repair)

    def note(self, path: Path, what: str, advice: str = "", repair: Callable[[], None] | None = None) -> None:
        """Something is worth knowing."""
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
            advice = advice or "--repair puts it right"
        self.found.append(Finding(where, what, advice, wrong, repaired))
