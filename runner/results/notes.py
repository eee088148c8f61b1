"""Notes of a report: what a reader has to know about its numbers, as an id with arguments, and as an English sentence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.core.sentences import recognize
from runner.results.texts import TEXTS


@dataclass(frozen=True, slots=True)
class ReportNote:
    """A note of a report. A renderer prints its English text, or makes one of another language from its id and arguments.

    Args:
        id: a key of `runner.results.texts.TEXTS`.
        arguments: scalars, and lists and mappings of them, that JSON knows.
    """

    id: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The English sentence."""
        return TEXTS[self.id](**self.arguments)

    def __str__(self) -> str:
        return self.text

    def data(self) -> dict[str, Any]:
        """Return the note as JSON has it."""
        return {"id": self.id, "arguments": dict(self.arguments), "text": self.text}


def paragraphs(notes: Iterable[ReportNote]) -> Iterator[tuple[str, str]]:
    """Join the sentences of an answer to paragraphs: (sentences, empty), and (empty, command) for each command between them."""
    sentences: list[str] = []
    for each in notes:
        if each.id != "command":
            sentences.append(each.text)
            continue
        if sentences:
            yield " ".join(sentences), ""
        sentences = []
        yield "", each.text
    if sentences:
        yield " ".join(sentences), ""


def note(id: str, **arguments: Any) -> ReportNote:
    """Make a note."""
    return ReportNote(id, arguments)


def given(text: str) -> ReportNote:
    """Make a note of a sentence that another part of the program has written: of its own id, where it is one that is recognised."""
    return ReportNote(*(recognize(text) or ("given", {"text": text})))


def missing_design(name: str, *, installed: bool) -> ReportNote:
    """Make the note on a sweep whose design cannot report on it: none of that name is installed, or it cannot be loaded."""
    return note("design-missing", design=name, installed=installed)
