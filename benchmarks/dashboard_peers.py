"""TensorBoard and VisualDL beside our page, on the same runs, each with its own defaults."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from benchmarks.dashboard_measures import CHART, CHARTS, all_read
from benchmarks.dashboard_server import TIMEOUT_S, Browser, Row, appeared, navigated
from runner.core.importing import child_environment
from runner.store.run_dir import find_runs
from runner.trackers.base import rebuild_log

RUNS = 40
"""TensorBoard selects no run by itself where there are more."""
RATIO = 5.0
TAG = "train/loss"


@dataclass(frozen=True, slots=True)
class Peer:
    """A viewer of logs.

    Args:
        name: of its tracker.
        packages: those whose versions are printed; without the first one it is left out.
        command: arguments of Python that start it on the folder ``{logs}`` at port ``{port}``.
        ready: address of an answer that contains the tag once the logs are read.
        page: address of its page with the chart; chart: JavaScript condition that the chart is on the screen.
    """

    name: str
    packages: tuple[str, ...]
    command: Sequence[str]
    ready: str
    page: str
    chart: str


PEERS = (
    Peer(
        "tensorboard",
        ("tensorboard", "tensorboard-data-server"),
        ("-m", "tensorboard.main", "--logdir={logs}", "--port={port}"),
        "data/plugin/timeseries/tags",
        f"?tagFilter={TAG}#timeseries",
        """document.querySelector("scalar-card line-chart canvas") && !document.querySelector("scalar-card mat-spinner")
        && performance.getEntriesByType("resource").some((each) => each.name.includes("timeSeries"))""",
    ),
    Peer(
        "visualdl",
        ("visualdl",),
        ("-m", "visualdl.server.app", "--logdir={logs}", "--port={port}", "--disable-telemetry"),
        "app/api/scalar/tags",
        "app/scalar",
        """[...document.querySelectorAll(".echarts canvas")].some((canvas) => {
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          for (let at = 0; at < data.length; at += 4) if (data[at + 3] && Math.abs(data[at] - data[at + 2]) > 60) return true;
          return false;
        })""",
    ),
)


def peers(browser: Browser, sweep: Path, repeats: int) -> Iterator[Row]:
    """Start each and open its first chart, then open that again: ours, theirs, how many times as long theirs takes."""
    runs = [run.path for run in find_runs([sweep])][:RUNS]
    what = f"{len(runs)} runs, warm"
    with browser.server(*runs) as server:
        all_read(server)
    ours = [_ours(browser, runs) for _ in range(repeats)]
    yield Row(f"{what}: command → first chart", [start for start, _ in ours], "s")
    yield Row(f"{what}: opened again → first chart", [again for _, again in ours], "s")
    for peer in PEERS:
        if not _version(peer.packages[0]):
            print(f"{peer.name} is not installed: left out", file=sys.stderr)
            continue
        logs = _logs(peer, runs, sweep.parent)
        theirs = [_theirs(browser, peer, logs) for _ in range(repeats)]
        yield Row(f"  {peer.name}: command → first chart", [start for start, _ in theirs], "s")
        yield Row(f"  {peer.name}: opened again → first chart", [again for _, again in theirs], "s")
        for index, kind in enumerate(("command", "opened again")):
            ratios = [their[index] / our[index] for their, our in zip(theirs, ours, strict=True)]
            yield Row(f"  {peer.name} to ours, {kind} → first chart", ratios, "x", RATIO, least=True)


def _ours(browser: Browser, runs: Sequence[Path]) -> tuple[float, float]:
    with browser.shows(*runs, fragment=CHARTS, chart=CHART) as (server, page):
        start = appeared(page, "chart") - server.began
        time.sleep(2)
        with browser.page(chart=CHART) as other:
            other.goto(server.address + CHARTS, wait_until="commit")
            return start, appeared(other, "chart") - navigated(other)


def _theirs(browser: Browser, peer: Peer, logs: Path) -> tuple[float, float]:
    with browser.page(chart=peer.chart) as page, _started(peer, logs) as (address, began):
        page.goto(address + peer.page, wait_until="commit")
        start = appeared(page, "chart") - began
        time.sleep(2)
        with browser.page(chart=peer.chart) as other:
            other.goto(address + peer.page, wait_until="commit")
            return start, appeared(other, "chart") - navigated(other)


@contextmanager
def _started(peer: Peer, logs: Path) -> Iterator[tuple[str, float]]:
    """Its address, once it has read the logs, and when it was started."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    began = time.time()
    command = [sys.executable, "-P", *(part.format(logs=logs, port=port) for part in peer.command)]
    silent = subprocess.DEVNULL
    process = subprocess.Popen(command, env=child_environment(), stdout=silent, stderr=silent, start_new_session=True)
    address = f"http://127.0.0.1:{port}/"
    try:
        _await(address + peer.ready, f"{TAG.rpartition('/')[2]}", time.monotonic() + TIMEOUT_S)
        yield address, began
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def _await(address: str, text: str, deadline: float) -> None:
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(address, timeout=TIMEOUT_S) as answer:
                if text in answer.read().decode():
                    return
        except OSError:
            pass
        time.sleep(0.05)
    raise SystemExit(f"{address} does not have {text}")


def _logs(peer: Peer, runs: Sequence[Path], folder: Path) -> Path:
    """Return the folder of a peer's logs of these runs, made once."""
    logs = folder / f"{peer.name}-{len(runs)}"
    if not logs.is_dir():
        print(f"making logs of {peer.name}", file=sys.stderr, flush=True)
        made = folder / "new-logs"
        shutil.rmtree(made, ignore_errors=True)
        for run in find_runs(list(runs)):
            rebuild_log(peer.name, run, made / run.name)
        made.rename(logs)
    return logs


def peer_versions() -> str:
    """Return names and versions of the peers and what they read logs with."""
    return ", ".join(f"{name} {_version(name) or 'missing'}" for peer in PEERS for name in peer.packages)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
