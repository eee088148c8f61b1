"""Access control of the page's server, and the headers of every answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from runner.views.page.guard import CONTENT_POLICY, HEADERS, OPENER_POLICY, PageGuard

HOST = "127.0.0.1:8040"
TOKEN = "the-token"
SECRET = b"names of runs"


@dataclass(frozen=True)
class Got:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Stand in for the protected application: answer every request with its secret."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-security-policy", b"default-src *")]})
    await send({"type": "http.response.body", "body": SECRET})


def ask(guard: PageGuard, path: str = "/api/overview", *headers: tuple[str, str], method: str = "GET", body: bytes = b"") -> Got:
    """The answer to a request with these headers, and with the right host if none is among them."""
    given = headers if any(name == "Host" for name, _ in headers) else (("Host", HOST), *headers)
    scope = {"type": "http", "method": method, "path": path, "headers": [(n.lower().encode(), v.encode("latin-1")) for n, v in given]}
    sent: list[Any] = []
    parts = [body[i : i + 7] for i in range(0, len(body), 7)] or [b""]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message: Any) -> None:
        sent.append(message)

    with ThreadPoolExecutor(1) as thread:  # the main thread has the browser's event loop
        thread.submit(lambda: asyncio.run(guard(scope, receive, send))).result()
    names = [name.decode().lower() for name, _ in sent[0]["headers"]]
    assert len(names) == len(set(names)), "a header is there twice"
    answer = Got(
        sent[0]["status"], {n.decode().lower(): v.decode() for n, v in sent[0]["headers"]}, b"".join(m.get("body", b"") for m in sent)
    )
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    assert answer.headers.get("cache-control") == ("no-store" if path.startswith("/api/") else None)
    if answer.status != 200:
        assert SECRET not in answer.body
        assert json.loads(answer.body)["error"]
    return answer


@pytest.mark.parametrize(
    ("host", "sent"), [("127.0.0.1:1", True), ("localhost", True), ("[::1]:8040", True), ("gpu7:8040", False), ("evil", False)]
)
def test_the_policy_on_openers_is_sent_where_browsers_take_it(host: str, sent: bool) -> None:
    """Under other names than the loopback ones, they take it from https only, and complain."""
    headers = ask(PageGuard(application, ["gpu7"]), "/", ("Host", host)).headers
    assert headers.get(OPENER_POLICY[0]) == (OPENER_POLICY[1] if sent else None)


def test_the_policy_allows_the_pages_own_files_alone() -> None:
    assert CONTENT_POLICY == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


@pytest.mark.parametrize("host", ["127.0.0.1:8040", "localhost", "LOCALHOST:9999", "[::1]:1", "[::1]"])
@pytest.mark.parametrize("path", ["/", "/api/overview"])
def test_names_of_this_machine_are_answered_with_any_port(host: str, path: str) -> None:
    assert ask(PageGuard(application), path, ("Host", host)).body == SECRET


@pytest.mark.parametrize(
    "hosts",
    [
        [],
        [""],
        ["evil.example"],
        ["evil.example:8040"],
        ["192.168.1.7:8040"],
        ["127.0.0.1.evil.example"],
        ["localhost.evil.example:8040"],
        ["evil.example#127.0.0.1"],
        ["user@127.0.0.1"],
        ["127.0.0.1:8040:1"],
        ["127.0.0.1:"],
        ["127.0.0.1, evil.example"],
        ["127.0.0.1:8040", "127.0.0.1:8040"],
        ["127.0.0.1", "evil.example"],
        ["2130706433"],
        ["0x7f000001"],
        ["[::ffff:127.0.0.1]"],
        ["localhost."],
        ["127.0.0.1\n"],
        ["ｌocalhost".encode().decode("latin-1")],
    ],
    ids=repr,
)
@pytest.mark.parametrize("path", ["/", "/api/overview", "/nowhere"])
def test_another_host_gets_nothing(hosts: list[str], path: str) -> None:
    headers = [("Host", host) for host in hosts] or [("Host", "")]
    assert ask(PageGuard(application), path, *headers).status == 421


@pytest.mark.parametrize("path", ["http://127.0.0.1:8040/", "http://evil.example/", "*", "", "127.0.0.1:8040"])
def test_a_request_for_something_else_than_a_path_gets_nothing(path: str) -> None:
    assert ask(PageGuard(application), path).status == 421


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND"])
@pytest.mark.parametrize("path", ["/", "/api/overview", "/api/token"])
def test_the_page_only_reads(method: str, path: str) -> None:
    answer = ask(PageGuard(application), path, method=method)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([("Origin", "http://127.0.0.1:8040")], 200),
        ([("Origin", "https://127.0.0.1:8040")], 200),
        ([("Origin", "http://127.0.0.1:8041")], 403),
        ([("Origin", "http://127.0.0.1")], 403),
        ([("Origin", "http://localhost:8040")], 403),
        ([("Origin", "http://evil.example")], 403),
        ([("Origin", "null")], 403),
        ([("Origin", "")], 403),
        ([("Origin", "http://127.0.0.1:8040"), ("Origin", "http://evil.example")], 403),
        ([("Sec-Fetch-Site", "same-origin")], 200),
        ([("Sec-Fetch-Site", "none")], 200),
        ([("Sec-Fetch-Site", "same-site")], 403),
        ([("Sec-Fetch-Site", "cross-site")], 403),
        ([("Sec-Fetch-Site", "")], 403),
        ([("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")], 403),
        ([("Sec-Fetch-Site", "same-origin"), ("Origin", "http://evil.example")], 403),
    ],
)
def test_a_page_of_another_origin_gets_no_data(headers: list[tuple[str, str]], status: int) -> None:
    assert ask(PageGuard(application), "/api/overview", *headers).status == status
    assert ask(PageGuard(application), "/api/overview", *headers, method="HEAD").status == status
    assert ask(PageGuard(application), "/", *headers).status == 200  # a link from elsewhere may lead to the page itself


def test_a_given_host_is_answered_too() -> None:
    guard = PageGuard(application, ["Box.example", "[2001:db8::7]"])
    for host in ("box.example:8040", "BOX.EXAMPLE", "[2001:DB8::7]:8040", "localhost:1"):
        assert ask(guard, "/", ("Host", host)).status == 200
    assert ask(guard, "/", ("Host", "other.example")).status == 421


# ----------------------------------------------------------------------------------------------------------------- token
def cookie(guard: PageGuard) -> str:
    """The cookie that the token is exchanged for."""
    answer = ask(guard, "/api/token", method="POST", body=TOKEN.encode())
    value, *attributes = answer.headers["set-cookie"].split("; ")
    assert answer.status == 200 and attributes == ["HttpOnly", "SameSite=Strict", "Path=/"]
    assert TOKEN not in str(answer)
    return value


def test_with_a_token_data_need_its_cookie_and_the_page_does_not() -> None:
    guard = PageGuard(application, token=TOKEN)
    assert ask(guard, "/").status == ask(guard, "/style.css").status == 200
    assert ask(guard).status == 401
    good = cookie(guard)
    assert ask(guard, "/api/overview", ("Cookie", good)).body == SECRET
    assert ask(guard, "/api/overview", ("Cookie", f"a=b; {good}; c=d")).status == 200
    assert ask(guard, "/api/overview", ("Cookie", good), ("Origin", "http://evil.example")).status == 403
    assert ask(guard, "/api/overview", ("Cookie", good), ("Host", "evil.example")).status == 421


def test_wrong_cookies_are_of_no_use() -> None:
    guard = PageGuard(application, token=TOKEN)
    name, _, value = cookie(guard).partition("=")
    wrong = [
        f"{name}=",
        f"{name}={TOKEN}",
        f"{name}={value[:-1]}",
        f"{name}={value}x",
        f"{name.upper()}={value}",
        f"x={value}",
        name,
        ";;=",
        "é=ü",
    ]
    for each in wrong:
        assert ask(guard, "/api/overview", ("Cookie", each)).status == 401, each
    assert ask(guard, "/api/overview", ("Cookie", cookie(PageGuard(application, token=TOKEN)))).status == 401, "that of another server"


@pytest.mark.parametrize(
    "body", [b"", b"wrong", b"the-toke", b"the-token ", b"\xff\xfe", b"the-token" * 500], ids=lambda body: repr(body[:12])
)
def test_a_wrong_token_is_refused(body: bytes) -> None:
    answer = ask(PageGuard(application, token=TOKEN), "/api/token", method="POST", body=body)
    assert answer.status == 403 and "set-cookie" not in answer.headers


def test_only_a_page_of_the_server_may_send_the_token() -> None:
    guard = PageGuard(application, token=TOKEN)
    for header in (("Origin", "http://evil.example"), ("Sec-Fetch-Site", "cross-site")):
        assert ask(guard, "/api/token", header, method="POST", body=TOKEN.encode()).status == 403
    assert ask(guard, "/api/token", ("Host", "evil.example"), method="POST", body=TOKEN.encode()).status == 421
    assert ask(guard, "/api/token", method="PUT").headers["allow"] == "POST"
    assert ask(guard, "/api/overview", method="POST", body=TOKEN.encode()).status == 405
    assert ask(guard, "/api/token/", method="POST", body=TOKEN.encode()).status == 405
