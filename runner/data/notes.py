"""Notes on a prepared set: what was read, dropped and changed, each with a count and one example."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

NoteKind = Literal["read", "left out", "changed", "note"]
_KINDS: tuple[NoteKind, ...] = get_args(NoteKind)


@dataclass(frozen=True, slots=True)
class Note:
    """One line that `runner data prepare` prints at the end, and that the manifest keeps.

    Args:
        kind: ``read``, ``left out`` or ``changed``; ``note`` for what is none of them.
        what: in words, as a plural ("images without an XML file"); a whole sentence for ``note``.
        count: how many; 0 where nothing is counted.
        example: one of them, as a path below the source where it is a file.
    """

    kind: NoteKind
    what: str
    count: int = 0
    example: str = ""

    def __str__(self) -> str:
        counted = f": {self.count:,}" if self.count else ""
        return f"{self.kind}: {self.what}{counted}" + (f", e.g. {self.example}" if self.example else "")


@dataclass(slots=True)
class Notes:
    """Collector of notes: one per kind and text, with its count and the first example."""

    found: dict[tuple[NoteKind, str], tuple[int, str]] = field(default_factory=dict)

    def add(self, kind: NoteKind, what: str, example: object = "", count: int = 1) -> None:
        """Count `count` more of `what`."""
        before, first = self.found.get((kind, what), (0, ""))
        if count:
            self.found[kind, what] = before + count, first or str(example)

    def say(self, sentence: str, example: object = "") -> None:
        """Add a note without a count."""
        self.found["note", sentence] = 0, str(example)

    def listed(self) -> tuple[Note, ...]:
        """List all notes: first what was read, then what was dropped, what was changed, and the rest."""
        notes = [Note(kind, what, count, example) for (kind, what), (count, example) in self.found.items()]
        return tuple(sorted(notes, key=lambda note: _KINDS.index(note.kind)))


def merged(*parts: Iterable[Note]) -> tuple[Note, ...]:
    """Merge the notes of all parts, ordered by kind."""
    return tuple(sorted((note for part in parts for note in part), key=lambda note: _KINDS.index(note.kind)))


def note_of(value: str | Mapping[str, Any]) -> Note:
    """Read a note of a manifest; earlier versions stored sentences."""
    return Note("note", value) if isinstance(value, str) else Note(**value)
