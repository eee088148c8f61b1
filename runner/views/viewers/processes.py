"""Process of a tracker's viewer, started on run directories: for this machine only, no telemetry, nothing left behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any

from runner.core.errors import InputError, RunnerError, how_to_install, nearest
from runner.core.importing import child_environment
from runner.store.run_dir import RunDir, not_a_run
from runner.trackers.base import TRACKERS
from runner.trackers.viewer import View, Viewer
from runner.views.viewers import watchdog as guard
from runner.views.viewers.layout import build_layout, write_to_server

LOOPBACK = ("127.0.0.1", "localhost")

_TRIES = 4
_POLL_S = 0.2
_TAIL_CHARACTERS = 3000


class RunningViewer:
    """A viewer that is up. Leaving the context, `close`, or the end of this process (however it ends) ends the viewer.

    Args:
        kind: name of its tracker.
        viewer: the tracker's viewer.
        view: what it was started on. The folder is removed at the end.
        process: the watchdog that runs it.
        output: the viewer's own output so far.
    """

    def __init__(self, kind: str, viewer: Viewer, view: View, process: subprocess.Popen[bytes], output: Path) -> None:
        self.kind = kind
        self.viewer = viewer
        self.view = view
        self.process = process
        self.output = output

    @property
    def url(self) -> str:
        """Address of its page, for a browser."""
        return self.view.address + self.viewer.page

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the runs in the viewer, in the order they were given."""
        return self.view.names

    @property
    def logdir(self) -> Path:
        """The folder it was started on, one entry per run."""
        return self.view.logdir

    def wait(self) -> None:
        """Return when Ctrl-C is pressed, with the viewer ended.

        Raises:
            RunnerError: the viewer ended by itself; carries the end of its output.
        """
        try:
            status = self.process.wait()
            raise RunnerError(f"{self.kind} ended with status {status}:\n{_tail(self.output)}")
        except KeyboardInterrupt:
            pass
        finally:
            self.close()

    def close(self) -> None:
        """End the viewer with all its processes and remove its folder. Idempotent."""
        _end(self.process)
        shutil.rmtree(self.logdir.parent, ignore_errors=True)

    def __enter__(self) -> RunningViewer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def start_viewer(
    kind: str,
    runs: Sequence[RunDir],
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    language: str | None = None,
    timeout_s: float = 90.0,
) -> RunningViewer:
    """Start the viewer of a tracker on all `runs` and wait until it answers.

    Args:
        kind: name of the tracker.
        runs: at least one. The names in the viewer are the directories'; equal ones are distinguished by their parents'.
        host: a loopback address: a viewer asks for no password.
        port: None takes a free one.
        language: of its page, one that the viewer has; None: its first.
        timeout_s: how long it may take until it answers.

    Raises:
        InputError: the viewer is not installed, or something given cannot be used; names all that is wrong.
        RunnerError: the viewer ended or did not answer in time; carries the end of its output.
    """
    viewer = _check(kind, runs, host, port, language)
    language = language or next(iter(viewer.languages), "")
    work = Path(tempfile.mkdtemp(prefix=f"runner-{kind}-"))
    try:
        (logdir := work / "runs").mkdir()
        names = tuple(build_layout(kind, viewer, runs, logdir))
        for attempt in range(_TRIES):
            view = View(logdir, names, host, port if port is not None else _free_port(host), language)
            process, output = _spawn(_command(viewer, view), work)
            running = RunningViewer(kind, viewer, view, process, output)
            try:
                _await_health(running, time.monotonic() + timeout_s)
                if not viewer.reads_files:
                    write_to_server(kind, runs, work, view.address)
            except _PortTaken:
                _end(process)
                if port is not None or attempt == _TRIES - 1:
                    raise
                continue  # someone took the free port before the viewer did
            except BaseException:
                _end(process)
                raise
            return running
        raise AssertionError("the last try returns or raises")
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


class _PortTaken(RunnerError):
    """The viewer could not have its port."""


def _check(kind: str, runs: Sequence[RunDir], host: str, port: int | None, language: str | None) -> Viewer:
    problems: list[str] = []
    viewer = None
    try:
        viewer = viewer_of(kind)
    except InputError as error:
        problems.append(str(error))
    if not runs:
        problems.append("no run to show")
    problems += [str(not_a_run(run.path)) for run in runs if not run.exists()]
    if host not in LOOPBACK:
        problems.append(
            f"host {host!r}: the viewers ask for no password, so only {' or '.join(LOOPBACK)} is allowed; "
            "from another machine, forward the port with ssh -L"
        )
    elif port is not None and not 1 <= port <= 65535:
        problems.append(f"port {port}: expected 1 to 65535")
    elif port is not None and not _is_free(host, port):
        problems.append(f"port {port} of {host} is in use; give another one, or none for a free one")
    if viewer is not None and language is not None and language not in viewer.languages:
        expected = " or ".join(viewer.languages) or f"none: the page of {kind} has one language"
        problems.append(f"language {language!r}: expected {expected}")
    if viewer is None or problems:
        raise InputError("\n".join(problems))
    return viewer


def viewer_of(kind: str) -> Viewer:
    """Return the viewer of the tracker `kind`. Raises InputError where there is none that can be started here."""
    if kind not in TRACKERS:
        names = [name for name, tracker in TRACKERS.usable() if tracker.viewer is not None]
        raise InputError(f"unknown viewer {kind!r}; {nearest(kind, names)}".rstrip("; "))
    tracker = TRACKERS.get(kind)
    if tracker.viewer is None:
        names = [name for name, other in TRACKERS.usable() if other.viewer is not None]
        raise InputError(f"tracker {kind!r} has no viewer that can be started here; those that have one: {', '.join(names)}")
    if missing := [package for package in tracker.packages if not _is_installed(package)]:
        raise InputError(f"{', '.join(missing)} is not installed in this environment: {how_to_install(tracker.requirement)}")
    return tracker.viewer


def _is_installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _command(viewer: Viewer, view: View) -> list[str]:
    # -P: the working folder, full of runs with any name, must not be a place Python imports from.
    start = [str(Path(__file__).with_name("loopback.py"))] if viewer.uses_werkzeug else ["-m"]
    return [sys.executable, "-P", *start, *viewer.command(view)]


def _spawn(command: list[str], work: Path) -> tuple[subprocess.Popen[bytes], Path]:
    output = work / "viewer.log"
    no_proxy = ",".join(filter(None, [os.environ.get("no_proxy", ""), *LOOPBACK]))
    environment = child_environment({"no_proxy": no_proxy, "NO_PROXY": no_proxy, "PYTHONUNBUFFERED": "1"})
    with open(output, "wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-P", guard.__file__, str(work), *command],
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=work / "runs",
            env=environment,
            start_new_session=True,  # a Ctrl-C in the terminal is for us; we then end the viewer
        )
    return process, output


def _await_health(running: RunningViewer, deadline: float) -> None:
    def get(path: str) -> Any:
        return _get_json(running.url + path)

    while True:
        if running.process.poll() is not None:
            text = _tail(running.output)
            kind = _PortTaken if "in use" in text or "could not bind" in text else RunnerError
            raise kind(f"{running.kind} ended with status {running.process.returncode} before it answered:\n{text}")
        if running.viewer.answers(running.view, get):
            return
        if time.monotonic() > deadline:
            raise RunnerError(f"{running.kind} at {running.url} does not answer:\n{_tail(running.output)}")
        time.sleep(_POLL_S)


def _get_json(url: str) -> Any:
    request = urllib.request.Request(url, headers={"Accept-Language": "en"})
    try:
        with _OPENER.open(request, timeout=10) as response:
            return json.load(response)
    except (OSError, ValueError):
        return None


_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy cannot reach our loopback


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(timeout=guard.GRACE_S + 3)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _tail(output: Path) -> str:
    try:
        text = output.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        text = ""
    return text[-_TAIL_CHARACTERS:] or "(it printed nothing)"
