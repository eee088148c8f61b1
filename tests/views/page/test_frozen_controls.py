"""Controls of a frozen file: each one that it offers works with what the file holds, and others can be asked for with --view."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.browser import Pages

from runner.sweep.session_results import read_report
from runner.views.page import TABS
from runner.views.page.data import SnapshotData
from runner.views.page.freeze import freeze
from runner.views.page.parts import report as report_part
from tests.views.page.test_detection_tab import make_sweep

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> SnapshotData:
    """A baseline and three trials of detectors, two seeds each."""
    return SnapshotData([make_sweep(tmp_path_factory.mktemp("frozen"), (3, 4, 7, 5), seeds=2)], read_report)


def opened(pages: Pages, data: SnapshotData, folder: Path, view: str = "", fragment: str = "") -> Page:
    file = folder / "report.html"
    file.write_text(freeze(data, made=0.0, view=view).text, encoding="utf-8")
    return pages.open(file.as_uri() + fragment, offline=True)


def check(page: Page, what: str) -> None:
    page.wait_for_timeout(20)
    assert page.locator(".failure").count() == 0, what
    said = page.get_by_text("not in this file;")
    assert not any(said.nth(at).is_visible() for at in range(said.count())), what


@pytest.mark.slow
def test_every_choice_has_its_data(pages: Pages, data: SnapshotData, tmp_path: Path) -> None:
    page = opened(pages, data, tmp_path)
    count, seen = 0, {"Language", "Theme"}
    for tab in TABS:
        page.goto(f"{page.url.partition('#')[0]}#{tab}")
        page.wait_for_timeout(200)
        check(page, tab)
        selects = page.locator("select:visible")
        for at in range(selects.count()):
            select = selects.nth(at)
            if not select.is_visible():
                continue
            name = str(select.get_attribute("aria-label"))
            if name in seen:
                continue
            seen.add(name)
            options = select.locator("option:not([disabled]):not([hidden])").evaluate_all("all => all.map((each) => each.value)")
            before = select.input_value()
            for value in options:
                select.select_option(value)
                count += 1
                check(page, f"{tab}: {name} = {value}")
            select.select_option(before)
        boxes = page.locator("input[type=checkbox]:visible:not([disabled])")
        for at in range(boxes.count()):
            boxes.nth(at).click()
            check(page, f"{tab}: box {at}")
            boxes.nth(at).click()
    assert count > 15


def test_the_pairs_of_a_file_have_their_images(pages: Pages, data: SnapshotData, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    page = opened(pages, data, tmp_path, fragment="#detection")
    second = page.get_by_label("B, compared with it")
    first = page.get_by_label("A, the reference")
    assert first.locator("option").all_text_contents() == ["0 baseline"]
    assert second.locator("option").all_text_contents() == ["1 lr=1", "2 lr=2", "3 lr=3"]
    for value in ("t1", "t3"):
        second.select_option(value)
        expect(page.locator(".sides-notes .lead")).to_contain_text(f"{value[1]} lr={value[1]} against 0 baseline")
        expect(page.locator(".gallery-card img").first).to_be_visible()
    expect(page.locator(".detection > p").first).to_contain_text("runner share … --view '#detection?a=…&b=…'")


def test_what_a_file_leaves_out_is_not_offered_and_its_view_can_have_it(
    pages: Pages, data: SnapshotData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from playwright.sync_api import expect

    monkeypatch.setattr(report_part, "_FEW_REPORTS", 0)
    page = opened(pages, data, tmp_path)
    page.locator(".forest").wait_for()
    expect(page.get_by_label("Baseline", exact=True)).to_be_hidden()
    expect(page.locator(".selection .fields > p")).to_contain_text("runner share … --view '#answer?base=…")
    page.get_by_role("button", name="2 lr=2", exact=True).click()
    page.locator(".trial-detail .detail-links a").first.wait_for()
    expect(page.get_by_role("button", name="Compare the others with this trial")).to_have_count(0)
    expect(page.get_by_role("link", name="What they detect")).to_be_visible()
    page = opened(pages, data, tmp_path, view="#answer?base=t2")
    expect(page.get_by_label("Baseline", exact=True).locator("option")).to_have_text(["0 baseline", "2 lr=2"])
    expect(page.locator(".forest")).to_contain_text("difference to lr=2")


def test_the_axis_and_the_key_of_the_view_are_in_the_file(pages: Pages, data: SnapshotData, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    page = opened(pages, data, tmp_path, view="#curves?x=time")
    axis = page.locator(".curve-controls select").first
    expect(axis).to_have_value("time")
    assert axis.locator("option:not([hidden])").all_text_contents() == ["step", "time since the start"]
    expect(page.locator(".curve-card").first).to_have_attribute("data-points", "4")
    axis.select_option("step")
    expect(page.locator(".curve-card").first).to_have_attribute("data-points", "4")


def test_the_whole_config_is_offered_of_the_baseline_only(pages: Pages, data: SnapshotData, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    page = opened(pages, data, tmp_path, fragment="#run?id=r0")
    expect(page.get_by_role("button", name="Whole config")).to_be_visible()
    page.goto(page.url.replace("id=r0", "id=r5"))
    page.locator(".run-log h2").wait_for()
    expect(page.get_by_role("button", name="Whole config")).to_be_hidden()
