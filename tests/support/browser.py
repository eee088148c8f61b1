"""A real browser on the page: a headless Chromium for the session, and a page of it in a context of its own for each test (0.3 s).

    def test_something(pages):
        page = pages.show(folder_of_runs, fragment="#trials?f=lr")       # serves the folder, opens the page: a `playwright.sync_api.Page`
        expect(page.get_by_role("tab", name="Trials")).to_be_visible()

- `pages.serve(folder, …)` returns the address alone; `pages.open(address, …)` opens it. Folders are read once; with
  `data=pages.live(folder, …)` the page follows them.
- Options of `open` and `show` are those of playwright's `new_context`: ``viewport={"width": 400, "height": 800}``, ``color_scheme="dark"``,
  ``locale="zh-CN"``, …
- At its end the test fails if the page has logged an error, raised an exception or violated its content policy. A test that expects such a
  thing says so before: `pages.forgive("ERR_CONNECTION_REFUSED")`, a regular expression.
- The page's policy forbids `page.wait_for_function`: use `expect(locator)`, and `page.evaluate` for values.
- The browser is ``RUNNER_CHROMIUM``, else `chromium` on the PATH. Without one the test is skipped; with ``RUNNER_REQUIRE_BROWSER`` set, as
  .ci/run does, it fails. Playwright's event loop runs in the main thread: there, `asyncio.run` cannot be used after it.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from runner.views.page.data import PageData
    from runner.views.page.live import LiveData

WIDE = {"width": 1440, "height": 900}
NARROW = {"width": 400, "height": 800}
LOOKS: tuple[dict[str, Any], ...] = (
    {},
    {"viewport": NARROW, "color_scheme": "dark", "locale": "zh-CN"},
    {"forced_colors": "active"},
)
"""Options of `Pages.open` in which a view has to be accessible."""

_TELL_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) => {
  console.error(`content policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber} ${event.sample}`);
});
"""


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser."""
    executable = os.environ.get("RUNNER_CHROMIUM") or shutil.which("chromium")
    if executable is None:
        reason = "no Chromium here: `make system` installs it, or RUNNER_CHROMIUM names one"
        if os.environ.get("RUNNER_REQUIRE_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    with launched(executable) as browser:
        yield browser


@contextmanager
def launched(executable: str, *arguments: str) -> Iterator[Browser]:
    """A Chromium of its own, with these arguments too."""
    from playwright.sync_api import sync_playwright

    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=[*as_root, *arguments])
        yield browser
        browser.close()


class Pages:
    """Pages that a test opens (see the module). `problems`: errors that they have reported so far."""

    def __init__(self, browser: Browser) -> None:
        self.problems: list[str] = []
        self._browser = browser
        self._forgiven: list[str] = []
        self._stack = ExitStack()

    def serve(self, *folders: Path, data: PageData | None = None) -> str:
        """Serve folders of runs as they are now, or other data, until the test ends; return the address."""
        from runner.sweep.session_results import read_report
        from runner.views.page.data import SnapshotData
        from runner.views.page.server import PageServer

        return self._stack.enter_context(PageServer(data or SnapshotData(folders, read_report))).address

    def live(self, *folders: Path) -> LiveData:
        """Return data that follow the folders until the test ends, for `serve` and `show`."""
        from runner.sweep.session_results import read_report
        from runner.views.page.live import LiveData

        return self._stack.enter_context(closing(LiveData(folders, read_report)))

    def open(self, address: str, **options: Any) -> Page:
        """Open an address in a context of its own."""
        context = self._browser.new_context(**{"viewport": WIDE, "locale": "en-US", **options})
        self._stack.callback(context.close)
        context.add_init_script(_TELL_VIOLATIONS)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: self._note(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self._note(str(error)))
        page.goto(address)
        return page

    def show(self, *folders: Path, fragment: str = "", data: PageData | None = None, **options: Any) -> Page:
        """Serve folders of runs, or other data, and open the page with a fragment such as ``#trials?f=lr``."""
        return self.open(self.serve(*folders, data=data) + fragment, **options)

    def forgive(self, pattern: str) -> None:
        """Expect problems that match a regular expression, from now on."""
        self._forgiven.append(pattern)

    def close(self) -> None:
        """Close what was opened, and end what was served."""
        self._stack.close()

    def _note(self, problem: str) -> None:
        if not any(re.search(pattern, problem) for pattern in self._forgiven):
            self.problems.append(problem)


def axe_problems(page: Page) -> list[str]:
    """Violations of WCAG 2.2 AA, and of good practice, that axe finds, once nothing moves any more."""
    from axe_playwright_python.sync_playwright import Axe

    page.evaluate("document.getAnimations().forEach((animation) => animation.finish())")
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": tags}}).response["violations"]
    return [f"{item['id']}: {[node['html'][:200] for node in item['nodes']]}" for item in found]


@pytest.fixture
def pages(chromium: Browser) -> Iterator[Pages]:
    """Pages in the browser."""
    opened = Pages(chromium)
    yield opened
    opened.close()
    assert not opened.problems, opened.problems
