"""The page on paper: A4, light, without controls; nothing is wider than the sheet."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from support.browser import Pages

from runner.sweep.session_results import read_report
from runner.views.page.data import SnapshotData
from tests.views.page.test_detection_tab import make_sweep

if TYPE_CHECKING:
    from playwright.sync_api import Page

PAPER = 703  # px: 186 mm
READY = {
    "#answer?detail=t1": ".trial-detail .curve-card[data-points] + .curve-card[data-points]",
    "#trials": ".verdict",
    "#curves": ".curve-card[data-points]",
    "#detection": ".detection-calibration svg",
    "#search": ".search-card canvas",
    "#run?id=r0": ".run-log h2",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> SnapshotData:
    return SnapshotData([make_sweep(tmp_path_factory.mktemp("print"))], read_report)


def wider(page: Page) -> Any:
    """What reaches beyond the paper."""
    return page.evaluate(
        """(width) => [...document.querySelectorAll(".page *")]
          .filter((each) => !each.closest(".offscreen, .sheet-of-image") && each.checkVisibility())
          .filter((each) => each.getBoundingClientRect().right > width + 1)
          .map((each) => `${each.tagName} ${each.getAttribute("class")} ${each.getBoundingClientRect().right}`)""",
        PAPER,
    )


@pytest.mark.parametrize("fragment", READY)
def test_a_view_fits_the_paper_light_and_without_controls(pages: Pages, data: SnapshotData, fragment: str) -> None:
    from playwright.sync_api import expect

    page = pages.show(data=data, fragment=fragment, color_scheme="dark")
    page.locator(READY[fragment]).first.wait_for()
    page.set_viewport_size({"width": PAPER, "height": 1000})
    page.emulate_media(media="print", color_scheme="dark")
    expect(page.locator("body")).to_have_css("background-color", "rgb(255, 255, 255)")
    page.wait_for_timeout(100)
    assert wider(page) == []
    controls = page.locator("input, select:not(.sides *), .export-menu, [role=tab], .tools button")
    assert [controls.nth(at).get_attribute("class") for at in range(controls.count()) if controls.nth(at).is_visible()] == []
    if fragment.startswith("#answer"):
        assert page.locator(".forest thead").bounding_box()["height"] > 10  # a table, not the layout of a phone
    page.emulate_media(media="screen", color_scheme="dark")
    expect(page.locator("body")).not_to_have_css("background-color", "rgb(255, 255, 255)")


def test_charts_are_drawn_for_the_paper_before_it_is_laid_out(pages: Pages, data: SnapshotData) -> None:
    page = pages.show(data=data, fragment="#curves", color_scheme="dark")
    page.locator(READY["#curves"]).first.wait_for()
    page.evaluate(
        """() => addEventListener("beforeprint", () => {
          const [canvas] = document.querySelectorAll(".curve-chart canvas");
          Promise.resolve().then(() => (window.printed = [document.documentElement.dataset.theme, canvas.getBoundingClientRect().width]));
        })"""
    )
    file = page.pdf(format="A4")
    sizes = re.findall(rb"/MediaBox ?\[0 0 ([\d.]+) ([\d.]+)\]", file)
    assert sizes
    for width, height in sizes:
        assert float(width) == pytest.approx(595, abs=1) and float(height) == pytest.approx(842, abs=1)
    theme, wide = page.evaluate("window.printed")
    assert theme == "light" and 500 < wide <= PAPER
    assert page.evaluate("document.documentElement.className") == ""
    page.locator(".tools").wait_for()
