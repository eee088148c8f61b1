"""Access control in front of the page's server, and the headers of its answers.

- A request names its host. Only names of this machine are answered (`PageGuard.hosts`), with any port, as `ssh -L` brings another one. So a
  page elsewhere whose name is made to lead here (DNS rebinding) gets nothing.
- A page of another origin, also of another port of this machine, gets no data: browsers tell by `Origin` and `Sec-Fetch-Site`.
- Every answer carries headers by which the browser loads nothing from elsewhere, runs no script but the page's modules, and lets no other
  page frame or read it.
- Beyond this machine, data need a token, which the page exchanges for a cookie that no script can read.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK_NAMES: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})

CONTENT_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)

HEADERS: Final = {
    "content-security-policy": CONTENT_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
"""Headers of every answer."""
OPENER_POLICY: Final = ("cross-origin-opener-policy", "same-origin")
"""Header of answers to requests under a loopback name. Over http under another one, browsers ignore it, with an error in their console."""

TOKEN_PATH: Final = "/api/token"
_API: Final = "/api/"
_MOST_BYTES: Final = 1_024
_AUTHORITY: Final = re.compile(r"(?P<name>[a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", re.IGNORECASE)


class PageGuard:
    """An ASGI application around another.

    Args:
        app: the application that it protects.
        hosts: names under which it is asked for besides those of the loopback interface; IPv6 addresses in brackets.
        token: what a browser has to know before it gets data; empty: nothing.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str] = (), token: str = "") -> None:
        self.app = app
        self.hosts = LOOPBACK_NAMES | {host.lower() for host in hosts}
        self._token = token
        self._session = secrets.token_urlsafe(32)
        self._cookie = f"runner-{hashlib.sha256(token.encode()).hexdigest()[:8]}"  # its own for each server: cookies do not know ports

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the application answer."""
        if scope["type"] != "http":
            return

        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"host"]
        fixed = HEADERS | dict([OPENER_POLICY] if any(_name_of(host) in LOOPBACK_NAMES for host in hosts) else [])

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [(name, value) for name, value in message.get("headers", ()) if name.decode("latin-1").lower() not in fixed]
                added = fixed | ({"cache-control": "no-store"} if str(scope["path"]).startswith(_API) else {})
                message["headers"] = [*kept, *((name.encode(), value.encode()) for name, value in added.items())]
            await send(message)

        if (refusal := self._refusal(scope)) is not None:
            status, error, headers = refusal
            await JSONResponse({"error": error}, status, headers)(scope, receive, send_guarded)
        elif scope["method"] == "POST":
            await self._exchange(scope, receive, send_guarded)
        else:
            await self.app(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> tuple[int, str, dict[str, str]] | None:
        """Return (status, what is wrong, headers), or None if the request may be answered."""
        path, method = str(scope["path"]), str(scope["method"])
        headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        host = headers.get("host", [])
        if len(host) != 1 or _name_of(host[0]) not in self.hosts or not path.startswith("/"):
            return 421, "this server answers only under the address that `runner dashboard` has printed", {}
        exchanges = bool(self._token) and path == TOKEN_PATH
        if method not in ("GET", "HEAD") and not (exchanges and method == "POST"):
            return 405, f"{method} is not answered; the page only reads", {"allow": "POST" if exchanges else "GET, HEAD"}
        if not path.startswith(_API):
            return None
        origins = headers.get("origin", [])
        sites = headers.get("sec-fetch-site", [])
        if any(origin.lower() not in (f"http://{host[0]}".lower(), f"https://{host[0]}".lower()) for origin in origins):
            return 403, "pages of another origin get no data", {}
        if any(site not in ("same-origin", "none") for site in sites):
            return 403, "pages of another site get no data", {}
        if self._token and not exchanges and not self._knows(headers.get("cookie", [])):
            return 401, "open the page by the whole address that `runner dashboard` has printed: it ends with a token", {}
        return None

    def _knows(self, cookies: list[str]) -> bool:
        for cookie in cookies:
            try:
                morsel: Any = SimpleCookie(cookie).get(self._cookie)
            except CookieError:
                continue
            if morsel is not None and _equal(morsel.value, self._session):
                return True
        return False

    async def _exchange(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request that carries the token as its body."""
        body, more = b"", True
        while more and len(body) <= _MOST_BYTES:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        if not _equal(body.decode("latin-1"), self._token):
            error = "not the token of this server; it prints a new one each time it starts"
            await JSONResponse({"error": error}, 403)(scope, receive, send)
            return
        cookie = f"{self._cookie}={self._session}; HttpOnly; SameSite=Strict; Path=/"
        await JSONResponse({}, headers={"set-cookie": cookie})(scope, receive, send)


def _name_of(host: str) -> str:
    """Return the name in a `Host` header, without its port; empty if it is malformed."""
    found = _AUTHORITY.fullmatch(host)
    return "" if found is None else found["name"].lower()


def _equal(given: str, expected: str) -> bool:
    return secrets.compare_digest(given.encode("utf-8", "replace"), expected.encode())
