"""The frame and its tabs for everybody: by keyboard alone, enlarged, in forced colours, on paper."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.browser import WIDE, Pages
from support.finished import make_run

if TYPE_CHECKING:
    from playwright.sync_api import Page

VIEWS = {
    "answer?detail=t1&pin=t1": ".trial-detail .u-over",
    "trials?open=t1": ".windowed tr.run",
    "curves?table=train/loss": ".curve-values",
    "run?id=r1": "pre.log, .run-view .attempts",
}
"""Fragment of each tab to what is there once it is whole."""

TABBABLE = """() => {
  const usable = (element) => element.checkVisibility({ visibilityProperty: true }) && !element.disabled && element.tabIndex >= 0;
  const all = [...document.querySelectorAll("a[href], button, input, select, summary, textarea, [tabindex]")].filter(usable);
  all.forEach((element, at) => (element.dataset.place = at));
  return all.map((element) => `${element.tagName} ${element.className} ${(element.textContent || element.id).trim().slice(0, 40)}`);
}"""
FOCUSED = """() => {
  const element = document.activeElement;
  const { boxShadow, outlineStyle } = getComputedStyle(element);
  const isMarked = boxShadow !== "none" || outlineStyle !== "none" || element.classList.contains("panel");
  return { place: Number(element.dataset.place ?? -1), isMarked };
}"""


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Three trials of two seeds, of which one failed."""
    for trial, rate in enumerate((0.002, 0.004, 0.001)):
        for seed in range(2):
            facts: dict[str, Any] = {} if (trial, seed) != (2, 1) else {"state": "failed", "reason": "CUDA error"}
            overrides = {"LearningRate.base_lr": rate} if trial else {}
            label = f"lr={rate}" if trial else "baseline"
            ap = 0.4 + 0.05 * trial + seed / 100
            make_run(
                tmp_path / "sweep", trial, seed, ap=ap, label=label, base_lr=rate, overrides=overrides, seconds=60 + 30 * trial, **facts
            )
    return tmp_path / "sweep"


def whole(page: Page, view: str) -> None:
    """Open a view of `VIEWS`, and wait until it is whole."""
    page.evaluate("(view) => { location.hash = view; }", view)
    page.locator(VIEWS[view]).first.wait_for()


def test_every_control_is_reached_by_the_tab_key_and_shows_it(pages: Pages, sweep: Path) -> None:
    page = pages.show(sweep)
    page.locator(".forest").wait_for()
    for view in VIEWS:
        whole(page, view)
        page.evaluate("document.activeElement.blur()")
        page.locator("h1").click()  # the browser goes on from there
        names = page.evaluate(TABBABLE)
        assert len(names) > 12
        reached, unmarked = set(), []
        for _ in range(len(names) + 20):  # and regions that scroll
            page.keyboard.press("Tab")
            found = page.evaluate(FOCUSED)
            reached.add(found["place"])
            if found["place"] >= 0 and not found["isMarked"]:
                unmarked.append(names[found["place"]])
        assert [name for place, name in enumerate(names) if place not in reached] == [], view
        assert unmarked == [], view


def test_the_tabs_are_walked_by_keyboard_alone(pages: Pages, sweep: Path) -> None:
    """From the address bar to a trial in detail, its place in the table, its curves and its run, and back."""
    from playwright.sync_api import expect

    page = pages.show(sweep)
    page.locator(".forest").wait_for()
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#panel")).to_be_focused()
    name = page.get_by_role("button", name="1 lr=0.004", exact=True)
    for _ in range(20):
        page.keyboard.press("Tab")
        if name.evaluate("element => element === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(page.locator(".trial-detail .u-over").first).to_be_visible()
    page.keyboard.press("2")
    page.locator(".windowed tr[data-id][tabindex='0']").wait_for()
    page.locator("#panel").focus()
    while not page.evaluate("document.activeElement.matches('.windowed tr[data-id]')"):
        page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="0001-lr=0.004-s0")).to_be_visible()
    page.keyboard.press("3")
    chart = page.locator(".curve-chart").first
    page.locator(".curve-card .u-over").first.wait_for()
    while not chart.evaluate("element => element === document.activeElement"):
        page.keyboard.press("Tab")
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Release").first).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="0001-lr=0.004-s0")).to_be_visible()


def test_nothing_is_cut_at_twice_the_size(pages: Pages, sweep: Path) -> None:
    """200 % of a window of 1,280 px, as browsers enlarge: half as many pixels."""
    page = pages.show(sweep, viewport={"width": 640, "height": 450}, device_scale_factor=2)
    page.locator(".forest").wait_for()
    for view in VIEWS:
        whole(page, view)
        assert page.evaluate("document.documentElement.scrollWidth") <= 640, view


def test_forced_colours_leave_what_colour_alone_would_say(pages: Pages, sweep: Path) -> None:
    from playwright.sync_api import expect

    page = pages.show(sweep, forced_colors="active")
    chosen = page.get_by_role("tab", selected=True)
    expect(chosen).to_be_visible()
    assert chosen.evaluate("tab => getComputedStyle(tab).borderBottomWidth") == "3px"
    expect(page.locator(".forest .row .verdict").nth(1)).to_contain_text("better")
    swatch = "[...document.querySelectorAll('.forest .pin span')].map((pin) => getComputedStyle(pin).borderTopColor)"
    assert len(set(page.evaluate(swatch))) == 3


def test_paper_has_the_content_and_not_the_controls(pages: Pages, sweep: Path) -> None:
    page = pages.show(sweep, viewport=WIDE)
    page.locator(".forest").wait_for()
    for view in VIEWS:
        whole(page, view)
        page.emulate_media(media="print")
        hidden = page.evaluate(
            "[...document.querySelectorAll('.tools, .tabs, .fields, .bar-of-tools, .curve-settings')].every((e) => !e.checkVisibility())"
        )
        assert hidden, view
        assert page.locator("h1").is_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view
        page.emulate_media(media="screen")
    assert page.pdf()[:4] == b"%PDF"
