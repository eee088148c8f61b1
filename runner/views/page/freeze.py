"""The page as one file: script, style, texts and the answers that its parts name (`Part.frozen`), for a browser without a server.

The browser may run the file's own script and style only, which it knows by their hashes, and load nothing from anywhere. Answers are text
that is never markup: JSON whose `<`, `>` and `&` are written as escapes, or base64.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from runner import __version__
from runner.core.errors import InputError
from runner.views.page import STATIC
from runner.views.page.data import PageData
from runner.views.page.join import join_modules
from runner.views.page.part import PARTS, PartAnswer, Query, encode_json, find_part
from runner.views.page.parts.curves import read_tags
from runner.views.page.redaction import Redaction, command_path

FORMAT: Final = 2
"""Version of the list of answers in a file."""

_GENERATOR: Final = '<meta name="generator" content="runner '
_HEAD_BYTES: Final = 1 << 12
"""Bytes at the start of a file within which `_GENERATOR` stands."""
_POLICY: Final = (
    "default-src 'none'; script-src {script}; style-src {style}; img-src data: blob:; base-uri 'none'; form-action 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_LOADED: Final = re.compile(r'<link rel="stylesheet"[^>]*>\n|<script [^>]*></script>\n')
_ESCAPES: Final = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}
_LONGEST_TEXT: Final = 1 << 16
"""Characters of a part's answers beyond which they are packed."""
_CURVES: Final = b"RCV1"
_JSON: Final = "application/json"
_IMAGES: Final = "image"
_GZIP_LEVEL: Final = 6


@dataclass(frozen=True, slots=True)
class Frozen:
    """A page in one file.

    Args:
        text: the file, HTML.
        images: number of images in it.
        unanswered: why answers that belong there are not in it.
    """

    text: str
    images: int
    unanswered: tuple[str, ...]


def freeze(data: PageData, *, made: float, view: str = "", images: bool = True) -> Frozen:
    """Return the page on some data as one file.

    Args:
        made: time that the page says it was made, seconds since 1970.
        view: fragment that it opens with, such as ``#curves?tag=train/loss``, and whose data it holds; empty: the first tab.
        images: with images of the evaluated data set.
    """
    data = data.now()
    elements, hidden = _Elements(), _Hidden(data)
    parts: dict[str, tuple[str, str, list[Query]]] = {}
    contents, unanswered = [], []
    shown = view_query(view)
    for name in PARTS if images else [name for name in PARTS if name != _IMAGES]:
        part, queries, texts = find_part(name), [], []
        for query in part.frozen(data, shown):
            try:
                answer = part.answer(data, query)
            except InputError as error:
                unanswered.append(f"{name}: {hidden.hide.text(str(error))}")
                continue
            if answer.media == _JSON:
                queries.append(query)
                texts.append(hidden.value(msgspec.json.decode(answer.body)))
            else:
                element, coding = elements.add_bytes(answer)
                contents.append({"part": name, "query": query, "media": answer.media, "element": element, "coding": coding})
        if texts:
            parts[name] = (*elements.add_json(texts), queries)
    strings = {path.stem: msgspec.json.decode(path.read_bytes()) for path in sorted((STATIC / "strings").glob("*.json"))}
    facts = {"format": FORMAT, "version": __version__, "made": made, "view": view}
    index = _element("frozen", _encode({**facts, "strings": strings, "parts": parts, "bytes": contents}), _JSON)
    held = sum(each["part"] == _IMAGES for each in contents)
    return Frozen(_document([index, *elements.texts]), held, tuple(unanswered))


def view_query(view: str) -> Query:
    """Return names and values in a fragment such as ``#curves?tag=train/loss&x=time``."""
    return dict(parse_qsl(view.partition("?")[2]))


def is_frozen(file: Path) -> bool:
    """Return whether a file is a page that `freeze` made; False for one that cannot be read."""
    try:
        with open(file, "rb") as opened:
            return _GENERATOR.encode() in opened.read(_HEAD_BYTES)
    except OSError:
        return False


def escape_json(text: str) -> str:
    """Return JSON that stays JSON, and is no markup wherever it stands in HTML."""
    return text.translate(_ESCAPES)


def shuffle_words(body: bytes, start: int) -> bytes:
    """Return bytes in which the 4-byte words behind `start` are taken apart: all first bytes, then all second ones, …

    Neighbouring numbers are alike in their first bytes, so that these compress well. `len(body) - start` is a multiple of 4.
    """
    words = memoryview(body)[start:]
    return b"".join([body[:start], *(bytes(words[byte::4]) for byte in range(4))])


class _Hidden:
    """Redaction of answers: every text in them except the names of tags, by which the page asks."""

    def __init__(self, data: PageData) -> None:
        facts = (run.result.facts.get("host") for run in data.runs().values())
        self.hide = Redaction(data.roots, {host for host in facts if isinstance(host, str)})
        self._tags = {row.tag for row in read_tags(data)}
        homes = [parts for root in data.roots if len(parts := command_path(root, root).rpartition("/")[0]) > 2 and parts.startswith("~/")]
        self._homes = re.compile("|".join(re.escape(f"{home}/") for home in homes) or "(?!)")

    def value(self, value: Any) -> Any:
        """Return mappings, lists and scalars without paths and names of machines and users; keys stay."""
        if isinstance(value, str):
            return value if value in self._tags else self._homes.sub("…/", self.hide.known(value))
        if isinstance(value, dict):
            return {key: self.value(item) for key, item in value.items()}
        return [self.value(item) for item in value] if isinstance(value, list) else value


class _Elements:
    """Elements of the file that hold answers. `texts`: their HTML."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def add_json(self, answers: list[Any]) -> tuple[str, str]:
        """Add a part's answers; return the element's id and its coding (see source-file.js)."""
        text = _encode(answers)
        if len(text) <= _LONGEST_TEXT:
            return self._add(text, _JSON), ""
        return self._add(_base64(_packed(text.encode()))), "gzip"

    def add_bytes(self, answer: PartAnswer) -> tuple[str, Any]:
        """Add an answer that is not JSON; return the element's id and its coding."""
        body = answer.body
        if answer.media.startswith("image/"):
            return self._add(_base64(body)), "base64"
        if not body.startswith(_CURVES):
            return self._add(_base64(_packed(body))), "gzip"
        start = 8 + int(struct.unpack_from("<I", body, 4)[0])
        return self._add(_base64(_packed(shuffle_words(body, start)))), {"words": start}

    def _add(self, text: str, media: str = "text/plain") -> str:
        name = f"frozen-{len(self.texts)}"
        self.texts.append(_element(name, text, media))
        return name


def _document(elements: Iterable[str]) -> str:
    read = {path.relative_to(STATIC).as_posix(): path for path in STATIC.rglob("*")}
    texts = {name: _text(read[name]) for name in ("index.html", "style.css", "vendor/uPlot.min.css", "vendor/uPlot.iife.min.js")}
    style = f"{texts['vendor/uPlot.min.css']}\n{texts['style.css']}"
    script = f"{texts['vendor/uPlot.iife.min.js']}\n{join_modules(lambda name: _text(STATIC / name), 'frozen.js')}"
    policy = _POLICY.format(script=_hash(script), style=_hash(style))
    head = f'<meta http-equiv="content-security-policy" content="{policy}">\n{_GENERATOR}{__version__}">\n'
    page = _LOADED.sub("", texts["index.html"])
    page = page.replace('<meta charset="utf-8">\n', f'<meta charset="utf-8">\n{head}')
    page = page.replace("</head>", f"<style>{style}</style>\n{''.join(elements)}</head>")
    return page.replace("</body>", f"<script>{script}</script>\n</body>")


def _element(name: str, text: str, media: str) -> str:
    return f'<script type="{media}" id="{name}">{text}</script>\n'


def _hash(text: str) -> str:
    return f"'sha256-{_base64(hashlib.sha256(text.encode()).digest())}'"


def _packed(body: bytes) -> bytes:
    return gzip.compress(body, _GZIP_LEVEL, mtime=0)


def _base64(body: bytes) -> str:
    return base64.b64encode(body).decode()


def _encode(value: Any) -> str:
    return escape_json(encode_json(value).decode())


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
