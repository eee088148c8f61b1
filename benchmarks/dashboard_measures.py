"""Measurements of `benchmarks.dashboard` on our page."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.dashboard_server import ROOT, TIMEOUT_S, Browser, Row, Server, appeared, navigated, tab_memory_mb
from runner.core.importing import child_environment
from runner.store.records import Record, RecordWriter
from runner.store.run_dir import RunDir, Status

if TYPE_CHECKING:
    from playwright.sync_api import Page

TABLE = r'[...document.querySelectorAll("[role=treegrid] tr[data-id] td.number")].some((cell) => /\d/.test(cell.textContent))'
CHART = 'Number(document.querySelector(".curve-card canvas") && document.querySelector(".curve-card").dataset.points) > 0'
CHARTS = "#curves?tag=train/loss"

_SORT = """(name) => notes.painted(() => document.querySelector(`th[data-column="${name}"] button`).click())"""
_FILTER = """(text) => notes.painted(() => {
  const field = document.getElementById("filter");
  field.value = text;
  field.dispatchEvent(new Event("input", { bubbles: true }));
})"""
_SLIDER = """([way, stop]) => notes[way](() => {
  const slider = document.querySelector(".curve-slider input");
  slider.value = stop;
  slider.dispatchEvent(new Event("input", { bubbles: true }));
})"""
_ZOOM = """([way, from, to]) => notes[way](() => {
  const [low, high] = document.querySelectorAll("input.curve-end");
  for (const [field, value] of [[low, from], [high, to]]) field.value = value;
  high.dispatchEvent(new Event("change", { bubbles: true }));
})"""
_SETTLE = "() => notes.settled(() => {})"
_MOST_LATENCIES = 10_000


def starts(browser: Browser, sweep: Path, repeats: int) -> Iterator[Row]:
    """Start the server and open its table, with an empty cache and with a filled one; memory of server and tab."""
    cold, cold_cpu, answers, tables, warm_cpu, memory, tab = [], [], [], [], [], [], []
    for _ in range(repeats):
        with browser.shows(sweep, fragment="#trials", cold=True, table=TABLE) as (server, page):
            cold.append(appeared(page, "table") - server.began)
            cold_cpu.append(server.cpu_s())
    with browser.server(sweep) as server:
        all_read(server)
    for _ in range(repeats):
        with browser.page(table=TABLE) as page, browser.server(sweep) as server:
            urllib.request.urlopen(server.address, timeout=TIMEOUT_S).close()
            server.get("api/overview")
            answered = time.time()
            page.goto(f"{server.address}#trials", wait_until="commit")
            answers.append(answered - server.began)
            tables.append(appeared(page, "table") - answered)
            warm_cpu.append(server.cpu_s())
            page.evaluate(_SETTLE)
            memory.append(server.memory_mb())
            tab.append(tab_memory_mb(page))
    what = f"{_count(sweep):,} runs"
    yield Row(f"cold: command → table of {what} painted", cold, "s", 4.0)
    yield Row("  processor time of the server until then", cold_cpu, "s")
    yield Row(f"warm: command → page and overview of {what} answered", answers, "s", 1.5)
    yield Row("warm: from there → table painted", tables, "s", 1.0)
    yield Row("  processor time of the server until then", warm_cpu, "s")
    yield Row(f"memory of the server, {what}, warm", memory, "MB", 150.0)
    yield Row(f"memory of the tab, table of {what}", tab, "MB", 250.0)


def reading(browser: Browser, sweep: Path, repeats: int, limit_s: float = 15.0) -> Iterator[Row]:
    """Start the server with an empty cache, until every record is read; how quickly it answers meanwhile."""
    walls, latencies, memory, cpu = [], [], [], []
    for _ in range(repeats):
        with browser.server(sweep, cold=True) as server:
            found: list[float] = []
            over = threading.Event()
            asking = threading.Thread(target=_ask, args=(server, found, over))
            asking.start()
            walls.append(all_read(server) - server.began)
            over.set()
            asking.join()
            latencies.append(sorted(found)[int(0.95 * len(found))] * 1e3)
            memory.append(server.memory_mb())
            cpu.append(server.cpu_s())
    what = f"{_count(sweep):,} runs"
    yield Row(f"cold: command → all records of {what} read", walls, "s", limit_s)
    yield Row("  processor time of the server until then", cpu, "s")
    yield Row("  answers meanwhile (run), 95th percentile", latencies, "ms", 100.0)
    yield Row("  memory of the server then", memory, "MB", 150.0)


def all_read(server: Server) -> float:
    """Wait until the table has the time spent of every run, which only its records say; return when that was, in seconds since 1970."""
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        runs = server.get("api/trials")["runs"]
        if all(run["time_s"] is not None for run in runs):
            return time.time()
        time.sleep(0.5)
    raise SystemExit(f"not all records were read within {TIMEOUT_S:g} s")


def _ask(server: Server, found: list[float], over: threading.Event) -> None:
    server.get("api/overview")
    while not over.is_set() and len(found) < _MOST_LATENCIES:
        began = time.monotonic()
        server.get("api/run?id=r0")
        found.append(time.monotonic() - began)
        over.wait(0.05)


def first_chart(browser: Browser, sweep: Path, repeats: int) -> Iterator[Row]:
    """Open the page at its first chart: with an empty cache, with a filled one, and once the server has read the tag."""
    times: dict[bool, list[float]] = {True: [], False: []}
    again, memory = [], []
    for _ in range(repeats):
        for cold in (True, False):
            with browser.shows(sweep, fragment=CHARTS, cold=cold, chart=CHART) as (server, page):
                times[cold].append(appeared(page, "chart") - navigated(page))
                page.evaluate(_SETTLE)
                _wait_until_idle(server)
                with browser.page(chart=CHART) as other:
                    other.goto(server.address + CHARTS, wait_until="commit")
                    again.append(appeared(other, "chart") - navigated(other))
                memory.append(server.memory_mb())
    what = f"{_count(sweep)} × {_records(sweep):,}"
    yield Row(f"cold: first chart of {what} after opening", times[True], "s", 3.0)
    yield Row("warm: the same after a restart of the server", times[False], "s")
    yield Row("warm: the same, opened again", again, "s")
    yield Row("memory of the server then", memory, "MB", 150.0)


def table(browser: Browser, sweep: Path, repeats: int) -> Iterator[Row]:
    """Sort and filter the table of trials."""
    sorts, filters = [], []
    with browser.shows(sweep, fragment="#trials", table=TABLE) as (server, page):
        appeared(page, "table")
        _wait_until_idle(server)
        page.evaluate(_SETTLE)
        metric = page.evaluate("""() => document.querySelector("th.number:not(:empty)[data-column*='AP']").dataset.column""")
        for _ in range(repeats):
            sorts += [page.evaluate(_SORT, name) for name in (metric, metric, "name")]
            filters += [page.evaluate(_FILTER, text) for text in ("lr=0.1", "lr=0.12", "bbox/AP>0.4", "")]
    what = f"table of {_count(sweep):,} runs"
    yield Row(f"{what}: sort → painted", sorts, "ms", 100.0)
    yield Row(f"{what}: filter → painted", filters, "ms", 100.0)


def curves(browser: Browser, sweep: Path, repeats: int) -> Iterator[Row]:
    """Smooth and zoom charts; memory of the tab."""
    sliders, exact, zooms, details = [], [], [], []
    with browser.shows(sweep, fragment=CHARTS, chart=CHART) as (server, page):
        appeared(page, "chart")
        _wait_until_idle(server)
        page.evaluate(_SETTLE)
        end = 10 * _records(sweep)
        for number in range(repeats):
            for stop in (3, 6):
                sliders.append(page.evaluate(_SLIDER, ["painted", stop]))
                page.evaluate(_SETTLE)
                page.evaluate(_SLIDER, ["settled", 0])
            exact.append(page.evaluate(_SLIDER, ["settled", 1 + number % 7]))
            page.evaluate(_SLIDER, ["settled", 0])
            low = (0.2 + 0.01 * number) * end
            zooms.append(page.evaluate(_ZOOM, ["painted", low, low + 0.2 * end]))
            page.evaluate(_SETTLE)
            details.append(page.evaluate(_ZOOM, ["settled", low + 0.1 * end, low + 0.2 * end]))
            page.evaluate(_ZOOM, ["settled", "", ""])
        tab = [tab_memory_mb(page)]
    yield Row("charts: smoothing → painted", sliders, "ms", 100.0)
    yield Row("charts: smoothing → exact", exact, "ms")
    yield Row("charts: zoom → painted", zooms, "ms", 100.0)
    yield Row("charts: zoom → exact detail painted", details, "ms", 300.0)
    yield Row("memory of the tab, charts", tab, "MB", 250.0)


def live(browser: Browser, sweep: Path, repeats: int) -> Iterator[Row]:
    """Add four running runs: how soon a record of theirs is on the screen, and the server's work while nothing happens."""
    running = [RunDir(_make_running(sweep, number)) for number in range(4)]
    delays, busy = [], []
    try:
        with browser.shows(sweep, fragment="#trials?f=state:running", table=TABLE) as (server, page):
            page.locator("[role=treegrid] tr[data-id]").first.wait_for()
            _wait_until_idle(server)
            for number in range(repeats):
                delays.append(_delay(page, running[number % 4], 11 + number))
            _wait_until_idle(server)
            for _ in range(repeats):
                for run in running:
                    _show_life(run)
                before, began = server.cpu_s(), time.monotonic()
                time.sleep(10)
                busy.append((server.cpu_s() - before) / (time.monotonic() - began) * 100)
    finally:
        for run in running:
            shutil.rmtree(run.path)
    yield Row("record written → on the screen", delays, "s", 1.5)
    yield Row(f"idle server, {_count(sweep):,} finished runs, 4 running, page open", busy, "%", 2.0)


def _make_running(sweep: Path, number: int) -> Path:
    name = f"{number:04}-running-s9"
    path = sweep / "runs" / name
    path.mkdir()
    source = RunDir(next((sweep / "runs").glob(f"{number:04}-*-s0")))
    identity = {
        **json.loads(source.identity_file.read_bytes()),
        "id": name,
        "seed": 9,
        "key": name,
        "trial": 100_000 + number,
        "label": name,
    }
    RunDir(path).identity_file.write_text(json.dumps(identity), encoding="utf-8")
    RunDir(path).config.write_bytes(source.config.read_bytes())
    writer = RecordWriter(RunDir(path).metrics)
    writer.write(Record(1, 0, 0.0, time.time(), resumed=True))
    writer.close()
    _show_life(RunDir(path))
    return path


def _show_life(run: RunDir) -> None:
    run.write_status(Status("running", None, 1, 10, 10_000, 0.1, time.time(), pid=os.getpid(), phase="training", host="another-machine"))


def _delay(page: Page, run: RunDir, value: int) -> float:
    page.evaluate(
        """(value) => {
          window.came = null;
          const look = () => {
            const text = document.querySelector("[role=treegrid]").textContent;
            if (text.includes(`0.0${value}`)) requestAnimationFrame(() => (window.came = performance.timeOrigin + performance.now()));
            else requestAnimationFrame(look);
          };
          look();
        }""",
        value,
    )
    writer = RecordWriter(run.metrics)
    began = time.time()
    writer.write(Record(1, value, 0.1, began, {"bbox/AP": value / 1000}, kind="evaluation"))
    writer.close()
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        if (came := page.evaluate("() => window.came")) is not None:
            return float(came) / 1e3 - began
        time.sleep(0.05)
    raise SystemExit(f"a record of {run.path.name} did not appear")


def first_load(browser: Browser, sweep: Path) -> Iterator[Row]:
    """Weigh the page's scripts and style."""
    with browser.shows(sweep, fragment=CHARTS, chart=CHART) as (_, page):
        appeared(page, "chart")
        addresses = page.evaluate("() => performance.getEntriesByType('resource').map((each) => each.name)")
        size = sum(len(gzip.compress(page.request.get(address).body())) for address in addresses if address.endswith((".js", ".css")))
    yield Row("first load: scripts and style sheets, gzipped", [size / 1e3], "KB", 150.0)


def frozen(browser: Browser, sweep: Path, repeats: int) -> Iterator[Row]:
    """Write the frozen file and open it: size and times."""
    file = sweep.parent / "frozen.html"
    command = [sys.executable, "-P", "-m", "runner", "share", str(sweep), "--output", str(file), "--force"]
    writes, opens = [], []
    for number in range(repeats + 1):
        began = time.time()
        done = subprocess.run(command, capture_output=True, text=True, env=child_environment({"PYTHONPATH": str(ROOT)}), check=False)
        if done.returncode != 0:
            print(f"frozen file: left out, runner share says: {(done.stderr.strip().splitlines() or ['nothing'])[-1]}", file=sys.stderr)
            return
        if number:
            writes.append(time.time() - began)
    for _ in range(repeats):
        with browser.page(chart=CHART) as page:
            page.goto(file.as_uri() + CHARTS, wait_until="commit")
            opens.append(appeared(page, "chart") - navigated(page))
    what = f"{_count(sweep)} runs"
    yield Row(f"frozen file of {what}: size", [file.stat().st_size / 1e6], "MB", 4.0)
    yield Row("frozen file: opened → chart painted", opens, "s", 0.7)
    yield Row("runner share, warm", writes, "s", 5.0)


def _wait_until_idle(server: Server) -> None:
    """Wait until the server has hardly worked for 2 s: its report is computed."""
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        before = server.cpu_s()
        time.sleep(2)
        if server.cpu_s() - before < 0.3:
            return


def _count(sweep: Path) -> int:
    return sum(1 for _ in (sweep / "runs").iterdir())


def _records(sweep: Path) -> int:
    with open(next((sweep / "runs").iterdir()) / "metrics.jsonl", "rb") as file:
        return sum(1 for _ in file)
