"""The Search tab in a real browser: what each kind of sweep shows, brushes as filters, the keyboard, exports."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest
from support.browser import NARROW, WIDE, Pages
from support.search_runs import AP, MEMORY, many_trials, page_of, run

from runner.results.format import show_summary
from runner.results.search.report import SearchReport
from runner.sweep.fake_sweep import FakeSweep
from runner.sweep.session_results import read_report
from runner.views.page.data import PageView, SnapshotData
from runner.views.page.freeze import freeze
from tests.views.page.test_search_part import make_grid, make_trial, write_plan

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '<img src=x onerror="window.pwn=1">&' + "N" * 300


@pytest.fixture(scope="module")
def search() -> PageView:
    """Sixty trials with two seeds, over four keys."""
    return many_trials(60, 4, seeds=2)


def report_of(data: PageView) -> SearchReport:
    report = data.report()
    assert isinstance(report, SearchReport)
    return report


def one_at_a_time(sweep: Path) -> Path:
    write_plan(sweep, design="one_at_a_time", vary={"LearningRate.base_lr": [0.001, 0.004], "TrainReader.batch_size": [4]})
    points: list[dict[str, Any]] = [{}, {"LearningRate.base_lr": 0.001}, {"LearningRate.base_lr": 0.004}, {"TrainReader.batch_size": 4}]
    for number, (point, ap) in enumerate(zip([*points, points[2] | points[3]], (0.3, 0.25, 0.36, 0.31, 0.4), strict=True)):
        make_trial(sweep, number, point, (ap, ap + 0.02, None if number == 3 else ap + 0.04))
    return sweep


def card(page: Page, name: str) -> Locator:
    """The card with a chart of that name, in view."""
    found = page.locator(f'[data-card="{name}"]')
    found.scroll_into_view_if_needed()
    return found


def fragment(page: Page) -> str:
    return str(page.evaluate("decodeURIComponent(location.hash.replaceAll('+', ' '))"))


def content(page: Page, name: str, kind: str) -> bytes:
    """The bytes of a chart's export."""
    chart = card(page, name)
    chart.locator("summary", has_text="Export").click()
    with page.expect_download() as waiting:
        chart.get_by_role("button", name=kind, exact=True).click()
    return Path(waiting.value.path()).read_bytes()


# ------------------------------------------------------------------------------------------------------------ a search
def test_a_search_shows_history_importances_slices_and_the_rest(pages: Pages, search: PageView) -> None:
    page = pages.show(data=search, fragment="#search")
    card(page, "history")
    report = report_of(search)
    states = report.results.states()
    shown = page.locator(".search-states button").all_inner_texts()
    assert shown == [f"● {states['done']} done", f"○ {states['pruned']} pruned", f"✕ {states['failed']} failed"]
    winner = report.results.winner
    assert winner is not None
    summary = page.locator('[data-card="history"] [role="img"]').get_attribute("aria-label") or ""
    assert summary.endswith(f"the best is {winner.values[AP.name].mean:.3f}, trial {winner.number}.")
    names = page.evaluate("[...document.querySelectorAll('[data-card]')].map((each) => each.dataset.card)")
    slices = [f"slice {key}" for key in report.results.parameters]
    assert names == ["history", "parallel", *slices, "pareto", "curves"]
    rows = page.locator(".search-importances tbody tr").all_inner_texts()
    importances = report.importances[0]
    assert [row.split("\t")[0].strip() for row in rows] == [report.results.short[each.key] for each in importances.parameters]
    for row, each in zip(rows, importances.parameters, strict=True):
        assert f"{round(100 * each.share)} %" in row
        assert ("not beyond chance" in row) is not each.beyond_chance
    assert importances.method in page.locator(".search-main").inner_text()


@pytest.mark.parametrize("locale", ["en", "zh-CN"])
def test_the_answer_lists_the_best_trials_with_their_numbers(pages: Pages, locale: str) -> None:
    """A trial of one seed has a mean as well; new seeds have a column of their own."""
    points = {number: {"rate": number / 10} for number in (1, 2)}
    single = [run(0, 0.41), run(1, 0.52, point=points[1]), run(2, 0.47, point=points[2])]
    page = pages.show(data=page_of(*single), fragment="#answer", locale=locale)
    rows = page.locator(".answer table.plain tbody tr")
    rows.first.wait_for()
    assert [row.locator("td").nth(1).inner_text() for row in rows.all()] == ["0.520", "0.470", "0.410"]
    again = [run(1, value, seed=seed, point=points[1]) for seed, value in enumerate((0.50, 0.52), 1)]
    data = page_of(*single, *again, seeds=(0,))
    page = pages.show(data=data, fragment="#answer", locale=locale)
    page.locator(".answer table.plain").wait_for()
    winner = report_of(data).results.winner
    assert winner is not None
    assert page.locator(".answer table.plain tbody tr").first.locator("td").nth(2).inner_text() == show_summary(winner.fresh[AP.name])


def test_the_table_of_a_chart_has_the_numbers_of_the_report(pages: Pages, search: PageView) -> None:
    page = pages.show(data=search, fragment="#search")
    card(page, "history").get_by_role("button", name="As table").click()
    rows = card(page, "history").locator(".curve-values tbody tr")
    rows.first.wait_for()
    assert "rows=history" in fragment(page)
    texts = [row.split("\t") for row in rows.all_inner_texts()]
    trials = report_of(search).results.trials
    assert len(texts) == len(trials)
    for text, trial in zip(texts, trials, strict=True):
        value = show_summary(trial.values[AP.name]) if trial.state == "done" else "–"
        assert (text[1].strip(), text[-1].strip()) == (value, trial.state)


def test_the_keyboard_goes_from_trial_to_trial(pages: Pages, search: PageView) -> None:
    page = pages.show(data=search, fragment="#search")
    history = card(page, "history")
    history.locator(".search-plot").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    readout = history.locator(".search-readout").inner_text()
    label = search.trials()["t2"].label
    assert readout.endswith(f"2 {label}")
    assert "pruned" in readout
    assert page.locator('[aria-live="polite"]').inner_text() == readout
    assert card(page, "parallel").locator(".search-readout").inner_text() == readout
    history.locator(".search-plot").focus()
    page.keyboard.press("Space")
    page.wait_for_url(re.compile("pin=t2"))
    page.keyboard.press("End")
    assert history.locator(".search-readout").inner_text().endswith(f"59 {search.trials()['t59'].label}")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("#run"))
    assert search.runs()[re.search(r"id=(r\d+)", fragment(page))[1]].trial == "t59"  # type: ignore[index]


def test_a_click_pins_and_a_double_click_opens_the_run(pages: Pages) -> None:
    data = page_of(*[run(number, number / 10, point={"rate": number / 10}) for number in range(1, 6)])
    for act, address in (("click", "#search.pin=t4"), ("dblclick", r"#run.id=r4")):
        page = pages.show(data=data, fragment="#search")
        box = card(page, "history").locator(".search-image").bounding_box()
        assert box is not None
        place = (box["x"] + box["width"] - 34, box["y"] + 36)  # the last and best trial, in the upper right corner
        page.mouse.move(*place)
        card(page, "history").get_by_text("bbox/AP 0.500").wait_for()
        getattr(page.mouse, act)(*place)
        page.wait_for_url(re.compile(address))


def drag(page: Page, axis: int, of: int, first: float, last: float) -> None:
    """Drag along an axis of the parallel coordinates, between shares of it from the top."""
    box = card(page, "parallel").locator(".search-image").bounding_box()
    assert box is not None
    x = box["x"] + 40 + (box["width"] - 80) * axis / (of - 1)
    top, height = box["y"] + 36, box["height"] - 60
    page.mouse.move(x, top + first * height)
    page.mouse.down()
    page.mouse.move(x, top + (first + last) / 2 * height)
    page.mouse.move(x, top + last * height)
    page.mouse.up()


def test_a_brush_is_a_filter_of_every_tab(pages: Pages, search: PageView) -> None:
    page = pages.show(data=search, fragment="#search")
    drag(page, 4, 5, 0.0, 0.3)  # the metric, from the top
    page.wait_for_url(re.compile("f=bbox"))
    low = float(re.search(r"bbox/AP>=([\d.]+)$", fragment(page))[1])  # type: ignore[index]
    best = [trial.number for trial in report_of(search).results.trials if (value := trial.value(AP.name)) is not None and value >= low]
    assert 3 < len(best) < 40
    page.get_by_text(f"{len(best)} of 60 trials are shown.").wait_for()
    assert page.locator("#filter").input_value() == f"bbox/AP>={low}"
    drag(page, 0, 5, 0.5, 1.0)  # the rate: the lower half of a logarithmic axis
    page.wait_for_url(re.compile("train.rate"))
    assert re.fullmatch(r"#search\?f=bbox/AP>=[\d.]+ train\.rate<=0\.0\d+", fragment(page))
    page.get_by_role("tab", name="Trials").click()
    shown = int(re.match(r"(\d+)", page.locator(".trials .count").inner_text())[1])  # type: ignore[index]
    rate = float(re.search(r"rate<=([\d.]+)", fragment(page))[1])  # type: ignore[index]
    trials = report_of(search).results.trials
    assert shown == sum(trial.number in best and trial.parameters["train.rate"] <= rate for trial in trials)
    page.go_back()
    drag(page, 4, 5, 0.5, 0.5)  # a click
    page.wait_for_url(re.compile(r"f=train\.rate"))
    assert "bbox" not in fragment(page)


def test_ranges_are_filled_in_by_keyboard(pages: Pages, search: PageView) -> None:
    page = pages.show(data=search, fragment="#search")
    page.get_by_text("Ranges of the keys").click()
    page.get_by_label("rate: from").fill("0.001")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"rate%3E%3D0.001"))
    page.get_by_label("sgd").uncheck()
    page.wait_for_url(re.compile("optimizer"))
    assert fragment(page) == "#search?f=train.rate>=0.001 -train.optimizer=sgd"
    page.get_by_label("adam").uncheck()
    page.wait_for_url(re.compile("lion"))
    assert fragment(page) == "#search?f=train.rate>=0.001 train.optimizer=lion"
    page.reload()
    page.get_by_text("Ranges of the keys").click()
    assert page.get_by_label("rate: from").input_value() == "0.001"
    assert [page.get_by_label(name).is_checked() for name in ("sgd", "adam", "lion")] == [False, False, True]
    page.get_by_label("adam").check()
    page.get_by_label("sgd").check()
    page.get_by_label("rate: from").fill("")
    page.keyboard.press("Tab")
    page.wait_for_url(re.compile("#search$"))


def test_the_best_share_stands_out_alone_or_as_a_filter(pages: Pages, search: PageView) -> None:
    page = pages.show(data=search, fragment="#search?k=25")
    values = sorted((value for trial in report_of(search).results.trials if (value := trial.value(AP.name)) is not None), reverse=True)
    n = -(-len(values) // 4)
    page.get_by_text(f"25 %: {n}").wait_for()
    page.get_by_label("only these").check()
    page.get_by_text(f"{n} of 60 trials are shown.").wait_for()
    assert fragment(page) == "#search?k=25&only=1"
    page.get_by_role("button", name="Filter by it, in every view").click()
    page.wait_for_url(re.compile("#search.f="))
    low = float(re.search(r"bbox/AP>=([\d.]+)$", fragment(page))[1])  # type: ignore[index]
    assert values[n] < low <= values[n - 1]
    page.get_by_text(f"{n} of 60 trials are shown.").wait_for()
    page.get_by_label("Best trials").focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_url(re.compile("k=75"))


def test_a_state_filters(pages: Pages, search: PageView) -> None:
    page = pages.show(data=search, fragment="#search?f=rate")
    pruned = page.locator(".search-states").get_by_role("button", name="pruned")
    pruned.click()
    assert fragment(page) == "#search?f=rate state:pruned"
    assert pruned.get_attribute("aria-pressed") == "true"
    pruned.click()
    assert fragment(page) == "#search?f=rate"


def test_a_second_metric_is_set_against_the_first(pages: Pages) -> None:
    values = [(0.2, 4.0), (0.5, 9.0), (0.4, 5.0), (0.3, 6.0), (0.45, 7.0)]
    runs = [run(number, {AP.name: ap, MEMORY.name: memory}, point={"rate": number / 10}) for number, (ap, memory) in enumerate(values)]
    data = page_of(*runs, metrics=(AP, MEMORY), constraints=["resource/gib <= 8"])
    page = pages.show(data=data, fragment="#search")
    card(page, "pareto").get_by_label("Cost").select_option(MEMORY.name)
    card(page, "pareto").get_by_role("button", name="As table").click()
    rows = card(page, "pareto").locator(".curve-values tbody tr")
    rows.first.wait_for()
    texts = [[cell.strip() for cell in row.split("\t")] for row in rows.all_inner_texts()]
    assert {row[0].split()[0]: row[2] for row in texts} == {"0": "yes", "1": "", "2": "yes", "3": "", "4": "yes"}
    assert next(row for row in texts if row[0].startswith("1 "))[-1] == "breaks resource/gib <= 8"
    assert "□ 1 break a constraint" in page.locator(".search-states").inner_text()


def test_charts_are_saved(pages: Pages, search: PageView) -> None:
    page = pages.show(data=search, fragment="#search", color_scheme="dark")
    figure = ElementTree.fromstring(content(page, "parallel", "SVG"))
    texts = {element.text for element in figure.iter(f"{SVG}text")}
    assert {"Parallel coordinates", "rate", "optimizer", "bbox/AP", "sgd", "lion"} <= texts
    assert any(text and text.startswith("0 train.rate=") for text in texts)  # the legend
    background = figure.find(f"{SVG}rect")
    assert background is not None
    assert background.get("fill") == "#ffffff"
    assert content(page, "history", "PNG")[:8] == b"\x89PNG\r\n\x1a\n"
    lines = content(page, "slice train.rate", "CSV, as shown").decode().splitlines()
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    exact = {trial.number: trial.values[AP.name].mean for trial in report_of(search).results.trials if trial.state == "done"}
    assert {int(row["trial"].split()[0]): float(row["bbox/AP"]) for row in rows if row["bbox/AP"]} == exact


# -------------------------------------------------------------------------------------------------------- fixed designs
def test_a_grid_is_a_heat_map(pages: Pages, tmp_path: Path) -> None:
    page = pages.show(make_grid(tmp_path / "grid"), fragment="#search")
    table = page.locator(".heat table")
    table.wait_for()
    assert [cell.strip() for cell in table.locator("thead th").all_inner_texts()] == ["batch_size \\ base_lr", "0.001", "0.002", "0.004"]
    best = table.locator("td.is-best")
    assert best.count() == 1
    assert best.inner_text().split("\n")[0].startswith("0.480")
    assert "± 0.014, n 2" in table.inner_text()
    assert "n 1" in table.inner_text()  # one of two seeds failed
    page.get_by_label("columns").select_option("TrainReader.batch_size")
    page.wait_for_url(re.compile("gx=TrainReader.batch_size&gy=LearningRate.base_lr"))
    assert table.locator("tbody th").all_inner_texts() == ["0.001", "0.002", "0.004"]
    table.get_by_role("button", name="0 baseline").click()
    page.wait_for_url(re.compile("pin=t0"))
    table.get_by_role("button", name="0 baseline").dblclick()
    page.wait_for_url(re.compile("#run"))


def test_a_third_key_is_averaged_or_fixed(pages: Pages, tmp_path: Path) -> None:
    sweep = tmp_path / "grid"
    write_plan(
        sweep, design="grid", vary={"LearningRate.base_lr": [0.001, 0.002], "TrainReader.batch_size": [4, 8], "max_iters": [300, 600]}
    )
    number = 0
    for rate in (0.001, 0.002):
        for batch in (4, 8):
            for length in (300, 600):
                is_baseline = (rate, batch, length) == (0.002, 8, 300)
                number += not is_baseline
                point = {"LearningRate.base_lr": rate, "TrainReader.batch_size": batch, "max_iters": length}
                ap = 100 * rate + batch / 100 + (0.1 if length == 600 else 0.0)
                make_trial(sweep, 0 if is_baseline else number, {} if is_baseline else point, (ap,), max_iters=length)
    page = pages.show(sweep, fragment="#search")
    cells = page.locator(".heat td")
    cells.first.wait_for()
    assert [text.split("\n")[0].split()[0] for text in cells.all_inner_texts()] == ["0.190", "0.290", "0.230", "0.330"]
    assert "2 trials" in cells.first.inner_text()
    page.get_by_label("max_iters", exact=True).select_option("600")
    page.wait_for_url(re.compile("at="))
    page.locator(".heat").get_by_text("n 1").first.wait_for()
    assert [text.split("\n")[0].split()[0] for text in cells.all_inner_texts()] == ["0.240", "0.340", "0.280", "0.380"]


def test_changes_of_one_key_are_slices(pages: Pages, tmp_path: Path) -> None:
    page = pages.show(one_at_a_time(tmp_path / "sweep"), fragment="#search?rows=slice%2520LearningRate.base_lr")
    rate = card(page, "slice LearningRate.base_lr")
    rows = rate.locator(".curve-values tbody tr")
    rows.first.wait_for()
    assert [row.split("\t")[:3] for row in rows.all_inner_texts()] == [
        ["1 base_lr=0.001", "0.001", "0.270 ± 0.020"],
        ["0 baseline", "0.002", "0.320 ± 0.020"],
        ["2 base_lr=0.004", "0.004", "0.380 ± 0.020"],
    ]
    page.get_by_text("1 trial changes several keys and is not in them.").wait_for()
    assert page.locator("[data-card='history'], [data-card='parallel'], .heat table").count() == 0


def test_the_picked_metric_is_shown(pages: Pages, tmp_path: Path) -> None:
    page = pages.show(one_at_a_time(tmp_path / "sweep"), fragment="#search?metric=bbox/AP50&rows=slice%2520LearningRate.base_lr")
    rows = card(page, "slice LearningRate.base_lr").locator(".curve-values tbody tr")
    rows.first.wait_for()
    assert "0.620 ± 0.020" in rows.nth(1).inner_text()


def test_two_finished_trials_are_needed(pages: Pages, tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    make_trial(sweep, 0, {}, (0.3,))
    make_trial(sweep, 1, {"LearningRate.base_lr": 0.01}, (0.3,), state="running", step=100)
    page = pages.show(sweep, fragment="#search")
    page.get_by_text("once 2 of its trials have finished; so far 1 has.").wait_for()
    assert page.locator("[data-card]").count() == 0


# ------------------------------------------------------------------------------------------------------ for every reader
BRUSH = """async ([filter, axis, brush]) => {
  const { readBrush, writeBrush } = await import("/search-brush.js");
  const written = writeBrush(filter, axis, brush);
  return [written, readBrush(written, axis)];
}"""
RATE = {"key": "a.rate", "choices": [], "values": [], "low": 0.001, "high": 1.0}
KIND = {"key": "a.kind", "choices": ["x", "two words", "z"], "values": []}


@pytest.mark.parametrize(
    ("filter", "axis", "brush", "written", "read"),
    [
        ("", RATE, {"low": 0.012345, "high": 1.0}, "a.rate>=0.0123", {"low": 0.0123, "high": 1.0}),
        ("word a.rate>=0.5", RATE, {"low": 0.001, "high": 0.2}, "word a.rate<=0.2", {"low": 0.001, "high": 0.2}),
        (
            "one or two",
            RATE,
            {"low": 0.1, "high": 0.2},
            "one a.rate>=0.1 a.rate<=0.2 or two a.rate>=0.1 a.rate<=0.2",
            {"low": 0.1, "high": 0.2},
        ),
        ("a.rate>=0.5 x", RATE, None, "x", None),
        ("a.rate>=0.5", RATE, None, "", None),
        ("", KIND, {"chosen": [1]}, 'a.kind="two words"', {"chosen": [1]}),
        ("", KIND, {"chosen": [0, 2]}, '-a.kind="two words"', {"chosen": [0, 2]}),
        ("a.kind=x", KIND, {"chosen": [0, 1, 2]}, "", None),
        ('"not closed', RATE, {"low": 0.1, "high": 1.0}, "a.rate>=0.1", {"low": 0.1, "high": 1.0}),
    ],
)
def test_brushes_are_terms_of_the_filter(
    pages: Pages, search: PageView, filter: str, axis: Any, brush: Any, written: str, read: Any
) -> None:
    page = pages.show(data=search)
    assert page.evaluate(BRUSH, [filter, axis, brush]) == [written, read]


def axe_problems(page: Page) -> list[str]:
    from axe_playwright_python.sync_playwright import Axe

    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": tags}}).response["violations"]
    return [f"{item['id']}: {[node['html'][:200] for node in item['nodes']]}" for item in found]


@pytest.mark.parametrize(
    ("size", "scheme", "locale"), [(WIDE, "light", "en-US"), (WIDE, "dark", "zh-CN"), (NARROW, "light", "zh-CN"), (NARROW, "dark", "en-US")]
)
def test_axe_finds_nothing(pages: Pages, search: PageView, tmp_path: Path, size: Any, scheme: str, locale: str) -> None:
    page = pages.show(data=search, fragment="#search?rows=parallel&k=25", viewport=size, color_scheme=scheme, locale=locale)
    card(page, "history")
    page.locator(".search-controls summary").click()
    assert axe_problems(page) == []
    page = pages.show(make_grid(tmp_path / "grid"), fragment="#search", viewport=size, color_scheme=scheme, locale=locale)
    page.locator(".heat td").first.wait_for()
    assert axe_problems(page) == []


def test_names_stay_text_and_within_a_narrow_screen(pages: Pages) -> None:
    runs = [run(n, n / 10, point={f"a.{HOSTILE}": [HOSTILE, "b"][n % 2], "rate": n * 0.1}) for n in range(12)]
    page = pages.show(data=page_of(*runs), fragment="#search?rows=parallel", viewport=NARROW)
    card(page, "parallel").locator(".curve-values tbody tr").first.wait_for()
    page.locator(".search-controls summary").click()
    page.locator(".search-ranges fieldset").first.wait_for()
    assert HOSTILE in page.locator(".search-ranges").inner_text()
    assert page.evaluate("window.pwn") is None
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert b"<img" not in content(page, "parallel", "SVG")


def test_a_frozen_file_shows_the_same(pages: Pages, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    data = SnapshotData([make_grid(tmp_path / "grid")], read_report)
    file.write_text(freeze(data, made=0.0).text, encoding="utf-8")
    page = pages.open(f"{file.as_uri()}#search")
    live = pages.show(data=data, fragment="#search")
    for each in (page, live):
        each.locator(".heat td").first.wait_for()
    assert page.locator(".heat td").all_inner_texts() == live.locator(".heat td").all_inner_texts()
    page.get_by_label("Metric").select_option("bbox/AP50")  # of which the file has no report, but each trial's numbers
    page.locator(".heat .mean", has_text="0.610").wait_for()


@pytest.mark.usefixtures("cache_folder")
def test_a_new_trial_appears(pages: Pages, tmp_path: Path) -> None:
    sweep = one_at_a_time(tmp_path / "sweep")
    page = pages.show(data=pages.live(sweep), fragment="#search?rows=slice%2520LearningRate.base_lr")
    page.locator(".search-states").get_by_text("4 done").wait_for()
    rows = card(page, "slice LearningRate.base_lr").locator(".curve-values tbody tr")
    rows.nth(2).wait_for()
    make_trial(sweep, 5, {"LearningRate.base_lr": 0.008}, (0.2, 0.21, 0.22))
    page.locator(".search-states").get_by_text("5 done").wait_for()
    rows.nth(3).wait_for()
    assert rows.nth(3).inner_text().split("\t")[:2] == ["5 base_lr=0.008", "0.008"]


@pytest.mark.slow
def test_a_sweep_of_optuna_with_pruning(pages: Pages, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    fake = FakeSweep(tmp_path)
    ap = "0.5 * (1 - exp(-3 * step / steps)) - 0.02 * (log(parameters.lr) + 4) ** 2 + 0.01 * noise"
    fake.write(
        config={"step_s": 0.0, "metrics": {"bbox/AP": ap}},
        vary={},
        seeds=[0],
        design="optuna",
        space={"parameters.lr": {"low": 1e-4, "high": 1.0, "log": True}},
        sampler={"name": "TPESampler", "n_startup_trials": 4},
        pruner={"name": "MedianPruner", "n_startup_trials": 3, "n_warmup_steps": 5},
        budget={"runs": 16},
        confirm_seeds=0,
    )
    ended = fake.finish()
    assert ended.code == 0, ended.err
    data = SnapshotData([fake.sweep.path], read_report)
    report = data.report()
    assert isinstance(report, SearchReport)
    states = report.results.states()
    assert states["pruned"] > 0
    page = pages.show(data=data, fragment="#search?rows=curves")
    page.locator(".search-states").get_by_text(f"{states['pruned']} pruned").wait_for()
    curves = card(page, "curves")
    curves.locator(".curve-values tbody tr").first.wait_for()
    pruned = next(trial for trial in report.results.trials if trial.state == "pruned")
    row = curves.locator("tbody tr", has_text=f"{pruned.number} {pruned.label}")
    values = [f"{value:.3f}".replace("-", "−") for _, value in pruned.curve]
    assert [cell.strip() for cell in row.inner_text().split("\t")][1 : len(values) + 1] == values
    found = json.loads(page.evaluate("fetch('api/search').then((answer) => answer.text())"))
    assert (found["keys"][0]["log"], found["keys"][0]["low"], found["keys"][0]["high"]) == (True, 1e-4, 1.0)
    assert report.audit is not None
    assert report.audit_notes[0].text in curves.inner_text()
