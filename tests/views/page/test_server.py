"""The served page in a real browser, and the process that serves it."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.browser import Pages
from support.finished import make_run


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Two trials of two seeds."""
    sweep = tmp_path / "our sweep"
    for seed in (0, 1):
        make_run(sweep, 0, seed, ap=0.4 + seed / 100)
        make_run(sweep, 1, seed, ap=0.5 + seed / 100, label="batch_size=16", batch_size=16, overrides={"TrainReader.batch_size": 16})
    return sweep


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
