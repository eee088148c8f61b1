"""Tools of `benchmarks.dashboard`: our server as a process, a browser that notes when something is on the screen, rows of results."""

from __future__ import annotations

import json
import re
import shutil
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from runner.core.importing import child_environment

if TYPE_CHECKING:
    from playwright.sync_api import Browser as Chromium
    from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[1]
TIMEOUT_S = 300.0

_NOTES = """
(() => {
  const shown = { SHOWN };
  const notes = { appeared: {}, waiting: 0 };
  window.notes = notes;
  const look = (now) => {
    for (const [name, found] of Object.entries(shown)) {
      if (name in notes.appeared || !found()) continue;
      notes.appeared[name] = null;
      requestAnimationFrame(() => requestAnimationFrame(() => (notes.appeared[name] = performance.timeOrigin + performance.now())));
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
  const ask = window.fetch;
  window.fetch = (...request) => {
    notes.waiting += 1;
    const answer = ask(...request);
    answer.then((response) => {
      for (const kind of ["arrayBuffer", "json"]) {
        const read = response[kind].bind(response);
        response[kind] = () => read().finally(() => (notes.waiting -= 1));
      }
    }, () => (notes.waiting -= 1));
    return answer;
  };
  const frames = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  notes.painted = async (act) => {
    const began = performance.now();
    act();
    await frames();
    return performance.now() - began;
  };
  notes.settled = async (act) => {
    const began = performance.now();
    act();
    await frames();
    while (notes.waiting > 0) await frames();
    return performance.now() - began;
  };
})();
"""
"""Notes in the page: when things appear (milliseconds since 1970), how many requests of its own wait, how long an action takes to be
painted."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table.

    Args:
        what: was measured.
        values: in `unit`.
        limit: the target: at most that; None: there is none.
        least: the target is a least instead.
    """

    what: str
    values: Sequence[float]
    unit: str
    limit: float | None = None
    least: bool = False

    @property
    def is_missed(self) -> bool:
        """True if the median misses the target."""
        if self.limit is None:
            return False
        median = statistics.median(self.values)
        return median < self.limit if self.least else median > self.limit

    def __str__(self) -> str:
        numbers = (statistics.median(self.values), min(self.values), max(self.values))
        shown = " ".join(f"{_plain(number) + ' ' + self.unit:>10}" for number in numbers)
        target = "" if self.limit is None else f"{'≥' if self.least else '≤'} {self.limit:g} {self.unit}"
        result = "" if self.limit is None else "missed" if self.is_missed else "met"
        return f"{self.what:68} {shown}   {target:<10} {result:6}"


def _plain(number: float) -> str:
    return f"{number:.3g}" if abs(number) < 100 else f"{number:.0f}"


class Browser:
    """A headless Chromium. `scratch`: a folder for the servers' caches."""

    def __init__(self, chromium: Chromium, scratch: Path) -> None:
        self._chromium = chromium
        self._cache = scratch / "cache"

    @contextmanager
    def page(self, **shown: str) -> Iterator[Page]:
        """Open a page in a context of its own. `shown`: name to a JavaScript condition; `appeared` tells when it became true."""
        context = self._chromium.new_context(viewport={"width": 1440, "height": 900}, locale="en-US")
        conditions = ", ".join(f"{name}: () => {condition}" for name, condition in shown.items())
        context.add_init_script(_NOTES.replace("SHOWN", conditions))
        page = context.new_page()
        page.set_default_timeout(TIMEOUT_S * 1e3)
        try:
            yield page
        finally:
            context.close()

    @contextmanager
    def server(self, *folders: Path, cold: bool = False) -> Iterator[Server]:
        """`runner dashboard` on folders. `cold`: with an empty cache; else with what servers before this one have left."""
        if cold:
            shutil.rmtree(self._cache, ignore_errors=True)
        server = Server(folders, self._cache)
        try:
            yield server
        finally:
            server.close()

    @contextmanager
    def shows(self, *folders: Path, fragment: str = "", cold: bool = False, **shown: str) -> Iterator[tuple[Server, Page]]:
        """Start a server and open its page (see `page`)."""
        with self.page(**shown) as page, self.server(*folders, cold=cold) as server:
            page.goto(server.address + fragment, wait_until="commit")
            yield server, page


def appeared(page: Page, name: str) -> float:
    """Wait until something is painted; return when, in seconds since 1970."""
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        if (when := page.evaluate(f"() => window.notes?.appeared.{name} ?? null")) is not None:
            return float(when) / 1e3
        time.sleep(0.02)
    raise SystemExit(f"{name} did not appear within {TIMEOUT_S:g} s at {page.url}")


def navigated(page: Page) -> float:
    """Return when the page's address was opened, in seconds since 1970."""
    return float(page.evaluate("() => performance.timeOrigin")) / 1e3


def tab_memory_mb(page: Page) -> float:
    """Return the memory of the page's process that it shares with no other, in MB."""
    page.evaluate("() => { window.notes.mark = 1 }")
    found = [each for each in psutil.Process().children(recursive=True) if "--type=renderer" in " ".join(_arguments(each))]
    return float(max(each.memory_full_info().uss for each in found) / 1e6)


def _arguments(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


class Server:
    """`runner dashboard` as a process of its own.

    Args:
        folders: of runs.
        cache: its cache folder.
    """

    def __init__(self, folders: Sequence[Path], cache: Path) -> None:
        self.began = time.time()
        command = [sys.executable, "-P", "-m", "runner", "dashboard", *map(str, folders)]
        environment = child_environment({"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(cache)})
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        assert self._process.stdout is not None
        found = re.search(r" at (http://\S+) ", self._process.stdout.readline())
        if found is None:
            raise SystemExit(f"{' '.join(command)} did not start")
        self.address = found[1]
        self._watched = psutil.Process(self._process.pid)

    def get(self, path: str) -> Any:
        """Return an answer, as JSON."""
        with urllib.request.urlopen(self.address + path, timeout=TIMEOUT_S) as answer:
            return json.load(answer)

    def cpu_s(self) -> float:
        """Return the processor time spent so far."""
        times = self._watched.cpu_times()
        return float(times.user + times.system)

    def memory_mb(self) -> float:
        """Return the resident memory."""
        return float(self._watched.memory_info().rss / 1e6)

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.communicate()
