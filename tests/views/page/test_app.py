"""The page over HTTP: its files and no others, its parts, its events; asked over real connections."""

from __future__ import annotations

import gzip
import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from support.finished import make_run

from runner.core.errors import InputError
from runner.views.page.app import SCRIPT, STATIC, joined_script, page_files
from runner.views.page.data import PageView, SnapshotData
from runner.views.page.guard import HEADERS
from runner.views.page.part import PARTS, find_part
from runner.views.page.server import PageServer
from runner.views.renderers.base import Report

DOCUMENT = Path(__file__).parents[3] / "docs" / "page.md"


def no_report(paths: Sequence[Path]) -> Report:
    raise InputError("none is needed here")


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> SnapshotData:
    sweep = tmp_path_factory.mktemp("page") / "our sweep"
    make_run(sweep, 0, 0)
    make_run(sweep, 1, 0, label="batch_size=16", batch_size=16, overrides={"TrainReader.batch_size": 16})
    return SnapshotData([sweep], no_report)


@pytest.fixture(scope="module")
def server(snapshot: SnapshotData) -> Iterator[PageServer]:
    with PageServer(snapshot) as server:
        yield server


@dataclass(frozen=True)
class Got:
    """An answer."""

    status: int
    media: str
    body: bytes

    def json(self) -> Any:
        assert self.media == "application/json"
        return json.loads(self.body)


def ask(server: PageServer, path: str, method: str = "GET") -> Got:
    """The answer to a request for a path, which is sent as it is; every answer has the headers that it must have."""
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(server.address).port or 0, timeout=30)
    connection.putrequest(method, path, skip_accept_encoding=True)
    connection.endheaders()
    answer = connection.getresponse()
    assert {name: answer.getheader(name) for name in HEADERS} == HEADERS
    assert answer.getheader("server") is None
    got = Got(answer.status, answer.getheader("content-type", ""), answer.read())
    connection.close()
    return got


# ----------------------------------------------------------------------------------------------------------------- files
def test_every_file_of_the_page_is_served_with_its_type(server: PageServer) -> None:
    files = page_files()
    assert {"index.html", "live.js", "style.css", "tabs/answer.js", "strings/zh.json", "vendor/uPlot.iife.min.js"} <= set(files)
    types = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
    for name, file in files.items():
        got = ask(server, f"/{name}")
        assert (got.status, got.body) == (200, file.read_bytes()), name
        assert got.media == types.get(file.suffix, "application/json")
    assert ask(server, "/").body == (STATIC / "index.html").read_bytes()


def test_the_page_asks_for_nothing_that_is_not_served() -> None:
    files = page_files()
    for name, file in files.items():
        if file.suffix in (".js", ".html") and not name.startswith("vendor/"):
            for wanted in re.findall(r'(?:from\s+|src=|href=)"(?!data:)([^"]+)"', file.read_text(encoding="utf-8")):
                asked = (file.parent / wanted).resolve().relative_to(STATIC.resolve()).as_posix()
                assert asked in files or asked == SCRIPT, (name, wanted)


def test_the_modules_are_served_as_one_script(server: PageServer) -> None:
    got = ask(server, f"/{SCRIPT}")
    assert (got.status, got.media) == (200, "text/javascript; charset=utf-8")
    assert got.body.decode() == joined_script()


def test_a_first_load_is_small() -> None:
    files = page_files()
    loaded = [
        joined_script().encode(),
        *(files[name].read_bytes() for name in ("style.css", "vendor/uPlot.min.css", "vendor/uPlot.iife.min.js")),
    ]
    assert sum(len(gzip.compress(text)) for text in loaded) <= 150_000


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere",
        "/static/style.css",
        "/vendor",
        "/vendor/",
        "/vendor/uPlot.LICENSE",
        "/../app.py",
        "/../static/style.css",
        "/tabs/../style.css",
        "/./style.css",
        "/%2e%2e/app.py",
        "/%2e%2e%2fapp.py",
        "/..%2fapp.py",
        "/..%5capp.py",
        "/..\\app.py",
        "/%252e%252e/app.py",
        "/....//app.py",
        "//style.css",
        "//etc/passwd",
        "/%2fetc/passwd",
        "/etc/passwd",
        "/style.css%00",
        "/style.css%00.js",
        "/%00",
        "/style.css/",
        "/STYLE.CSS",
        "/style.css;a=b",
        "/%ff%fe",
        "/" + "a" * 5000,
        "/api",
        "/api/",
    ],
)
def test_what_is_not_a_file_of_the_page_is_not_there(server: PageServer, path: str) -> None:
    for method in ("GET", "HEAD"):
        got = ask(server, path, method)
        assert got.status == 404
        assert got.body == (b"" if method == "HEAD" else b'{"error":"there is no such file"}')


def test_a_link_among_the_files_cannot_be_made_by_a_request(server: PageServer) -> None:
    """The names are fixed when the server starts: nothing that a request says is joined to a path."""
    file = STATIC / "added.js"
    file.write_text("1")
    try:
        assert ask(server, "/added.js").status == 404
    finally:
        file.unlink()


# ----------------------------------------------------------------------------------------------------------------- parts
def test_a_part_is_answered_as_it_answers(server: PageServer) -> None:
    assert ask(server, "/api/overview").json()["title"] == "our sweep"
    assert ask(server, "/api/run?id=r1").json()["id"] == "r1"
    head = ask(server, "/api/overview", "HEAD")
    assert (head.status, head.media, head.body) == (200, "application/json", b"")


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("/api/run?id=r99", 400, "no run 'r99'"),
        ("/api/run?id=../../etc/passwd", 400, "no run"),
        ("/api/run?id=%00", 400, "no run"),
        ("/api/run", 400, "expected a run's id"),
        ("/api/overview?path=/etc", 400, "overview has no 'path'"),
        ("/api/nowhere", 404, "no such part; known: "),
        ("/api/..%2foverview", 404, "there is no such"),
        ("/api/overview/", 404, "there is no such"),
        ("/api/overview%00", 404, "there is no such"),
        ("/api//overview", 404, "there is no such"),
        ("/api/__class__", 404, "there is no such"),
    ],
)
def test_a_wrong_question_has_a_sentence_for_an_answer(server: PageServer, path: str, status: int, error: str) -> None:
    got = ask(server, path)
    assert got.status == status and error in got.json()["error"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_done_but_read(server: PageServer, method: str) -> None:
    for path in ("/", "/api/overview", "/api/changes", "/api/token", "/nowhere"):
        assert ask(server, path, method).status == 405


def test_a_failure_of_the_server_is_told_without_its_details(snapshot: SnapshotData, caplog: pytest.LogCaptureFixture) -> None:
    class Failing(PageView):
        __slots__ = ()

        def runs(self) -> Any:
            raise RuntimeError("/secret/path")

    data = Failing(snapshot.roots, "title", 1, snapshot.metric, {}, {})
    with PageServer(data) as server:
        got = ask(server, "/api/overview")
        assert (got.status, got.json()) == (500, {"error": "the server failed (RuntimeError); its terminal says where"})
        assert ask(server, "/").status == 200
    assert "/secret/path" in caplog.text


def raw(server: PageServer, request: bytes) -> bytes:
    """Send bytes to the server and return all that it answers."""
    with socket.create_connection(("127.0.0.1", urlsplit(server.address).port or 0), timeout=30) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 400),  # without a host, which HTTP/1.1 demands
        (b"GET / HTTP/1.0\r\n\r\n", 421),
        (b"GET /api/overview HTTP/1.0\r\nHost: evil.example\r\n\r\n", 421),
        (b"GET http://evil.example/api/overview HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", 421),
        (b"GET http://127.0.0.1/api/overview HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", 421),
        (b"OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", 421),
        (b"GET /api/overview HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", 400),
        (b"GET /api/overview HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-Host: evil.example\r\nConnection: close\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n\r\n", 200),
        (b"nonsense\r\n\r\n", 400),
    ],
    ids=lambda value: value[:60].decode() if isinstance(value, bytes) else None,
)
def test_bytes_that_no_browser_sends(server: PageServer, request_: bytes, status: int) -> None:
    got = raw(server, request_)
    assert got.startswith(b"HTTP/1.1 %d" % status)
    if status != 200:
        assert b"our sweep" not in got


# ---------------------------------------------------------------------------------------------------------------- events
class Counting:
    """Data of which a test counts up the revision."""

    revision = 1


def read_events(server: PageServer, into: list[str], ended: threading.Event) -> None:
    """Note each event until the server ends the stream."""
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(server.address).port or 0, timeout=30)
    connection.request("GET", "/api/changes")
    answer = connection.getresponse()
    assert answer.getheader("content-type", "").startswith("text/event-stream") and answer.getheader("cache-control") == "no-store"
    into.extend(line.decode().strip() for line in answer if line.strip())
    connection.close()
    ended.set()


def until(condition: Any) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_changes_are_told_and_the_stream_ends_with_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.views.page.app._HEARTBEAT_S", 0.5)
    data: Any = Counting()
    events: list[str] = []
    ended = threading.Event()
    with PageServer(data) as server:
        listener = threading.Thread(target=read_events, args=(server, events, ended))
        listener.start()
        until(lambda: "data: 1" in events)
        data.revision = 7
        until(lambda: "data: 7" in events)
        until(lambda: ": still here" in events)
        assert ask(server, "/api/changes", "HEAD").body == b""
        began = time.monotonic()
    assert ended.wait(5) and time.monotonic() - began < 3
    listener.join()
    assert [event for event in events if event.startswith("data")] == ["data: 1", "data: 7"]
    assert events[0] == "retry: 1000"


# -------------------------------------------------------------------------------------------------------------- document
def documented() -> dict[str, tuple[set[str], list[str]]]:
    """Part to (keys of its query, keys of its answer), as docs/page.md has them."""
    rows = re.findall(r"^\| `(\w+)` \| (.*?) ?\| (.*) \|$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    return {name: (set(re.findall(r"`(\w+)`", query)), re.findall(r"`(\w+)`", answer)) for name, query, answer in rows}


def test_the_document_has_every_part_with_its_query() -> None:
    assert {name: keys for name, (keys, _) in documented().items()} == {name: set(find_part(name).keys) for name in PARTS}


def test_a_list_of_tags_and_their_curves_are_as_the_document_says(server: PageServer) -> None:
    tags = ask(server, "/api/curves").json()
    assert ["tag", *tags[0]] == documented()["curves"][1]
    got = ask(server, f"/api/curves?tag={tags[0]['tag']}&px=40&g=none")
    length = int.from_bytes(got.body[4:8], "little")
    header = json.loads(got.body[8 : 8 + length])
    assert got.body[:4] == b"RCV1" and len(got.body) == 8 + length + len(header["series"]) * 6 * 4 * header["buckets"]


@pytest.mark.parametrize(("path", "part"), [("overview", "overview"), ("report", "report"), ("trials", "trials"), ("run?id=r0", "run")])
def test_the_answers_are_as_the_document_says(server: PageServer, path: str, part: str) -> None:
    keys, told = list(ask(server, f"/api/{path}").json()), documented()[part][1]
    whole = part != "run"  # of which it names the first
    assert told and (keys if whole else keys[: len(told)]) == told
