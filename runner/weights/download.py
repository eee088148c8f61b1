"""Download of one file over HTTP: checked for size and digest, never continued in silence at another host."""

from __future__ import annotations

import hashlib
import http.client
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import urlsplit

from runner import __version__
from runner.core.errors import InputError, Problem, RunnerError
from runner.core.files import NO_ROOM
from runner.core.values import GIB

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there, and all of them (None: not known)."""
MAX_BYTES: Final = 16 * GIB
"""Largest file that is fetched."""
_MAX_METADATA_BYTES = 16 << 20
_PIECE_BYTES = 1 << 20
_LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Patience:
    """Limits of waiting for a server.

    Args:
        silent_s: seconds without a byte.
        window_s: seconds in which `window_bytes` must arrive.
    """

    silent_s: float = 30.0
    window_s: float = 60.0
    window_bytes: int = 64 << 10


PATIENCE: Final = Patience()


@dataclass(frozen=True, slots=True)
class Expected:
    """Knowledge of a file before it is fetched.

    Args:
        sha256: the digest or its first digits; empty if nothing is known.
        size_bytes: None if it is not known.
    """

    sha256: str = ""
    size_bytes: int | None = None


class FetchFailed(InputError):
    """Failure of a download: the address, the network, the server, or a file that is not the expected one."""


class Connection:
    """Opened address: its headers have arrived, its content has not been read.

    Args:
        url: as requested.
        response: the server's.
        patience: limits of waiting.
    """

    def __init__(self, url: str, response: http.client.HTTPResponse, patience: Patience) -> None:
        self.url = url
        self._response = response
        self._patience = patience
        length = response.headers.get("Content-Length", "")
        self.size_bytes = int(length) if length.isdecimal() else None
        """Size that the server states; None if it does not."""

    def pieces(self, limit: int) -> Iterator[bytes]:
        """Yield the content piece by piece.

        Raises:
            FetchFailed: it ends early, is larger than `limit`, or comes too slowly.
        """
        done, began, mark = 0, time.monotonic(), 0
        while piece := self._read():
            done += len(piece)
            if done > limit:
                raise _failed(self.url, f"sends more than {limit:,} bytes, which is not followed further")
            yield piece
            if time.monotonic() - began > self._patience.window_s:
                if done - mark < self._patience.window_bytes:
                    raise _failed(self.url, f"is too slow: {done - mark:,} bytes in {self._patience.window_s:g} s; try again later")
                began, mark = time.monotonic(), done
        if self.size_bytes is not None and done != self.size_bytes:
            raise _failed(self.url, f"ended after {done:,} of {self.size_bytes:,} bytes; try again")

    def _read(self) -> bytes:
        with _failures(self.url, self._patience):
            return self._response.read1(_PIECE_BYTES)


@contextmanager
def connect(url: str, say: Callable[[str], None], patience: Patience = PATIENCE) -> Iterator[Connection]:
    """Request an address and follow redirects: to another host `say` is called first, and from https to http they are refused.

    Raises:
        FetchFailed: the address cannot be used or reached, or the server refuses.
    """
    host = urlsplit(url).hostname
    if urlsplit(url).scheme not in ("https", "http") or not host:
        raise _failed(url, "cannot be fetched: expected an address that begins with https://")
    if url.startswith("http:") and host not in _LOCAL:
        say(f"{host} is reached without encryption: compare the digest with one that you trust")
    headers = {"User-Agent": f"runner/{__version__}", "Accept-Encoding": "identity"}
    opener = urllib.request.OpenerDirector()  # `build_opener` would also open file:// and ftp://
    redirects = _Redirects(say)
    handlers: tuple[urllib.request.BaseHandler, ...] = (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        redirects,
    )
    for handler in handlers:
        opener.add_handler(handler)
    with _failures(url, patience):
        response = opener.open(urllib.request.Request(url, headers=headers), timeout=patience.silent_s)
    with response:
        yield Connection(url, response, patience)


def read_small(url: str, say: Callable[[str], None], patience: Patience = PATIENCE) -> bytes:
    """Return the content of an address that serves a few kilobytes. Raises FetchFailed."""
    with connect(url, say, patience) as connection:
        return b"".join(connection.pieces(_MAX_METADATA_BYTES))


def save(connection: Connection, file: Path, expected: Expected, progress: Progress) -> str:
    """Write the content of an address into a new file; return its SHA-256. A failed file is removed.

    Raises:
        FetchFailed: it is not the expected one, is too large, or ended early.
        RunnerError: the disk has no room for it.
    """
    size = connection.size_bytes
    if expected.size_bytes is not None and size not in (None, expected.size_bytes):
        raise _failed(connection.url, f"has {size:,} bytes, expected {expected.size_bytes:,}: it has changed, or is another file")
    limit = expected.size_bytes or size or MAX_BYTES
    if limit > MAX_BYTES:
        raise _failed(connection.url, f"has {limit:,} bytes; at most {MAX_BYTES:,} are fetched")
    free = shutil.disk_usage(file.parent).free
    if size is not None and size > free:
        raise RunnerError(f"{file.parent}: {size / GIB:.2f} GiB needed, {free / GIB:.2f} GiB free; free some space, or set RUNNER_WEIGHTS")
    try:
        with open(file, "xb") as output:
            digest = _copy(connection, output, limit, size, progress)
        if not digest.startswith(expected.sha256):
            text = f"is not the expected file: its SHA-256 begins with {digest[:16]}, expected {expected.sha256[:16]}; it was not kept"
            raise _failed(connection.url, text)
    except BaseException as error:
        file.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            raise RunnerError(f"{file.parent}: the disk is full; free some space, or set RUNNER_WEIGHTS to another folder") from error
        raise
    return digest


def _copy(connection: Connection, output: IO[bytes], limit: int, size: int | None, progress: Progress) -> str:
    digest, done = hashlib.sha256(), 0
    for piece in connection.pieces(limit):
        output.write(piece)
        digest.update(piece)
        done += len(piece)
        progress(done, size)
    return digest.hexdigest()


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to https, and between addresses that were http from the beginning."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def redirect_request(self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        """Return the request for the new address. Raises FetchFailed if it is not to be followed."""
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        if new.scheme != "https" and not (new.scheme == old.scheme == "http"):
            fp.close()
            raise _failed(req.full_url, f"redirects to {newurl}, which is not https and is not followed")
        if new.netloc != old.netloc:
            self._say(f"{old.netloc} redirects to {new.netloc}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@contextmanager
def _failures(url: str, patience: Patience) -> Iterator[None]:
    """Turn what the network raises into one sentence."""
    try:
        yield
    except InputError:
        raise
    except urllib.error.HTTPError as error:
        with error:
            raise _failed(url, _refusal(error)) from error
    except TimeoutError as error:
        raise _failed(url, f"did not answer within {patience.silent_s:g} s; try again later") from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise _failed(url, f"did not answer within {patience.silent_s:g} s; try again later") from error
        raise _failed(url, f"cannot be reached ({error.reason}){_WITHOUT_NETWORK}") from error
    except http.client.IncompleteRead as error:
        raise _failed(url, "ended before all of the file had arrived; try again") from error
    except (http.client.HTTPException, OSError, ValueError) as error:
        raise _failed(url, f"cannot be read ({error or type(error).__name__}){_WITHOUT_NETWORK}") from error


_WITHOUT_NETWORK = "; without network, get the file elsewhere, put it into a folder, and add --offline-from FOLDER"


def _refusal(error: urllib.error.HTTPError) -> str:
    if error.code in (401, 403):
        return (
            f"is refused by the server ({error.code} {error.reason}): it does not exist, is private, or its licence has to be accepted"
            + (" there; then get the file yourself, put it into a folder, and add --offline-from FOLDER")
        )
    if error.code in (404, 410):
        return f"does not exist ({error.code} {error.reason}); check the name"
    if 300 <= error.code < 400:
        return f"redirects to an address that is not followed ({' '.join(str(error.msg).split())[:300]})"
    return f"cannot be fetched: the server answers {error.code} {error.reason}; try again later"


def _failed(url: str, text: str) -> FetchFailed:
    return FetchFailed(Problem(text, where=url))
