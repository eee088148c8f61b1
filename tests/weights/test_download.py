"""Downloads from a real server on this machine that misbehaves."""

from __future__ import annotations

import errno
import io
import shutil
import time
from collections import namedtuple
from hashlib import sha256
from pathlib import Path
from urllib.request import Request

import pytest
from support.weights import Site

from runner.core.errors import InputError, RunnerError
from runner.weights import download
from runner.weights.download import Expected, Patience, connect, read_small, save

CONTENT = bytes(range(256)) * 64
ANY = Expected()
HASTY = Patience(silent_s=0.3, window_s=0.3, window_bytes=1000)


def got(url: str, folder: Path, expected: Expected = ANY, patience: Patience = HASTY) -> tuple[str, list[str]]:
    """Download into the folder; return the digest and what was said."""
    said: list[str] = []
    with connect(url, said.append, patience) as connection:
        return save(connection, folder / "part", expected, lambda done, total: None), said


def refused(url: str, folder: Path, expected: Expected = ANY, patience: Patience = HASTY) -> str:
    with pytest.raises(InputError) as caught:
        got(url, folder, expected, patience)
    assert not list(folder.iterdir())
    (problem,) = caught.value.problems
    assert problem.where.startswith(url.partition("?")[0]) or "127.0.0.1" in problem.where
    return problem.message


def test_a_good_file_is_saved_whole(site: Site, tmp_path: Path) -> None:
    digest = sha256(CONTENT).hexdigest()
    url, seen = site.file("/a.pth", CONTENT), list[tuple[int, int | None]]()
    for expected in (Expected(), Expected(digest[:8]), Expected(digest, len(CONTENT))):
        with connect(url, print) as connection:
            assert connection.size_bytes == len(CONTENT)
            assert save(connection, tmp_path / "part", expected, lambda done, total: seen.append((done, total))) == digest
        assert (tmp_path / "part").read_bytes() == CONTENT and seen[-1] == (len(CONTENT), len(CONTENT))
        (tmp_path / "part").unlink()


def test_a_size_that_the_server_does_not_state(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = site.file("/a.pth", CONTENT, length=-1)
    assert got(url, tmp_path)[0] == sha256(CONTENT).hexdigest()
    (tmp_path / "part").unlink()
    monkeypatch.setattr(download, "MAX_BYTES", 5000)
    assert "more than 5,000 bytes" in refused(url, tmp_path)
    assert "at most 5,000 are fetched" in refused(site.file("/b.pth", CONTENT), tmp_path)


def test_a_truncated_file_is_refused_and_removed(site: Site, tmp_path: Path) -> None:
    assert f"ended after {len(CONTENT):,} of {len(CONTENT) + 9:,} bytes" in refused(
        site.file("/a.pth", CONTENT, length=len(CONTENT) + 9), tmp_path
    )


def test_a_changed_file_is_refused(site: Site, tmp_path: Path) -> None:
    url = site.file("/a.pth", CONTENT)
    message = refused(url, tmp_path, Expected("0676ba61"))
    assert "not the expected file" in message and "expected 0676ba61" in message and sha256(CONTENT).hexdigest()[:16] in message
    assert "expected 7: it has changed" in refused(url, tmp_path, Expected("", 7))
    assert "more than 7 bytes" in refused(site.file("/b.pth", CONTENT, length=-1), tmp_path, Expected("", 7))


def test_a_moved_file_is_followed_and_another_host_is_named(site: Site, tmp_path: Path) -> None:
    site.file("/new.pth", CONTENT)
    digest, said = got(site.redirect("/old.pth", "/new.pth", 301), tmp_path)
    assert digest == sha256(CONTENT).hexdigest() and not said
    (tmp_path / "part").unlink()
    elsewhere = site.url.replace("127.0.0.1", "localhost")
    digest, said = got(site.redirect("/there.pth", f"{elsewhere}/new.pth", 302), tmp_path)
    host, other = site.url.partition("//")[2], elsewhere.partition("//")[2]
    assert digest == sha256(CONTENT).hexdigest() and said == [f"{host} redirects to {other}"]


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/a.pth", "data:,x", "gopher://127.0.0.1/"])
def test_a_redirect_leads_to_http_only(site: Site, tmp_path: Path, target: str) -> None:
    assert "not followed" in refused(site.redirect("/a.pth", target), tmp_path)


def test_https_is_not_left(site: Site) -> None:
    redirects = download._Redirects(print)
    with pytest.raises(InputError, match="which is not https and is not followed"):
        redirects.redirect_request(Request("https://example.org/a"), io.BytesIO(), 302, "", {}, "http://example.org/a")
    followed = redirects.redirect_request(Request("http://example.org/a"), None, 302, "", {}, "https://example.org/a")
    assert followed.full_url == "https://example.org/a"


def test_redirects_in_a_circle_end(site: Site, tmp_path: Path) -> None:
    assert "redirect" in refused(site.redirect("/a.pth", "/a.pth"), tmp_path)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/a.pth", "https:///a.pth", "data:,x"])
def test_only_addresses_of_servers_are_opened(tmp_path: Path, url: str) -> None:
    with pytest.raises(InputError, match="expected an address that begins with https://"), connect(url, print):
        pass


@pytest.mark.parametrize(
    ("code", "word"),
    [(404, "does not exist (404"), (403, "licence has to be accepted"), (401, "--offline-from"), (500, "answers 500"), (503, "try again")],
)
def test_errors_of_the_server(site: Site, tmp_path: Path, code: int, word: str) -> None:
    assert word in refused(site.refuse("/a.pth", code), tmp_path)


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    gone = Site()
    gone.close()
    message = refused(f"{gone.url}/a.pth", tmp_path)
    assert "cannot be reached" in message and "--offline-from FOLDER" in message


def test_a_slow_server_is_given_up(site: Site, tmp_path: Path) -> None:
    began = time.monotonic()
    assert "did not answer within 0.3 s" in refused(site.on("/silent.pth", lambda request: time.sleep(2)), tmp_path)
    assert "did not answer within 0.3 s" in refused(site.file("/stops.pth", CONTENT, pause_s=1.0, piece=8000), tmp_path)
    assert "too slow: " in refused(site.file("/drips.pth", CONTENT, pause_s=0.1, piece=100), tmp_path)
    assert time.monotonic() - began < 5


def test_what_is_not_http(site: Site, tmp_path: Path) -> None:
    def noise(request: object) -> None:
        request.wfile.write(b"\x00\xffnothing of the kind\r\n\r\n")  # type: ignore[attr-defined]

    assert "cannot be read" in refused(site.on("/a.pth", noise), tmp_path)
    assert "cannot be read" in refused(f"{site.url}/a b.pth", tmp_path)


def test_metadata_has_a_limit(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_small(site.file("/small", b"{}"), print) == b"{}"
    monkeypatch.setattr(download, "_MAX_METADATA_BYTES", 10)
    with pytest.raises(InputError, match="more than 10 bytes"):
        read_small(site.file("/large", CONTENT), print)


def test_a_full_disk(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    url = site.file("/a.pth", CONTENT)
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", lambda path: usage(9, 9, 100))
        with pytest.raises(RunnerError, match="0.00 GiB free; free some space, or set RUNNER_WEIGHTS"):
            got(url, tmp_path)

    def full(*_: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download, "_copy", full)
    with pytest.raises(RunnerError, match="the disk is full"):
        got(url, tmp_path)
    assert not list(tmp_path.iterdir())
