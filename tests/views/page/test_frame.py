"""The frame of the page in a real browser: header, tabs, selection bar, state in the address, languages, access for everybody."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.browser import LOOKS, NARROW, WIDE, Pages, axe_problems
from support.finished import make_run

LONG = "N" * 5000
HOSTILE = (
    "</script><script>window.pwn=1</script><img src=x onerror=window.pwn=1><!--<script>]]>\u2028\u202e\u200b\x1b[31m"
    "javascript:window.pwn=1 ${window.pwn=1} `window.pwn=1` \"'=HYPERLINK(1) ../../etc/passwd 😀 {n, plural, other {#}}"
)


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Three trials of three seeds, one of which failed."""
    sweep = tmp_path / "our sweep"
    for trial, rate in enumerate((0.002, 0.004, 0.001)):
        for seed in range(3):
            facts: dict[str, Any] = {} if (trial, seed) != (2, 2) else {"state": "failed", "reason": "CUDA error"}
            overrides = {"LearningRate.base_lr": rate} if trial else {}
            label = f"lr={rate}" if trial else "baseline"
            make_run(sweep, trial, seed, ap=0.4 + 0.05 * trial + seed / 100, label=label, base_lr=rate, overrides=overrides, **facts)
    return sweep


def test_the_first_paint_says_what_it_shows(pages: Pages, sweep: Path) -> None:
    from playwright.sync_api import expect

    page = pages.show(sweep)
    expect(page).to_have_title("our sweep · runner")
    expect(page.locator("h1")).to_have_text("our sweep")
    expect(page.locator(".counts")).to_have_text("8 of 9 runs · 1 failed")
    expect(page.get_by_role("tab", name="Answer")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("tabpanel")).to_contain_text("baseline")
    expect(page.locator(".live")).to_have_text("live")


def test_tabs_by_keyboard(pages: Pages, sweep: Path) -> None:
    from playwright.sync_api import expect

    page = pages.show(sweep)
    tabs = page.get_by_role("tab")
    expect(tabs.first).to_be_visible()
    assert tabs.count() > 1
    tabs.first.focus()
    page.keyboard.press("ArrowRight")
    expect(tabs.nth(1)).to_be_focused()
    expect(tabs.nth(1)).to_have_attribute("aria-selected", "true")
    assert page.locator("[role=tab][tabindex='0']").count() == 1
    page.keyboard.press("Home")
    expect(tabs.first).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(tabs.last).to_be_focused()
    page.keyboard.press("1")
    expect(tabs.first).to_have_attribute("aria-selected", "true")
    page.go_back()
    expect(tabs.last).to_have_attribute("aria-selected", "true")
    page.go_forward()
    expect(tabs.first).to_have_attribute("aria-selected", "true")


def test_the_selection_is_in_the_address(pages: Pages, sweep: Path) -> None:
    from playwright.sync_api import expect

    page = pages.show(sweep)
    page.locator(".forest").wait_for()
    page.keyboard.press("/")
    expect(page.locator("#filter")).to_be_focused()
    page.keyboard.type("lr state:done")
    expect(page.locator("#filter-says")).to_have_text("2 of 3 trials")
    page.get_by_role("button", name="Pin 1 lr=0.004").click()
    page.get_by_label("Metric", exact=True).select_option("bbox/AP50")
    page.get_by_label("Baseline", exact=True).select_option("t2")
    address = page.url
    assert address.endswith("#answer?base=t2&f=lr+state:done&metric=bbox/AP50&pin=t1")
    page.reload()
    expect(page.locator("#filter")).to_have_value("lr state:done")
    expect(page.locator(".chip")).to_contain_text("1 lr=0.004")
    assert page.url == address
    page.get_by_role("button", name="Reset").click()
    expect(page.locator("#filter")).to_have_value("")
    expect(page.locator(".chip")).to_have_count(0)
    assert page.url.endswith("/#answer")


def test_a_wrong_filter_says_why_and_the_last_good_one_stays(pages: Pages, sweep: Path) -> None:
    from playwright.sync_api import expect

    page = pages.show(sweep)
    page.locator("#filter").fill("0.004")
    rows = page.locator(".forest tbody tr")
    expect(rows).to_have_count(2)
    page.locator("#filter").fill("0.004 nokey>3")
    expect(page.locator("#filter-says.wrong")).to_contain_text("No key or metric nokey")
    expect(page.locator("#filter")).to_have_attribute("aria-invalid", "true")
    expect(rows).to_have_count(2)
    page.locator("#filter").fill("(")
    expect(page.locator("#filter-says")).to_contain_text("a regular expression is written /…/")


@pytest.mark.parametrize(("text", "says"), [("bbox/AP>abc", "compared with a number"), ("bbox/AP>", "missing after bbox/AP>")])
def test_a_wrong_filter_is_said_on_a_telephone_and_in_place_of_an_empty_table(pages: Pages, sweep: Path, text: str, says: str) -> None:
    from playwright.sync_api import expect

    page = pages.show(sweep, fragment=f"#trials?f={text}", viewport=NARROW)
    expect(page.locator(".selection > .says")).to_be_visible()
    expect(page.locator(".selection > .says")).to_contain_text(says)
    page.locator(".sheet").click()
    page.locator("#filter").fill("nothing")
    page.locator("#filter").fill(text)
    expect(page.locator(".panel")).to_contain_text(says)


def test_what_an_address_has_too_much_is_dropped_and_said(pages: Pages, sweep: Path) -> None:
    from playwright.sync_api import expect

    page = pages.show(sweep, fragment="#answer?pin=t1,t99&colour=red&base=t98&f=%ZZ")
    expect(page.locator(".notice")).to_contain_text("were dropped: colour, pin, base")
    expect(page.locator(".chip")).to_have_count(1)
    page.get_by_role("button", name="Dismiss").click()
    expect(page.locator(".notice")).to_have_count(0)
    page.evaluate("location.hash = '#trials?pin=t77,t1&base=t99&metric=zzz'")  # typed into the open page
    expect(page.locator(".notice")).to_contain_text("were dropped: pin, base, metric")
    expect(page).to_have_url(re.compile(r"#trials\?pin=t1$"))
    other = pages.show(sweep, fragment="#nonsense")
    expect(other.locator(".notice")).to_contain_text("nonsense")
    expect(other.get_by_role("tab", name="Answer")).to_have_attribute("aria-selected", "true")


def test_the_filters_field_follows_back(pages: Pages, sweep: Path) -> None:
    from playwright.sync_api import expect

    page = pages.show(sweep, fragment="#answer")
    page.locator(".forest").wait_for()
    page.evaluate("location.hash = '#answer?f=0.004'")
    expect(page.locator("#filter")).to_have_value("0.004")
    page.locator("#filter").focus()
    page.go_back()
    expect(page.locator("#filter")).to_have_value("")


def test_language_and_theme_change_without_a_reload(pages: Pages, sweep: Path) -> None:
    from playwright.sync_api import expect

    page = pages.show(sweep)
    page.evaluate("window.same = true")
    page.get_by_label("Language", exact=True).select_option("zh")
    expect(page.get_by_role("tab").first).to_have_text("答案")
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(page.locator(".sentences")).to_contain_text("基线")
    page.get_by_label("主题", exact=True).select_option("dark")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 26)"
    assert page.evaluate("window.same") is True
    assert page.url.endswith("#answer?lang=zh&theme=dark")
    page.goto(page.url.split("#")[0])  # without a fragment: as it was chosen last
    expect(page.get_by_role("tab").first).to_have_text("答案")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_the_browser_decides_the_first_language(pages: Pages, sweep: Path) -> None:
    from playwright.sync_api import expect

    expect(pages.show(sweep, locale="zh-CN").get_by_role("tab").first).to_have_text("答案")
    expect(pages.show(sweep, locale="de-DE").get_by_role("tab").first).to_have_text("Answer")


@pytest.mark.parametrize("options", LOOKS, ids=str)
def test_axe_finds_nothing(pages: Pages, sweep: Path, options: dict[str, Any]) -> None:
    page = pages.show(sweep, fragment="#answer?detail=t1&pin=t1&hide=t2", **options)
    page.locator(".trial-detail .u-over").first.wait_for()
    assert axe_problems(page) == []


def test_axe_finds_nothing_in_the_dialogs(pages: Pages, sweep: Path) -> None:
    page = pages.show(sweep)
    for button in ("Share", "Keyboard and filter"):
        page.get_by_role("button", name=button).click()
        page.get_by_role("dialog").wait_for()
        assert axe_problems(page) == []
        page.keyboard.press("Escape")


def test_share_shows_the_command_for_a_file_and_the_address_of_the_view(pages: Pages, sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from playwright.sync_api import expect

    monkeypatch.chdir(sweep.parent)
    page = pages.show(sweep)
    page.locator(".forest").wait_for()
    page.get_by_role("button", name="Share").click()
    expect(page.get_by_role("dialog").locator("code")).to_have_text(["runner share 'our sweep'", page.url])
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Pin 1 lr=0.004").click()
    page.get_by_role("button", name="Share").click()
    expect(page.get_by_role("dialog").locator("code")).to_have_text(["runner share 'our sweep' --view '#answer?pin=t1'", page.url])


def test_hostile_names_stay_text_and_long_ones_do_not_widen_the_page(pages: Pages, sweep: Path) -> None:
    """Every text of the answers is replaced: by one that tries to become code, or by one of 5,000 letters."""
    from playwright.sync_api import expect

    address = pages.serve(sweep)
    for text in (HOSTILE, LONG):
        for size in (WIDE, NARROW):
            page = pages.open("about:blank", viewport=size)
            page.route(re.compile("/api/(overview|trials|report)"), partial(fulfil_replaced, text))
            page.goto(f"{address}#answer?pin=t1&hide=t2")
            expect(page.locator(".forest")).to_be_visible()
            assert text[:20] in (page.locator(".forest tbody").text_content() or "")
            assert page.locator("h1").text_content() == text
            assert page.evaluate("window.pwn") is None
            assert page.evaluate("document.querySelectorAll('img, script:not([src])').length") == 0
            assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]


def fulfil_replaced(text: str, route: Any) -> None:
    """Answer a request with all free texts replaced."""
    route.fulfill(json=replaced(route.fetch().json(), text))


FREE = {"label", "title", "name", "reason", "text", "problem"}
"""Keys of texts that people or programs wrote."""


def replaced(value: Any, text: str) -> Any:
    """Replace all free texts in an answer."""
    if isinstance(value, dict):
        return {key: text if key in FREE and isinstance(item, str) else replaced(item, text) for key, item in value.items()}
    return [replaced(item, text) for item in value] if isinstance(value, list) else value


def test_an_error_of_a_tab_stays_in_the_tab(pages: Pages, sweep: Path) -> None:
    from playwright.sync_api import expect

    pages.forgive("400")
    page = pages.open("about:blank")
    page.route(re.compile("/api/report"), lambda route: route.fulfill(status=400, json={"error": "the report is broken"}))
    page.goto(pages.serve(sweep))
    expect(page.get_by_role("alert")).to_contain_text("the report is broken")
    expect(page.locator(".counts")).to_have_text("8 of 9 runs · 1 failed")
    expect(page.get_by_role("tab", name="Answer")).to_be_visible()


def test_the_page_says_that_the_server_has_gone_and_stays_usable(pages: Pages, sweep: Path) -> None:
    from playwright.sync_api import expect

    pages.forgive("ERR_|Failed to load")
    page = pages.open("about:blank")
    page.route(re.compile("/api/changes"), lambda route: route.abort())
    page.goto(pages.serve(sweep))
    expect(page.locator(".notice")).to_contain_text("The server has ended. This is what was known at")
    expect(page.locator(".live")).to_have_text("disconnected")
    page.locator("#filter").fill("0.004")
    expect(page.locator(".forest tbody tr")).to_have_count(2)


def test_colours_have_a_contrast_of_three_on_both_grounds(pages: Pages, sweep: Path) -> None:
    page = pages.show(sweep)
    palette = page.evaluate('import("/trials.js").then((module) => module.PALETTE)')
    assert len(set(palette)) == 8
    for ground in ("#ffffff", "#14171a"):
        assert {colour: contrast(colour, ground) >= 3 for colour in palette} == dict.fromkeys(palette, True)


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours (WCAG 2.2)."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    """Relative luminance of ``#rrggbb``."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_a_trial_keeps_its_colour(pages: Pages, sweep: Path) -> None:
    from playwright.sync_api import expect

    page = pages.show(sweep)
    page.locator(".forest").wait_for()
    colours = "[...document.querySelectorAll('.forest .pin span')].map((pin) => getComputedStyle(pin).borderTopColor)"
    first, second, third = page.evaluate(colours)
    assert len({first, second, third}) == 3
    page.locator("#filter").fill("0.001")
    expect(page.locator(".forest tr.row")).to_have_count(2)
    assert page.evaluate(colours) == [first, third]
