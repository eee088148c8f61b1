"""The process that serves the page: takes a port, tells the address, ends on Ctrl-C."""

from __future__ import annotations

import errno
import ipaddress
import logging
import secrets
import socket
import threading
from collections.abc import Sequence
from importlib import util
from types import TracebackType
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from runner.core.errors import InputError, how_to_install
from runner.views.page.data import PageData

if TYPE_CHECKING:
    import uvicorn

LANGUAGES: Final = ("en", "zh")
LOOPBACK: Final = "127.0.0.1"
PACKAGES: Final = ("msgspec", "starlette", "uvicorn")
REQUIREMENT: Final = ".[page]"

_GRACE_S: Final = 2
_BACKLOG: Final = 128


def check_packages(needed: Sequence[str] | None = None) -> None:
    """Raise InputError where a package is missing: one of `needed`, by default of all that the page needs."""
    if missing := [package for package in needed or PACKAGES if util.find_spec(package) is None]:
        raise InputError(f"the page needs {', '.join(missing)}, not installed in this environment: {how_to_install(REQUIREMENT)}")


class PageServer:
    """A server of the page, bound to its port from the beginning. `run` serves here; as a context it serves in a thread.

    Args:
        data: what the page shows.
        host: name or address of the interface. One that other machines reach makes a token necessary, which is part of the address.
        port: None takes a free one.
        language: of the page; None: the browser's.

    `url` is its address. `url_by_number`, where every interface is served, is the same with the number of this machine instead of its name,
    which others may not find; else it is empty.

    Raises:
        InputError: names each of these that cannot be used.
    """

    def __init__(self, data: PageData, *, host: str = LOOPBACK, port: int | None = None, language: str | None = None) -> None:
        check_packages()
        if language is not None and language not in LANGUAGES:
            raise InputError(f"language {language!r}: expected {' or '.join(LANGUAGES)}")
        self.socket = _open(host, port)
        bound = self.socket.getsockname()[0]
        self.is_local = ipaddress.ip_address(bound).is_loopback
        self.token = "" if self.is_local else secrets.token_urlsafe(32)
        names = own_names() if ipaddress.ip_address(bound).is_unspecified else [_bracketed(host)]
        self.address = f"http://{names[0]}:{self.socket.getsockname()[1]}/"
        query = {**({"lang": language} if language else {}), **({"token": self.token} if self.token else {})}
        fragment = f"#answer?{urlencode(query)}" if query else ""
        self.url = f"{self.address}{fragment}"
        outer = outer_address(self.socket.family) if ipaddress.ip_address(bound).is_unspecified else ""
        self.url_by_number = f"http://{_bracketed(outer)}:{self.socket.getsockname()[1]}/{fragment}" if outer else ""
        self._server = _make_server(data, names, self.token)

    def run(self) -> None:
        """Serve until Ctrl-C, and return."""
        try:
            self._server.run([self.socket])
        except KeyboardInterrupt:  # raised anew by uvicorn, after it has ended
            pass

    def stop(self) -> None:
        """End the server, from any thread."""
        self._server.should_exit = True

    def __enter__(self) -> PageServer:
        self._thread = threading.Thread(target=self.run, name="page", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
        self._thread.join()


def own_names() -> list[str]:
    """Return the names of this machine by which others may ask for it: its host name, and the addresses of its interfaces."""
    return list(dict.fromkeys([socket.gethostname(), socket.getfqdn(), *map(_bracketed, _own_addresses())]))


def _own_addresses() -> list[str]:
    import psutil  # noqa: PLC0415

    families = (socket.AF_INET, socket.AF_INET6)
    return [each.address.partition("%")[0] for found in psutil.net_if_addrs().values() for each in found if each.family in families]


def outer_address(family: int) -> str:
    """Return the address at which other machines reach this one: that from which it reaches others, else the first of its interfaces.

    Nothing is sent. Empty: it has none of the socket's family.
    """
    elsewhere = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}  # addresses for documentation
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((elsewhere[socket.AddressFamily(family)], 9))
            return str(probe.getsockname()[0])
    except OSError:  # no way out of its networks
        version = 4 if family == socket.AF_INET else 6
        own = [ipaddress.ip_address(each) for each in _own_addresses()]
        return next((str(each) for each in own if each.version == version and not each.is_loopback and not each.is_link_local), "")


def _make_server(data: PageData, names: list[str], token: str) -> uvicorn.Server:
    import uvicorn  # noqa: PLC0415 - of the extra `page`
    from starlette.middleware.gzip import GZipMiddleware  # noqa: PLC0415
    from starlette.types import ASGIApp  # noqa: PLC0415

    from runner.views.page.app import make_app  # noqa: PLC0415
    from runner.views.page.guard import PageGuard  # noqa: PLC0415

    app: ASGIApp = make_app(data, lambda: server.should_exit)
    if token:
        app = GZipMiddleware(app)  # within this machine it would cost more than it saves
    logging.getLogger("uvicorn").setLevel(logging.ERROR)  # tracebacks of failures, and no request: some carry the token's cookie
    server = uvicorn.Server(
        uvicorn.Config(
            PageGuard(app, names, token),
            log_config=None,
            access_log=False,
            http="h11",
            ws="none",
            lifespan="off",
            interface="asgi3",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE_S,
        )
    )
    return server


def _open(host: str, port: int | None) -> socket.socket:
    if port is not None and not 1 <= port <= 65535:
        raise InputError(f"port {port}: expected 1 to 65535")
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(host, port or 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (OSError, UnicodeError) as error:
        raise InputError(f"host {host!r}: not found; expected a name or an address of this machine, such as {LOOPBACK}") from error
    opened = socket.socket(family, kind, protocol)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(where)
        opened.listen(_BACKLOG)
    except OSError as error:
        opened.close()
        if error.errno == errno.EADDRINUSE:
            raise InputError(f"port {port} of {host} is in use; give another --port, or none for a free one") from error
        if error.errno == errno.EADDRNOTAVAIL:
            raise InputError(f"host {host!r}: not an address of this machine") from error
        raise InputError(f"port {port} of {host} cannot be taken: {error.strerror}") from error
    return opened


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
