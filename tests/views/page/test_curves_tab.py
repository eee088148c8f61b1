"""Tests of the Curves tab in a real browser: what is parsed, drawn, controlled and exported."""

from __future__ import annotations

import csv
import json
import math
import re
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
import pytest
from support.browser import LOOKS, NARROW, Pages, axe_problems
from support.finished import START, make_run

from runner.store.records import Record, RecordWriter
from runner.sweep.session_results import read_report
from runner.views.page.curves import ema
from runner.views.page.data import SnapshotData
from runner.views.page.part import ask

if TYPE_CHECKING:
    from playwright.sync_api import Download, Page

SVG = "{http://www.w3.org/2000/svg}"
LABEL = '<img src=x onerror="window.pwn=1">&'


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Two trials with three seeds; a run of the baseline ends early, one of the other trial was resumed and met infinite values and NaN."""
    for trial, label in enumerate(["baseline", "base_lr=0.01"]):
        for seed in range(3):
            step = 200 if (trial, seed) == (0, 2) else 300
            ap = 0.4 + trial / 10 + seed / 100
            run = make_run(tmp_path / "sweep", trial, seed, label=label, ap=ap, step=step, evaluations=[(100, ap - 0.2), (200, ap - 0.1)])
    writer = RecordWriter(run.metrics)
    writer.write(Record(2, 300, 6.0, START + 90, resumed=True))
    for step, loss in [(320, math.nan), (340, math.inf), (360, -1.0), (380, 0.5)]:
        writer.write(Record(2, step, step / 50, START + 90 + step, {"train/loss": loss}, kind="train"))
    writer.close()
    return tmp_path / "sweep"


def card(page: Page, tag: str) -> Any:
    """The card of a tag, once its chart is drawn."""
    found = page.locator(f'.curve-card[data-tag="{tag}"]')
    found.locator(".u-over").wait_for()
    return found


def area(page: Page, tag: str) -> dict[str, float]:
    """The drawing area of a tag's chart, in the window."""
    over = card(page, tag).locator(".u-over")
    over.scroll_into_view_if_needed()
    return dict(over.bounding_box())


def fragment(page: Page) -> str:
    return str(page.evaluate("decodeURIComponent(location.hash)"))


def export(page: Page, tag: str, name: str) -> Download:
    card(page, tag).locator("summary").click()
    with page.expect_download() as waiting:
        card(page, tag).get_by_role("button", name=name, exact=True).click()
    return waiting.value


def content(download: Download) -> bytes:
    return Path(download.path()).read_bytes()


def csv_lines(download: Download) -> tuple[list[str], list[str]]:
    """The comments of a CSV file, and its other lines."""
    lines = content(download).decode().splitlines()
    return [line for line in lines if line.startswith("#")], [line for line in lines if not line.startswith("#")]


def wait_for_fragment(page: Page, pattern: str) -> str:
    page.wait_for_url(re.compile(pattern))
    return fragment(page)


# ------------------------------------------------------------------------------------------------------- what is pointed at
def test_a_line_that_is_pointed_at_is_emphasised_in_every_chart(pages: Pages, sweep: Path) -> None:
    from playwright.sync_api import expect

    page = pages.show(sweep, fragment="#curves?pin=t1")
    card(page, "train/loss")
    card(page, "bbox/AP").locator(".readout-rows li", has_text="baseline").hover()
    near = card(page, "train/loss").locator(".readout-rows .near")
    expect(near).to_contain_text("baseline")
    page.locator(".chip").hover()
    expect(near).to_contain_text("base_lr=0.01")
    box = area(page, "train/loss")
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] - 3)
    page.locator("h1").hover()
    expect(near).to_have_count(0)


def test_superseded_values_are_shown_on_demand(pages: Pages, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    run = make_run(tmp_path / "s", 0, 0, ap=None, state="running")
    writer = RecordWriter(run.metrics)
    writer.write(Record(2, 100, 2.0, START + 90, resumed=True))
    writer.write(Record(2, 120, 2.4, START + 91, {"train/loss": 3.0}, kind="train"))
    writer.close()
    page = pages.show(tmp_path / "s", fragment="#curves?band=interval")
    notes = card(page, "train/loss").locator(".card-notes")
    expect(notes).not_to_contain_text("Dotted")
    page.get_by_label("overwritten parts").check()
    expect(notes).to_contain_text("Dotted")
    assert "ghosts=1" in fragment(page)
    assert content(export(page, "train/loss", "SVG")).count(b'stroke-dasharray="2 3"') == 1


# --------------------------------------------------------------------------------------------------------------- figure
def figure(page: Page, count: int, strong: int) -> Any:
    """Alpha, and whether it is quiet, of the bands of `count` runs with two points in each bucket; the first `strong` are emphasised."""
    return page.evaluate(
        """async ([count, strong]) => {
          const { makeFigure } = await import("/curve-figure.js");
          const data = { n: [2, 2], mean: [1, 2], min: [0, 1], max: [2, 3], last: [1, 2], smooth: [1, 2] };
          const run = { kind: "run", group: null, marks: [], data };
          const series = Array.from({ length: count }, (_, at) => ({ ...run, id: `r${at}`, trial: `t${at}` }));
          const lines = ({ id }) => ({ color: "#000", dash: [], width: 1, name: id, strong: Number(id.slice(1)) < strong });
          const options = { lines, context: () => false, band: "minmax", smoothing: 0, log: false };
          const made = makeFigure([{ tag: "a", xs: [1, 2], series }], options);
          return [made.quiet, made.lines.map(({ alpha, quiet }) => [alpha, quiet])];
        }""",
        [count, strong],
    )


def test_many_bands_do_not_hide_the_lines(pages: Pages, sweep: Path) -> None:
    page = pages.show(sweep)
    assert figure(page, 6, 1) == [False, [[0.28, False]] * 6]
    quiet, lines = figure(page, 12, 1)
    assert not quiet
    assert all(0.15 < alpha < 0.28 and not silent for alpha, silent in lines)
    quiet, lines = figure(page, 50, 2)
    assert quiet
    assert [silent for _, silent in lines] == [False] * 2 + [True] * 48


def test_the_best_in_colour_are_the_lowest_where_less_is_better(pages: Pages, sweep: Path) -> None:
    page = pages.show(sweep)
    ids = page.evaluate(
        """async () => {
          const { chooseColours } = await import("/tabs/curves.js");
          const all = Array.from({ length: 200 }, (_, at) => ({ id: `t${at}`, metrics: { loss: { mean: at } } }));
          const trials = { visible: () => all, baseline: () => all[100], pinned: () => [], decides: () => "loss", goal: "minimize" };
          return [...chooseColours(trials).ids];
        }"""
    )
    assert ids == ["t100", *(f"t{number}" for number in range(30))]


def test_a_single_evaluation_is_seen_whole(pages: Pages, tmp_path: Path) -> None:
    """It is in the middle of its chart, not half beyond the frame."""
    make_run(tmp_path / "s", 0, 0, ap=0.4)
    page = pages.show(tmp_path / "s", fragment="#curves")
    card(page, "bbox/AP").locator(".curve-chart").press("End")
    box = area(page, "bbox/AP")
    cursor = card(page, "bbox/AP").locator(".u-cursor-x").bounding_box()
    assert abs(cursor["x"] - box["x"] - box["width"] / 2) < 3


# ---------------------------------------------------------------------------------------------------------------- data
def parse(body: bytes) -> dict[str, Any]:
    """Header and arrays, as Python reads the binary form."""
    assert body[:4] == b"RCV1"
    (length,) = struct.unpack("<I", body[4:8])
    header = json.loads(body[8 : 8 + length])
    names = {"run": ("n", "mean", "min", "max", "last", "smooth"), "group": ("n", "mean", "low", "high", "std")}
    for series in header["series"]:
        start, count = 8 + length + series["offset"], header["buckets"]
        series["data"] = {
            name: np.frombuffer(body, "<f4", count, start + 4 * count * place) for place, name in enumerate(names[series["kind"]])
        }
    return dict(header)


@pytest.mark.parametrize("tag", ["train/loss", "bbox/AP"])
def test_the_browser_reads_the_same_arrays_as_python(pages: Pages, sweep: Path, tag: str) -> None:
    page = pages.show(sweep)
    expected = parse(ask(SnapshotData([sweep], read_report), "curves", {"tag": tag, "s": "0.9"}).body)
    found = page.evaluate(
        """async (tag) => {
          const { parseCurves } = await import("/curves-data.js");
          const answer = await fetch(`/api/curves?s=0.9&tag=${encodeURIComponent(tag)}`);
          const curves = parseCurves(await answer.arrayBuffer());
          return curves.series.map(({ id, data }) => [id, Object.entries(data).map(([name, values]) => [name, [...values]])]);
        }""",
        tag,
    )
    assert len(found) == len(expected["series"]) == 8
    for (name, arrays), series in zip(found, expected["series"], strict=True):
        assert name == series["id"]
        assert len(arrays) == len(series["data"])
        for array, values in arrays:
            np.testing.assert_array_equal(np.array(values, np.float32), series["data"][array])


def test_bytes_that_are_no_curves_are_refused(pages: Pages, sweep: Path) -> None:
    page = pages.show(sweep)
    script = """async () => {
      const { parseCurves } = await import("/curves-data.js");
      try { parseCurves(new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8, 9]).buffer); } catch (error) { return error.message; }
    }"""
    assert page.evaluate(script) == "the answer holds no curves"


def test_smoothing_in_the_page_equals_that_of_the_server_for_one_point_per_bucket(pages: Pages, sweep: Path) -> None:
    y = np.random.default_rng(1).normal(size=300)
    script = """async ([y, alpha]) => {
      const { smoothBuckets } = await import("/curves-data.js");
      return [...smoothBuckets(new Float32Array(y.length).fill(1), Float32Array.from(y), alpha)];
    }"""
    page = pages.show(sweep)
    for weight in (0.5, 0.9, 0.999):
        np.testing.assert_allclose(page.evaluate(script, [y.tolist(), weight]), ema(y, weight), atol=1e-5)


def test_a_bucket_of_many_equal_points_weighs_as_all_of_them(pages: Pages, sweep: Path) -> None:
    points = np.repeat([1.0, 3.0, 2.0], 20)
    script = """async () => {
      const { smoothBuckets } = await import("/curves-data.js");
      return [...smoothBuckets(Float32Array.of(20, 20, 0, 20), Float32Array.of(1, 3, NaN, 2), 0.95)];
    }"""
    found = pages.show(sweep).evaluate(script)
    np.testing.assert_allclose([found[0], found[1], found[3]], ema(points, 0.95)[[19, 39, 59]], atol=1e-5)
    assert math.isnan(found[2])


# ---------------------------------------------------------------------------------------------------------------- look
def test_the_deciding_metric_comes_first_and_the_seeds_of_a_trial_are_one_line(pages: Pages, sweep: Path) -> None:
    page = pages.show(sweep, fragment="#curves")
    first = card(page, "bbox/AP")
    card(page, "train/loss")
    tags = page.locator(".curve-card").evaluate_all("cards => cards.map((card) => card.dataset.tag)")
    assert tags == ["bbox/AP", "train/loss"]
    assert first.locator(".readout-rows li").count() == 2
    assert page.locator(".curve-group").evaluate_all("all => all.map((group) => [group.dataset.group, group.open])") == [
        ["bbox/", False], ["resource/", False], ["train/", False],
    ]  # fmt: skip
    summary = first.locator(".curve-image").get_attribute("aria-label")
    assert summary == "bbox/AP: 2 lines; the baseline ends at 0.405"


def test_values_that_are_not_finite_resumed_runs_and_ended_members_are_marked(pages: Pages, sweep: Path) -> None:
    page = pages.show(sweep, fragment="#curves")
    notes = card(page, "train/loss").locator(".card-notes").inner_text()
    assert "2 values are not finite" in notes
    assert "⟲ marks where a run was resumed" in notes
    page.get_by_label("log y", exact=True).first.check()
    page.get_by_text("1 value is zero or negative").first.wait_for()


def test_a_hostile_label_stays_a_text_on_the_page_and_in_the_figure(pages: Pages, tmp_path: Path) -> None:
    for trial, label in enumerate(["baseline", LABEL]):
        make_run(tmp_path / "sweep", trial, 0, label=label, name=f"run{trial}", overrides={"a": label} if trial else {})
    page = pages.show(tmp_path / "sweep", fragment="#curves")
    svg = content(export(page, "train/loss", "SVG")).decode()
    assert "<img" not in svg
    assert page.evaluate("window.pwn") is None
    ElementTree.fromstring(svg)


# ------------------------------------------------------------------------------------------------------------ controls
def test_controls_change_the_address_and_the_address_the_controls(pages: Pages, sweep: Path) -> None:
    page = pages.show(sweep, fragment="#curves")
    card(page, "train/loss")
    page.get_by_label("x axis").select_option("epoch")
    page.get_by_label("band over seeds").select_option("std")
    page.get_by_label("each run").check()
    slider = page.get_by_label("smoothing")
    slider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == "0.9"
    page.get_by_role("button", name="As table").first.click()
    address = "#curves?band=std&members=1&s=0.9&table=bbox/AP&x=epoch"
    assert fragment(page) == address
    card(page, "bbox/AP").locator("table").wait_for()

    again = pages.open(page.url)
    card(again, "bbox/AP").locator("table").wait_for()
    assert again.get_by_label("x axis").input_value() == "epoch"
    assert again.get_by_label("band over seeds").input_value() == "std"
    assert again.get_by_label("each run").is_checked()
    assert again.get_by_label("smoothing").input_value() == "3"
    assert fragment(again) == address
    rows = "rows => rows.map((row) => row.textContent)"
    assert again.locator("table tr").evaluate_all(rows) == page.locator("table tr").evaluate_all(rows)


@pytest.mark.parametrize("zoom", ["9,1", "1", ",5", "a,b", "1,2,3", "1,Infinity"])
def test_wrong_values_in_the_address_are_dropped_and_it_says_so(pages: Pages, sweep: Path, zoom: str) -> None:
    from playwright.sync_api import expect

    page = pages.show(sweep, fragment=f"#curves?x=foo&band=zzz&s=0.7&log=z&members=2&zoom={zoom}&trim=1")
    card(page, "train/loss")
    expect(page.locator(".notice")).to_contain_text(f"were dropped: x=foo, band=zzz, s=0.7, log=z, members=2, zoom={zoom}")
    assert page.get_by_label("x axis").input_value() == "step"
    assert page.get_by_label("band over seeds").input_value() == "minmax"
    assert page.get_by_label("without outliers").is_checked()
    assert page.locator(".failure").count() == 0


def test_a_drag_zooms_all_charts_and_a_double_click_shows_everything(pages: Pages, sweep: Path) -> None:
    page = pages.show(sweep, fragment="#curves")
    card(page, "bbox/AP")
    box = area(page, "train/loss")
    page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 60, steps=4)
    page.mouse.up()
    low, high = map(float, wait_for_fragment(page, "zoom=").partition("zoom=")[2].split(","))
    assert low == pytest.approx(20 + 0.25 * 360, abs=3)
    assert high == pytest.approx(20 + 0.75 * 360, abs=3)
    assert float(page.get_by_label("from", exact=True).input_value()) == low
    page.mouse.dblclick(box["x"] + 100, box["y"] + 50)
    page.wait_for_url(re.compile(r"#curves$"))


def end_of_axis(page: Page, tag: str) -> float:
    """The right end of a chart's x axis, read from the address after a zoom to its last tenth."""
    box = area(page, tag)
    page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 0.5, box["y"] + 60, steps=4)
    page.mouse.up()
    return float(wait_for_fragment(page, "zoom=").partition("zoom=")[2].split(",")[1])


def test_dates_have_no_log_axis_and_the_margin_of_one_is_a_part_of_its_span(pages: Pages, sweep: Path) -> None:
    page = pages.show(sweep, fragment="#curves?log=xy&x=wall")
    card(page, "bbox/AP")
    box = page.get_by_label("log x")
    assert box.is_disabled() and not box.is_checked()
    assert START < end_of_axis(page, "train/loss") < START + 1000
    page.get_by_label("x axis").select_option("step")
    assert box.is_enabled() and box.is_checked()
    assert 380 < end_of_axis(page, "train/loss") < 380 * (380 / 20) ** 0.016


def test_shift_drag_zooms_the_values_of_one_chart_until_everything_is_shown_and_ctrl_wheel_the_x_axis(pages: Pages, sweep: Path) -> None:
    from playwright.sync_api import expect

    page = pages.show(sweep, fragment="#curves")
    card(page, "bbox/AP")
    before = content(export(page, "train/loss", "SVG"))
    box = area(page, "train/loss")
    page.mouse.move(box["x"] + 200, box["y"] + 100)
    page.keyboard.down("Shift")
    page.mouse.down()
    page.mouse.move(box["x"] + 210, box["y"] + 200, steps=4)
    page.mouse.up()
    page.keyboard.up("Shift")
    zoomed = re.fullmatch(r"#curves\?y=train/loss:([-\d.]+):([-\d.]+)", wait_for_fragment(page, "y="))
    assert zoomed and float(zoomed[1]) < float(zoomed[2])
    picture = content(export(page, "train/loss", "SVG"))
    assert picture != before
    page.reload()
    assert content(export(page, "train/loss", "SVG")) == picture
    everything = page.get_by_role("button", name="show everything")
    everything.click()
    expect(everything).to_be_disabled()
    assert content(export(page, "train/loss", "SVG")) == before
    box = area(page, "train/loss")
    page.keyboard.down("Control")
    page.mouse.move(box["x"] + 200, box["y"] + 100)
    page.mouse.wheel(0, -100)
    page.keyboard.up("Control")
    wait_for_fragment(page, "zoom=")


def test_the_keyboard_moves_the_cursor_of_all_charts_freezes_it_and_zooms(pages: Pages, sweep: Path) -> None:
    page = pages.show(sweep, fragment="#curves")
    other = card(page, "bbox/AP").locator(".readout-head strong")
    chart = card(page, "train/loss")
    chart.locator(".curve-chart").focus()
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    head = chart.locator(".readout-head strong")
    assert head.inner_text() == "step 360"
    page.keyboard.press("Home")
    assert head.inner_text() == "step 20"
    page.keyboard.press("ArrowRight")
    assert (head.inner_text(), other.inner_text()) == ("step 40", "last values")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert (head.inner_text(), other.inner_text()) == ("step 100", "step 100")
    page.keyboard.press("Enter")
    assert page.get_by_role("button", name="Release").count() == 2
    page.keyboard.press("ArrowRight")
    assert head.inner_text() == "step 100"
    page.keyboard.press("Escape")
    assert head.inner_text() == "last values"
    page.keyboard.press("+")
    wait_for_fragment(page, "zoom=")
    page.keyboard.press("0")
    page.wait_for_url(re.compile(r"#curves$"))


@pytest.mark.parametrize("more", ["", "log=x&"])
def test_the_keyboard_zooms_out_to_everything_and_no_further(pages: Pages, sweep: Path, more: str) -> None:
    page = pages.show(sweep, fragment=f"#curves?{more}zoom=100,140")
    chart = card(page, "train/loss").locator(".curve-chart")
    for _ in range(8):
        chart.press("-")
    assert fragment(page) == f"#curves?{more}".rstrip("?&")
    chart.press("+")
    low, high = map(float, wait_for_fragment(page, "zoom=").partition("zoom=")[2].split(","))
    assert 14 < low < high < 390


def test_the_pointer_means_the_nearest_line_and_a_click_freezes_the_values(pages: Pages, sweep: Path) -> None:
    page = pages.show(sweep, fragment="#curves")
    chart = card(page, "bbox/AP")
    box = area(page, "bbox/AP")
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + 20)
    near = chart.locator(".near")
    assert near.inner_text().split() == ["0.510", "1", "base_lr=0.01"]
    page.mouse.down()
    page.mouse.up()
    page.mouse.move(box["x"] + 5, box["y"] + 20)
    assert chart.locator(".readout-head strong").inner_text() == "step 300"


def test_a_frozen_chart_is_zoomed_by_a_drag_and_released_by_a_double_click(pages: Pages, sweep: Path) -> None:
    from playwright.sync_api import expect

    page = pages.show(sweep, fragment="#curves")
    chart = card(page, "train/loss")
    box = area(page, "train/loss")
    x, y = box["x"] + 0.5 * box["width"], box["y"] + 50
    page.mouse.click(x, y)
    release = chart.get_by_role("button", name="Release")
    expect(release).to_be_visible()
    head = chart.locator(".readout-head strong").inner_text()
    page.mouse.move(x - 0.1 * box["width"], y)
    page.mouse.down()
    page.mouse.move(x + 0.3 * box["width"], y, steps=4)
    page.mouse.up()
    wait_for_fragment(page, "zoom=")
    expect(release).to_be_visible()
    assert chart.locator(".readout-head strong").inner_text() == head == "step 200"
    box = area(page, "train/loss")  # the labels of the other axis may have another width now
    line = chart.locator(".u-cursor-x").bounding_box()
    assert line["x"] - box["x"] == pytest.approx(0.25 * box["width"], abs=5)  # where step 200 is now
    page.mouse.dblclick(x, y)
    page.wait_for_url(re.compile(r"#curves$"))
    expect(release).to_have_count(0)


def test_several_tags_share_one_chart(pages: Pages, sweep: Path) -> None:
    page = pages.show(sweep, fragment="#curves")
    card(page, "bbox/AP").get_by_label("Add a tag to the chart of bbox/AP").select_option("bbox/AP50")
    both = card(page, "bbox/AP,bbox/AP50")
    assert fragment(page) == "#curves?tag=bbox/AP,bbox/AP50"
    assert both.locator(".readout-rows li").count() == 4
    both.get_by_role("button", name="One chart per tag").click()
    assert fragment(page) == "#curves"


def test_tags_are_found_by_words(pages: Pages, sweep: Path) -> None:
    page = pages.show(sweep, fragment="#curves?find=memory")
    card(page, "resource/memory_gib")
    assert page.locator(".curve-card").count() == 1
    page.get_by_label("find tags").fill("nothing")
    page.get_by_text("No tag contains “nothing”.").wait_for()


# ------------------------------------------------------------------------------------------------------------- exports
def test_the_figure_is_valid_xml_with_title_axis_titles_and_legend(pages: Pages, sweep: Path) -> None:
    page = pages.show(sweep, fragment="#curves", color_scheme="dark")
    download = export(page, "train/loss", "SVG")
    assert download.suggested_filename == "train_loss.svg"
    figure = ElementTree.fromstring(content(download))
    texts = [element.text for element in figure.iter(f"{SVG}text")]
    assert texts.count("train/loss") == 2
    assert {"step", "0 baseline", "1 base_lr=0.01"} <= set(texts)
    assert figure.find(f"{SVG}title").text == "train/loss"
    assert figure.find(f"{SVG}rect").get("fill") == "#ffffff"
    assert len(figure.findall(f"{SVG}g/{SVG}path")) >= 4


def test_the_picture_is_a_png_of_twice_the_size(pages: Pages, sweep: Path) -> None:
    page = pages.show(sweep, fragment="#curves")
    picture = content(export(page, "bbox/AP", "PNG"))
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">I", picture[16:20]) == (1920,)


def test_the_csv_holds_what_is_shown_and_the_other_one_every_value(pages: Pages, sweep: Path) -> None:
    page = pages.show(sweep, fragment="#curves")
    notes, lines = csv_lines(export(page, "bbox/AP", "CSV, as shown"))
    assert notes[0] == "# runs in: " + page.evaluate("fetch('api/overview').then((answer) => answer.json())")["folders"][0]
    assert "# 1 base_lr=0.01: " + ", ".join(f"0001-base_lr=0.01-s{seed}" for seed in range(3)) in notes
    assert notes[-1] == "# x axis: step"
    shown = list(csv.DictReader(lines))
    assert [float(row["step"]) for row in shown] == [100, 200, 300]
    assert [float(row["1 base_lr=0.01"]) for row in shown] == pytest.approx([0.31, 0.41, 0.51])
    assert [float(row["1 base_lr=0.01 (max)"]) for row in shown] == pytest.approx([0.32, 0.42, 0.52])
    whole = content(export(page, "bbox/AP", "CSV, every value"))
    assert whole == ask(SnapshotData([sweep], read_report), "points", {"tag": "bbox/AP"}).body


def test_the_pgfplots_table_has_plain_names_and_nan_for_what_is_missing(pages: Pages, sweep: Path) -> None:
    page = pages.show(sweep, fragment="#curves")
    lines = content(export(page, "train/loss", "pgfplots table")).decode().splitlines()
    names, *rows = [line.split(",") for line in lines if not line.startswith("#")]
    trials = ("0_baseline", "1_base_lr_0_01")
    assert names == ["step", *(name + ending for name in trials for ending in ("", "_low", "_high"))]
    assert {len(row) for row in rows} == {7}
    assert rows[-1][:4] == ["380", "nan", "nan", "nan"]
    assert "# 1_base_lr_0_01: 1 base_lr=0.01 (_low: min, _high: max)" in lines


@pytest.mark.parametrize(
    ("band", "low", "high"), [("std", "mean - std", "mean + std"), ("interval", "95 % low", "95 % high")], ids=["std", "interval"]
)
def test_exported_columns_say_what_the_ends_of_a_band_are(pages: Pages, sweep: Path, band: str, low: str, high: str) -> None:
    page = pages.show(sweep, fragment=f"#curves?band={band}")
    (names, *_) = csv.reader(csv_lines(export(page, "bbox/AP", "CSV, as shown"))[1])
    assert names[-3:] == ["1 base_lr=0.01", f"1 base_lr=0.01 ({low})", f"1 base_lr=0.01 ({high})"]
    table = content(export(page, "bbox/AP", "pgfplots table")).decode()
    assert f"# 1_base_lr_0_01: 1 base_lr=0.01 (_low: {low}, _high: {high})\n" in table


# ------------------------------------------------------------------------------------------------- size, narrow, languages
def test_charts_are_drawn_when_they_come_near_so_that_200_tags_cost_little(pages: Pages, tmp_path: Path) -> None:
    metrics = {f"bbox/AP/class {number}": number / 1000 for number in range(200)}
    make_run(tmp_path / "sweep", 0, 0, metrics=metrics)
    page = pages.show(tmp_path / "sweep", fragment="#curves?groups=bbox/AP/")
    card(page, "bbox/AP/class 0")
    assert page.locator(".curve-card").count() > 200
    assert page.locator(".u-over").count() < 30
    page.locator('.curve-card[data-tag="bbox/AP/class 199"]').scroll_into_view_if_needed()
    card(page, "bbox/AP/class 199")


@pytest.mark.parametrize("options", LOOKS, ids=str)
def test_the_tab_is_accessible(pages: Pages, sweep: Path, options: dict[str, Any]) -> None:
    page = pages.show(sweep, fragment="#curves?table=bbox/AP&members=1", **options)
    card(page, "bbox/AP").locator("table").wait_for()
    assert axe_problems(page) == []


def test_400_pixels_are_wide_enough(pages: Pages, tmp_path: Path) -> None:
    make_run(tmp_path / "sweep", 0, 0, label="long" * 1000, name="run")
    page = pages.show(tmp_path / "sweep", fragment="#curves?table=bbox/AP", viewport=NARROW)
    card(page, "bbox/AP").locator("table").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
