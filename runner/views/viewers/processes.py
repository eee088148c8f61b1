"""Starts the real TensorBoard or VisualDL on run directories: for this machine only, no telemetry, nothing left behind."""

from __future__ import annotations

import importlib.util
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
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from runner.core.errors import InputError, RunnerError, nearest
from runner.core.importing import child_environment
from runner.store.run_dir import RunDir
from runner.views.viewers import watchdog as guard
from runner.views.viewers.layout import build_layout

Kind = Literal["visualdl", "tensorboard"]
KINDS = ("tensorboard", "visualdl")
LOOPBACK = ("127.0.0.1", "localhost")
LANGUAGES = ("en", "zh")

_TRIES = 4
_POLL_S = 0.2
_TAIL_CHARACTERS = 3000


class Viewer:
    """A viewer that is up. Leaving the context, `close`, or the end of this process (however it ends) ends the viewer.

    Args:
        kind: ``tensorboard`` or ``visualdl``.
        url: where a browser finds it.
        logdir: the folder it was started on, one entry a run; removed at the end.
        names: the runs' names in the viewer, in the order they were given.
        process: the guard that runs it.
        output: the viewer's own output so far.
    """

    def __init__(self, kind: Kind, url: str, logdir: Path, names: Sequence[str], process: subprocess.Popen[bytes], output: Path) -> None:
        self.kind = kind
        self.url = url
        self.logdir = logdir
        self.names = tuple(names)
        self.process = process
        self.output = output

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

    def __enter__(self) -> Viewer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def start_viewer(
    kind: str,
    runs: Sequence[RunDir],
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    language: str = "en",
    timeout_s: float = 90.0,
) -> Viewer:
    """Start the viewer on all `runs` and wait until it answers.

    Args:
        kind: ``visualdl`` or ``tensorboard``.
        runs: at least one. The names in the viewer are the directories'; equal ones are told apart by their parents'.
        host: a loopback address: neither viewer asks for a password.
        port: None takes a free one.
        language: VisualDL's page: ``en`` or ``zh``.
        timeout_s: how long it may take until it answers.

    Raises:
        InputError: the viewer is not installed, or something given cannot be used; names all that is wrong.
        RunnerError: the viewer ended or did not answer in time; carries the end of its output.
    """
    checked = _check(kind, runs, host, port, language)
    work = Path(tempfile.mkdtemp(prefix=f"runner-{checked}-"))
    try:
        (logdir := work / "runs").mkdir()
        names = build_layout(checked, runs, logdir)
        for attempt in range(_TRIES):
            chosen = port if port is not None else _free_port(host)
            command = _command(checked, logdir, names, host, chosen, language)
            process, output = _spawn(command, work)
            viewer = Viewer(checked, _url(checked, host, chosen), logdir, names, process, output)
            try:
                _await_health(viewer, time.monotonic() + timeout_s)
            except _PortTaken:
                _end(process)
                if port is not None or attempt == _TRIES - 1:
                    raise
                continue  # someone took the free port before the viewer did
            except BaseException:
                _end(process)
                raise
            return viewer
        raise AssertionError("the last try returns or raises")
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


class _PortTaken(RunnerError):
    """The viewer could not have its port."""


def _check(kind: str, runs: Sequence[RunDir], host: str, port: int | None, language: str) -> Kind:
    problems: list[str] = []
    if kind not in KINDS:
        problems.append(f"there is no viewer {kind!r}; {nearest(kind, KINDS)}")
    elif importlib.util.find_spec(kind) is None:
        problems.append(f"{kind} is not installed in this environment: pip install 'detection-runner[{kind}]'")
    if not runs:
        problems.append("no run to show")
    problems += [f"{run.path} is not a run directory (it has no run.json)" for run in runs if not run.exists()]
    if host not in LOOPBACK:
        problems.append(
            f"host {host!r}: the viewers ask for no password, so only {' or '.join(LOOPBACK)} is allowed; "
            "from another machine, forward the port with ssh -L"
        )
    elif port is not None and not 1 <= port <= 65535:
        problems.append(f"port {port}: expected 1 to 65535")
    elif port is not None and not _is_free(host, port):
        problems.append(f"port {port} of {host} is in use; take another one, or none to have a free one chosen")
    if language not in LANGUAGES:
        problems.append(f"language {language!r}: expected {' or '.join(LANGUAGES)}")
    if problems:
        raise InputError("\n".join(problems))
    return "visualdl" if kind == "visualdl" else "tensorboard"


def _command(kind: Kind, logdir: Path, names: Sequence[str], host: str, port: int, language: str) -> list[str]:
    # -P: the working folder, full of runs with any name, must not be a place Python imports from.
    python = [sys.executable, "-P", str(Path(__file__).with_name("loopback.py"))]
    at = ["--host", host, "--port", str(port)]
    if kind == "tensorboard":
        keep = "--samples_per_plugin=scalars=10000,images=100"  # by default 10 images a tag
        return [*python, "tensorboard.main", "--logdir", str(logdir), *at, "--reload_interval=5", keep]
    # Given relative names, VisualDL calls the runs just that; "./-x" keeps a dash from being read as an option.
    folders = [f"./{name}" if name.startswith("-") else name for name in names]
    options = ["--language", language, "--disable-telemetry", "--cache-timeout", "5"]
    return [*python, "visualdl.server.app", "--logdir", *folders, *at, *options]


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


def _await_health(viewer: Viewer, deadline: float) -> None:
    while True:
        if viewer.process.poll() is not None:
            text = _tail(viewer.output)
            kind = _PortTaken if "in use" in text or "could not bind" in text else RunnerError
            raise kind(f"{viewer.kind} ended with status {viewer.process.returncode} before it answered:\n{text}")
        if _answers(viewer):
            return
        if time.monotonic() > deadline:
            raise RunnerError(f"{viewer.kind} at {viewer.url} does not answer:\n{_tail(viewer.output)}")
        time.sleep(_POLL_S)


def _answers(viewer: Viewer) -> bool:
    """Whether this viewer, and not another program that has the port, answers: it must know our folder or our runs."""
    if viewer.kind == "tensorboard":
        answer = _get_json(f"{viewer.url}data/environment")
        return isinstance(answer, dict) and answer.get("data_location") == str(viewer.logdir)
    answer = _get_json(f"{viewer.url}api/runs")
    shown = answer.get("data") if isinstance(answer, dict) else None
    return isinstance(shown, list) and {str(name).removeprefix("./") for name in shown} == set(viewer.names)


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


def _url(kind: Kind, host: str, port: int) -> str:
    return f"http://{host}:{port}/" + ("app/" if kind == "visualdl" else "")


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
