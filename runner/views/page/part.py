"""Interface and registry of the parts of the page's data."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from runner.core.errors import InputError, nearest

if TYPE_CHECKING:
    from runner.views.page.data import PageData

_NO_TEXT: Final = re.compile("[\ud800-\udfff]")

Query = Mapping[str, str]
"""Names and values of a query, as in the part of an address behind `?`."""


@dataclass(frozen=True, slots=True)
class PartAnswer:
    """Answer of a part.

    Args:
        body: JSON in UTF-8, or what `media` says.
        media: media type.
    """

    body: bytes
    media: str = "application/json"


class Part(Protocol):
    """A part of the page's data. Its class is called without arguments."""

    keys: frozenset[str]
    """Names that its queries may have; any other is an error."""

    def answer(self, data: PageData, query: Query) -> PartAnswer:
        """Answer a query.

        Raises:
            InputError: the query is not understood, or asks for what does not exist.
        """

    def frozen(self, data: PageData, view: Query) -> Iterable[Query]:
        """Yield the queries whose answers a frozen file holds, those that its view needs among them.

        Args:
            data: the page's data.
            view: names and values in the address that the file opens with.
        """


PARTS: Final[Mapping[str, str]] = {
    "curves": "runner.views.page.parts.curves:CurvesPart",
    "evaluation": "runner.views.page.parts.evaluation:EvaluationPart",
    "gallery": "runner.views.page.parts.gallery:GalleryPart",
    "image": "runner.views.page.parts.image:ImagePart",
    "overview": "runner.views.page.parts.overview:OverviewPart",
    "points": "runner.views.page.parts.points:PointsPart",
    "report": "runner.views.page.parts.report:ReportPart",
    "run": "runner.views.page.parts.run:RunPart",
    "search": "runner.views.page.parts.search:SearchPart",
    "trials": "runner.views.page.parts.trials:TrialsPart",
}


def find_part(name: str) -> Part:
    """Return the part of that name.

    Raises:
        InputError: there is none.
    """
    if name not in PARTS:
        raise InputError(f"no part {name!r}; {nearest(name, list(PARTS)) or 'known: ' + ', '.join(PARTS)}")
    module, _, attribute = PARTS[name].partition(":")
    part: Part = getattr(importlib.import_module(module), attribute)()
    return part


def ask(data: PageData, name: str, query: Query) -> PartAnswer:
    """Answer a query to a part. Raises InputError: there is no such part, or the query is not understood."""
    part = find_part(name)
    if unknown := [key for key in query if key not in part.keys]:
        known = sorted(part.keys)
        raise InputError(f"{name} has no {unknown[0]!r}; {nearest(unknown[0], known) or 'known: ' + ', '.join(known)}")
    return part.answer(data.now(), query)


def json_answer(value: Any) -> PartAnswer:
    """Return dataclasses, mappings, lists and scalars as JSON; numbers that are not finite become null."""
    return PartAnswer(encode_json(value))


def encoded(body: bytes) -> Any:
    """Return JSON as a value that `json_answer` puts into its own."""
    import msgspec  # noqa: PLC0415 - of the extra `page`

    return msgspec.Raw(body)


def encode_json(value: Any) -> bytes:
    """Encode what `json_answer` takes. A name that is no text, as a file's may be, has U+FFFD in its place."""
    import msgspec  # noqa: PLC0415 - of the extra `page`

    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(_texts(msgspec.to_builtins(value)))


def _texts(value: Any) -> Any:
    if isinstance(value, str):
        return _NO_TEXT.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_texts(key): _texts(item) for key, item in value.items()}
    return [_texts(item) for item in value] if isinstance(value, list | tuple) else value
