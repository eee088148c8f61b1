"""The served page in a real browser, and the process that serves it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from conftest import Cli, command, environment
from support.browser import Pages
from support.finished import make_run

from runner.core.errors import InputError
from runner.views.page import server as server_module
from runner.views.page.data import SnapshotData
from runner.views.page.server import PageServer


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Two trials of two seeds."""
    sweep = tmp_path / "our sweep"
    for seed in (0, 1):
        make_run(sweep, 0, seed, ap=0.4 + seed / 100)
        make_run(sweep, 1, seed, ap=0.5 + seed / 100, label="batch_size=16", batch_size=16, overrides={"TrainReader.batch_size": 16})
    return sweep


@pytest.fixture
def snapshot(sweep: Path) -> SnapshotData:
    from runner.sweep.session_results import read_report

    return SnapshotData([sweep], read_report)


@contextmanager
def dashboard(*arguments: str | Path, cwd: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command, and the address it prints."""
    process = subprocess.Popen(
        command("dashboard", *arguments), cwd=cwd, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r" at (http://\S+) \(Ctrl-C ends it\)$", line)
        assert found is not None, (line, process.stderr and process.stderr.read())
        yield process, found[1]
    finally:
        process.kill()
        process.communicate()


def get(address: str, path: str = "") -> Any:
    with urllib.request.urlopen(address.partition("#")[0] + path, timeout=30) as answer:
        return json.load(answer)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# --------------------------------------------------------------------------------------------------------------- browser
def test_the_page_opens_without_a_complaint_of_the_browser(pages: Pages, sweep: Path) -> None:
    from playwright.sync_api import expect

    page = pages.show(sweep)
    expect(page).to_have_title("our sweep · runner")
    expect(page.get_by_role("tab").first).to_be_visible()
    expect(page.locator("#unsupported")).to_have_count(0)


def test_a_complaint_of_the_browser_fails_the_test(pages: Pages, sweep: Path) -> None:
    page = pages.show(sweep)
    page.evaluate("document.body.append(Object.assign(document.createElement('img'), {src: 'https://example.org/x.png'}))")
    page.wait_for_timeout(100)
    assert any("example.org" in problem for problem in pages.problems)
    pages.problems.clear()


@pytest.mark.parametrize(
    "attempt",
    [
        "document.body.innerHTML = '<b>text</b>'",
        "document.body.insertAdjacentHTML('beforeend', '<b>text</b>')",
        "document.body.append(Object.assign(document.createElement('script'), {text: 'window.pwned = 1'}))",
        "document.body.setAttribute('onclick', 'window.pwned = 1'); document.body.click()",
        "trustedTypes.createPolicy('mine', {createHTML: (text) => text})",
        "new DOMParser().parseFromString('<b>text</b>', 'text/html')",
        "document.body.append(Object.assign(document.createElement('iframe'), {src: 'https://example.org'}))",
        "setTimeout('window.pwned = 1')",
    ],
)
def test_the_browser_refuses_to_make_code_out_of_text(pages: Pages, sweep: Path, attempt: str) -> None:
    from playwright.sync_api import Error

    page = pages.show(sweep)
    try:
        page.evaluate(f"() => {{ {attempt} }}")
    except Error as error:
        pages.problems.append(str(error))
    page.wait_for_timeout(100)
    assert re.search("Trusted|content policy|Content Security Policy", "".join(pages.problems))
    assert page.evaluate("window.pwned") is None
    pages.problems.clear()


def test_the_page_cannot_be_framed(pages: Pages, snapshot: SnapshotData, tmp_path: Path) -> None:
    pages.forgive("frame-ancestors|refused to connect|ERR_BLOCKED_BY_RESPONSE")
    address = pages.serve(data=snapshot)
    outer = tmp_path / "outer.html"
    outer.write_text(f"<iframe src={address}></iframe>")
    page = pages.open(outer.as_uri())
    page.wait_for_timeout(500)
    assert "our sweep" not in "".join(frame.title() for frame in page.frames)


def test_a_name_that_leads_here_gets_nothing(pages: Pages, chromium: object, snapshot: SnapshotData) -> None:
    """DNS rebinding: to the browser evil.example and this machine's server are one origin."""
    address = pages.serve(data=snapshot)
    port = urlsplit(address).port
    executable = os.environ.get("RUNNER_CHROMIUM") or shutil.which("chromium")
    assert executable is not None
    done = subprocess.run(
        [sys.executable, "-c", REBINDING, executable, str(port)],
        env={**environment(), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[421, False], [421, False], [421, False]]


REBINDING = """
import json, sys
from support.browser import launched
executable, port = sys.argv[1:]
with launched(executable, "--host-resolver-rules=MAP evil.example 127.0.0.1") as browser:
    page = browser.new_page()
    answers = []
    for path in ("", "api/overview", "api/trials"):
        answer = page.goto(f"http://evil.example:{port}/{path}")
        answers.append([answer.status, "our sweep" in answer.text()])
print(json.dumps(answers))
"""


def test_a_server_that_has_gone_is_said_and_one_that_comes_back_is_found(pages: Pages, sweep: Path) -> None:
    from playwright.sync_api import expect

    pages.forgive("ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET")
    port = str(free_port())
    with dashboard(sweep, "--port", port, cwd=sweep.parent) as (process, address):
        page = pages.open(address)
        expect(page.get_by_role("tab").first).to_be_visible()
        banner = page.locator(".banner")
        expect(banner).to_have_text("")
        process.send_signal(signal.SIGKILL)
        expect(banner).not_to_have_text("")
        process.wait()
    with dashboard(sweep, "--port", port, cwd=sweep.parent):
        expect(banner).to_have_text("")


def test_a_new_run_appears(pages: Pages, sweep: Path) -> None:
    from playwright.sync_api import expect

    page = pages.show(data=pages.live(sweep))
    header = page.locator("header.top")
    expect(header).to_contain_text("4")
    make_run(sweep, 0, 2)
    expect(header).to_contain_text("5")


@pytest.fixture
def beyond(monkeypatch: pytest.MonkeyPatch, snapshot: SnapshotData) -> Iterator[PageServer]:
    """A server on all interfaces."""
    with PageServer(snapshot, host="0.0.0.0") as server:
        yield server


@pytest.mark.parametrize("has_way_out", [True, False])
def test_beyond_this_machine_its_number_is_told_too(snapshot: SnapshotData, monkeypatch: pytest.MonkeyPatch, has_way_out: bool) -> None:
    """Others may not find it by its name."""
    own = [SimpleNamespace(family=socket.AF_INET, address=each) for each in ("127.0.0.1", "169.254.1.1", "192.168.7.9")]
    monkeypatch.setattr("psutil.net_if_addrs", lambda: {"any": own})
    if has_way_out:
        monkeypatch.setattr(socket.socket, "getsockname", lambda self: ("10.1.2.3" if self.type == socket.SOCK_DGRAM else "0.0.0.0", 80))
    monkeypatch.setattr(socket.socket, "connect", lambda self, where: None if has_way_out else refuse())
    monkeypatch.setattr(socket, "getfqdn", lambda: "here")
    server = PageServer(snapshot, host="0.0.0.0")
    server.socket.close()
    end = f":{urlsplit(server.address).port or 80}/#answer?token={server.token}"
    assert server.url_by_number == f"http://{'10.1.2.3' if has_way_out else '192.168.7.9'}{end}"
    assert server.url == f"http://{socket.gethostname()}{end}"


def refuse() -> None:
    raise OSError("Network is unreachable")


def test_on_this_machine_there_is_one_address(snapshot: SnapshotData) -> None:
    server = PageServer(snapshot)
    server.socket.close()
    assert server.url_by_number == ""


def test_the_token_is_exchanged_and_leaves_the_address(pages: Pages, beyond: PageServer) -> None:
    from playwright.sync_api import expect

    local = f"http://127.0.0.1:{urlsplit(beyond.address).port}/"
    assert beyond.token and beyond.url == f"{beyond.address}#answer?token={beyond.token}"
    page = pages.open(f"{local}#answer?lang=zh&token={beyond.token}")
    expect(page).to_have_title(re.compile("our sweep"))
    assert page.url == f"{local}#answer?lang=zh"
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    assert page.evaluate("document.cookie") == ""
    (cookie,) = page.context.cookies()
    assert cookie["httpOnly"] and cookie["sameSite"] == "Strict"
    page.reload()
    expect(page).to_have_title(re.compile("our sweep"))


@pytest.mark.parametrize("fragment", ["", "#answer?token=wrong"])
def test_without_the_token_the_page_says_what_is_missing(pages: Pages, beyond: PageServer, fragment: str) -> None:
    from playwright.sync_api import expect

    pages.forgive("status of 40[13]")
    page = pages.open(f"http://127.0.0.1:{urlsplit(beyond.address).port}/{fragment}")
    expect(page.locator("main")).to_contain_text("it ends with a token")
    assert "our sweep" not in page.content()


# --------------------------------------------------------------------------------------------------------------- process
def test_the_command_prints_the_address_and_ends_quietly(sweep: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in sweep.rglob("*")}
    with dashboard(sweep, "--language", "zh", cwd=sweep.parent) as (process, address):
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/#answer\?lang=zh", address)
        assert get(address, "api/overview")["title"] == "our sweep"
        with urllib.request.urlopen(address.partition("#")[0] + "api/changes", timeout=30) as stream:
            stream.readline()
            process.send_signal(signal.SIGINT)
            began = time.monotonic()
            out, err = process.communicate(timeout=20)
        assert (process.returncode, out, err) == (0, "", "")
        assert time.monotonic() - began < 3
    assert {path: path.stat().st_mtime_ns for path in sweep.rglob("*")} == before


def test_no_request_and_no_token_is_logged(sweep: Path) -> None:
    with dashboard(sweep, "--host", "0.0.0.0", cwd=sweep.parent) as (process, address):
        assert process.stdout is not None
        warning = next(line for line in process.stdout if "nothing is encrypted" in line)
        token = address.rpartition("=")[2]
        local = f"http://127.0.0.1:{urlsplit(address).port}/"
        for path in ("", f"?token={token}", f"api/overview?token={token}", "nowhere"):
            try:
                urllib.request.urlopen(local + path, timeout=30).close()
            except urllib.error.HTTPError as error:
                error.close()
        urllib.request.urlopen(urllib.request.Request(f"{local}api/token", data=token.encode()), timeout=30).close()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert token not in warning
    assert (out, err) == ("", "")


def test_what_cannot_be_served_is_one_message(cli: Cli, sweep: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        message = cli("dashboard", sweep, "--port", str(port)).refused()
        assert f"port {port} of 127.0.0.1 is in use; give another --port, or none for a free one" in message
    assert "no run in empty" in cli("dashboard", "empty").refused()
    assert "nowhere: no such directory" in cli("dashboard", "nowhere").refused()
    assert "--host is for the page" in cli("dashboard", sweep, "--with", "tensorboard", "--host", "0.0.0.0").refused()


def test_options_that_cannot_be_used(snapshot: SnapshotData) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"port": 0}, "port 0: expected 1 to 65535"),
        ({"port": 70000}, "port 70000: expected 1 to 65535"),
        ({"language": "fr"}, "language 'fr': expected en or zh"),
        ({"host": "no.such.host.invalid"}, "host 'no.such.host.invalid': not found; expected a name or an address of this machine"),
        ({"host": "192.0.2.1"}, "host '192.0.2.1': not an address of this machine"),
        ({"host": "a" * 70 + ".example"}, "not found"),
        ({"host": ""}, "expected a name or an address"),
    ]
    for options, message in wrong:
        with pytest.raises(InputError, match=re.escape(message)):
            PageServer(snapshot, **options)


def test_a_folder_that_cannot_be_read(sweep: Path, cli_here: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert f"{sweep}: the folder cannot be read: permission denied" in cli_here("dashboard", sweep).refused()


def test_a_missing_package_is_named_with_its_remedy(sweep: Path, cli_here: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "PACKAGES", ("msgspec", "no_such_package"))
    message = cli_here("dashboard", sweep).refused()
    assert "the page needs no_such_package, not installed in this environment: pip install '.[page]' in a checkout of runner" in message


@pytest.mark.parametrize(
    ("host", "has_token"), [("127.0.0.1", False), ("localhost", False), ("127.0.0.2", False), ("::1", False), ("0.0.0.0", True)]
)
def test_only_beyond_this_machine_a_token_is_needed(snapshot: SnapshotData, host: str, has_token: bool) -> None:
    try:
        with PageServer(snapshot, host=host) as server:
            assert bool(server.token) is has_token is ("token" in server.url)
            if not has_token:
                assert get(server.address, "api/overview")["title"] == "our sweep"
    except InputError:
        assert host == "::1", "only IPv6 may be missing on a machine"


def test_the_browser_is_opened_at_the_address(sweep: Path, monkeypatch: pytest.MonkeyPatch, cli_here: Callable[..., Any]) -> None:
    import webbrowser

    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setattr(PageServer, "run", lambda self: time.sleep(0.2))
    result = cli_here("dashboard", sweep, "--open")
    assert result.code == 0 and opened and opened[0] in result.out
