"""The Answer tab in a real browser: every number is that of `runner compare --format json`, and each state of a sweep says what it is."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.browser import NARROW, WIDE, Pages
from support.finished import make_run

from runner.results.comparison import Comparison
from runner.results.format import show_delta, show_duration, show_interval, show_seeds, show_summary
from runner.sweep.session_results import read_report

RATES = (0.002, 0.004, 0.001)


def make_sweep(folder: Path, values: Sequence[Sequence[float | None]], seconds: Sequence[float] = (60.0, 130.0, 60.0, 60.0)) -> Path:
    """Trials with these values of ``bbox/AP`` by seed; None: the run waits."""
    for trial, seeds in enumerate(values):
        overrides = {"LearningRate.base_lr": RATES[trial]} if trial else {}
        for seed, ap in enumerate(seeds):
            make_run(
                folder,
                trial,
                seed,
                label=f"lr={RATES[trial]}" if trial else "baseline",
                ap=ap,
                base_lr=RATES[trial],
                overrides=overrides,
                state="done" if ap is not None else "pending",
                seconds=seconds[trial],
            )
    return folder


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """One trial that is better, one that is open."""
    return make_sweep(tmp_path / "sweep", [(0.400, 0.409, 0.391), (0.500, 0.512, 0.495), (0.392, 0.431, 0.405)])


def comparison(folder: Path) -> Comparison:
    """The comparison as the command computes it."""
    found = read_report([folder])
    assert isinstance(found, Comparison)
    return found


def test_every_number_is_that_of_the_command(pages: Pages, sweep: Path) -> None:
    found = comparison(sweep)
    page = pages.show(sweep)
    page.locator(".forest").wait_for()
    rows = page.locator(".forest tr.row")
    assert rows.count() == 3
    words = {"better": "▲ better", "worse": "▼ worse", "cannot tell": "○ cannot tell", None: "baseline"}
    for index, trial in enumerate(found.trials):
        effect = trial.effects.get(found.metric)
        cells = {name: rows.nth(index).locator(f".{name}").first for name in ("delta", "verdict", "mean", "n", "time", "memory")}
        assert cells["delta"].locator(".main").text_content() == show_delta(effect)
        assert cells["delta"].locator(".sub").text_content() == show_interval(effect)
        assert cells["verdict"].locator(".main").text_content() == words[trial.verdict]
        assert (cells["verdict"].locator(".sub").all_text_contents() or [""])[0] == show_seeds(trial)
        assert cells["mean"].text_content() == show_summary(trial.metrics[found.metric])
        assert cells["n"].text_content() == str(len(trial.counted))
        assert cells["time"].text_content() == show_duration(trial.time_s.mean)
        assert cells["memory"].text_content() == f"{trial.memory_gib.mean:.1f} GiB"
    assert found.noise is not None
    assert page.locator(".noise .figure").text_content() == f"± {found.noise.spread:.3f}"
    assert page.locator(".noise td").all_text_contents() == [f"{value:.3f}" for value in found.noise.smallest.values()]


def test_the_page_has_the_report_that_the_command_prints(pages: Pages, sweep: Path) -> None:
    """The part's JSON, with the paths of runs in the place of their ids."""
    page = pages.show(sweep)
    answer = page.evaluate('fetch("api/report").then((response) => response.json())')
    runs = page.evaluate('fetch("api/trials").then((response) => response.json())')["runs"]
    paths = {run["id"]: str(sweep / "runs" / run["name"]) for run in runs}

    def with_paths(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: with_paths(item) for key, item in value.items()}
        if isinstance(value, list):
            return [with_paths(item) for item in value]
        return paths.get(value, value) if isinstance(value, str) else value

    printed = json.loads(json.dumps(comparison(sweep).data()))
    shown = with_paths(answer["report"])
    for key in ("metric", "goal", "varied", "trials", "noise", "uncounted"):
        assert shown[key] == printed[key]


def test_the_sentences_are_those_of_the_command(pages: Pages, sweep: Path) -> None:
    from playwright.sync_api import expect

    first, *rest = (note for note in comparison(sweep).answer if note.id != "command")
    page = pages.show(sweep)
    expect(page.locator(".sentences .lead")).to_have_text(first.text)
    for sentence in rest:
        expect(page.locator(".sentences")).to_contain_text(sentence.text.replace("`", ""))


def test_the_picture_says_the_same(pages: Pages, sweep: Path) -> None:
    """Dots and whiskers are where the numbers are, on one scale."""
    found = comparison(sweep)
    page = pages.show(sweep)
    page.locator(".forest").wait_for()
    drawn = page.evaluate(
        """() => [...document.querySelectorAll(".forest tr.row")].map((row) => ({
          dot: parseFloat(row.querySelector(".dot").getAttribute("cx")),
          zero: parseFloat(row.querySelector(".zero").getAttribute("x1")),
          low: parseFloat(row.querySelector("line.whisker")?.getAttribute("x1")),
          high: parseFloat(row.querySelector("line.whisker")?.getAttribute("x2")),
          seeds: row.querySelectorAll(".seed").length,
        }))"""
    )
    effects = [trial.effects[found.metric] for trial in found.trials[1:]]
    scale = (drawn[1]["dot"] - drawn[1]["zero"]) / effects[0].delta
    assert drawn[0]["dot"] == drawn[0]["zero"]
    for row, effect in zip(drawn[1:], effects, strict=True):
        for name, value in (("dot", effect.delta), ("low", effect.low), ("high", effect.high)):
            assert row[name] == pytest.approx(row["zero"] + scale * value, abs=0.1)
    assert [row["seeds"] for row in drawn] == [3, 3, 3]
    assert drawn[2]["low"] < drawn[2]["zero"] < drawn[2]["high"]


def test_verdicts_are_provisional_while_seeds_are_missing(pages: Pages, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    sweep = make_sweep(tmp_path / "sweep", [(0.400, 0.401, 0.402), (0.500, 0.501, None)])
    page = pages.show(sweep)
    expect(page.locator(".badge")).to_contain_text("provisional: 5 of 6 runs")
    row = page.locator(".forest tr.row").nth(1)
    expect(row.locator(".verdict")).to_contain_text("provisional: 5 of 6 runs")
    expect(row.locator(".delta .main")).to_have_text("+0.099")
    grey = page.evaluate("getComputedStyle(document.querySelector('.notes h2 + ul li')).color")
    expect(row.locator(".verdict .main")).to_have_css("color", grey)
    expect(page.locator(".progress")).to_contain_text("1 run waits")


@pytest.mark.parametrize(("locale", "said"), [("en", "bbox/AP 0.250 so far"), ("zh-CN", "目前 bbox/AP 0.250")])
def test_the_newest_value_of_a_run_under_way_is_called_so(pages: Pages, tmp_path: Path, locale: str, said: str) -> None:
    from playwright.sync_api import expect

    make_run(tmp_path / "s", 0, 0)
    run = make_run(tmp_path / "s", 0, 1, state="running", step=150, evaluations=[(100, 0.25)])
    run.write_status(replace(run.status(), heartbeat=time.time(), host="another-machine", phase="training"))
    page = pages.show(tmp_path / "s", locale=locale)
    expect(page.locator(".progress li")).to_contain_text(said)
    expect(page.locator(".progress")).not_to_contain_text("*")


def test_a_single_seed_has_no_verdict_and_no_interval(pages: Pages, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    page = pages.show(make_sweep(tmp_path / "sweep", [(0.4,), (0.5,)]))
    row = page.locator(".forest tr.row").nth(1)
    expect(row.locator(".verdict")).to_have_text("– no verdictone seed")
    expect(row.locator(".delta .main")).to_have_text("+0.100")
    expect(row.locator(".whisker")).to_have_count(0)
    expect(page.locator(".noise")).to_have_count(0)
    expect(page.locator(".lead")).to_contain_text("Nothing is shown with a single seed per trial")


def test_nothing_has_finished(pages: Pages, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    page = pages.show(make_sweep(tmp_path / "sweep", [(None, None), (None, None)]))
    expect(page.locator(".panel")).to_contain_text("A verdict needs two seeds on each side.")
    expect(page.locator(".progress")).to_contain_text("4 runs wait")
    expect(page.locator(".forest")).to_have_count(0)


def test_a_trial_stands_in_where_no_baseline_was_run(pages: Pages, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    for trial in (1, 2):
        for seed in range(3):
            rate = 0.001 * trial
            label = f"lr={rate}"
            make_run(
                tmp_path / "sweep", trial, seed, label=label, ap=0.4 + seed / 50, base_lr=rate, overrides={"LearningRate.base_lr": rate}
            )
    page = pages.show(tmp_path / "sweep")
    expect(page.locator(".sentences")).to_contain_text("No baseline was run: lr=0.001 stands in for it.")


def test_runs_that_are_not_counted_have_their_reason(pages: Pages, sweep: Path) -> None:
    from playwright.sync_api import expect

    make_run(sweep, 1, 3, label="lr=0.004", base_lr=0.004, state="failed", reason="CUDA error: out of memory")
    page = pages.show(sweep)
    expect(page.locator(".uncounted h2")).to_have_text("1 run is not counted")
    expect(page.locator(".uncounted")).to_contain_text("0001-lr=0.004-s3")
    expect(page.locator(".uncounted")).to_contain_text("failed: CUDA error: out of memory")


def test_english_and_chinese_say_the_same_verdict(pages: Pages, sweep: Path) -> None:
    from playwright.sync_api import expect

    page = pages.show(sweep, fragment="#answer?lang=zh")
    rows = page.locator(".forest tr.row")
    expect(rows.nth(1).locator(".verdict .main")).to_have_text("▲ 更好")
    expect(rows.nth(2).locator(".verdict .main")).to_have_text("○ 无法判断")
    effect = comparison(sweep).trials[1].effects["bbox/AP"]
    expect(page.locator(".lead")).to_contain_text(show_delta(effect))
    expect(page.locator(".lead")).to_contain_text("更好")


def test_a_picked_metric_and_baseline_recompute_the_comparison(pages: Pages, sweep: Path) -> None:
    from playwright.sync_api import expect

    found = read_report([sweep], "bbox/AP50", against=1)
    assert isinstance(found, Comparison)
    page = pages.show(sweep)
    page.get_by_label("Metric", exact=True).select_option("bbox/AP50")
    page.get_by_label("Baseline", exact=True).select_option("t1")
    expect(page.locator(".forest h2")).to_have_text("Differences in bbox/AP50")
    rows = page.locator(".forest tr.row")
    expect(rows.first.locator(".verdict .main")).to_have_text("reference")
    expect(page.locator(".forest thead")).to_contain_text(f"difference to {found.trials[0].label}")
    for index, trial in enumerate(found.trials):
        assert rows.nth(index).locator(".name .main").text_content() == f"{trial.number} {trial.label}"
        assert rows.nth(index).locator(".delta .main").text_content() == show_delta(trial.effects.get("bbox/AP50"))
    expect(page.locator(".notice")).to_have_count(0)


def test_a_row_opens_the_curves_of_its_trial_and_pins_it(pages: Pages, sweep: Path) -> None:
    from playwright.sync_api import expect

    page = pages.show(sweep)
    rows = page.locator(".forest tr.row")
    rows.nth(1).locator(".mean").click()
    expect(page.locator(".trial-detail .curve-card[data-tag='bbox/AP'] .u-over")).to_be_visible()
    assert page.url.endswith("#answer?detail=t1&pin=t1")
    expect(page.locator(".trial-detail .curve-card[data-tag='train/loss'] .readout-rows li")).to_have_count(2)
    expect(page.locator(".trial-detail")).to_contain_text("0 baseline")
    expect(page.get_by_role("link", name="All of their curves")).to_have_attribute("href", "#curves?detail=t1&pin=t1")
    page.reload()
    expect(page.locator(".trial-detail .u-over")).to_have_count(2)
    name = page.get_by_role("button", name="2 lr=0.001", exact=True)
    name.focus()
    page.keyboard.press("Enter")
    expect(name).to_have_attribute("aria-expanded", "true")
    expect(name).to_be_focused()
    expect(page.locator(".trial-detail")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator(".trial-detail")).to_have_count(0)
    assert page.url.endswith("#answer?pin=t1,t2")
    rows.first.locator(".mean").click()
    page.get_by_role("link", name="1", exact=True).click()
    expect(page.get_by_role("heading", name="0000-baseline-s1")).to_be_visible()


def test_a_trial_in_detail_has_the_classes_and_images_that_changed_most(pages: Pages, sweep: Path) -> None:
    from playwright.sync_api import expect

    pages.forgive("400|404")  # there is no such image
    page = pages.open("about:blank")
    page.route(re.compile("/api/overview"), lambda route: route.fulfill(json={**route.fetch().json(), "detection": True}))
    classes = [{"name": f"class {at}", "effect": {"delta": (at - 4) / 100, "low": -0.01, "high": 0.02}} for at in range(8)]
    page.route(re.compile("/api/evaluation"), lambda route: route.fulfill(json={"classes": [*classes, {"name": "empty", "effect": None}]}))
    side = {"overlap": [[900, 900]] * 3, "confused": [[0, 0]] * 3, "confused_as": [[-1, -1]] * 3, "box": [None, None]}
    truth = {"image": [0, 1], "label": [0, 0], "size": [0, 0], "box": [[0, 0, 1, 1]] * 2}
    found = {"a": {**side, "found": [[0, 900]] * 3}, "b": {**side, "found": [[900, 0]] * 2 + [[900, 900]]}}
    images = [["g0-1", "one.png", 8, 8], ["g0-2", "two.png", 8, 8]]
    alarms = {"image": [], "label": [], "size": [], "box": [], "score": [[]] * 6, "floor": 0}
    gallery = {
        "reason": "",
        "score": 0.3,
        "moved": 0.1,
        "alarm_weight": 0.5,
        "images": images,
        "truth": {**truth, **found},
        "alarms": alarms,
    }
    page.route(re.compile("/api/gallery"), lambda route: route.fulfill(json=gallery))
    page.goto(f"{pages.serve(sweep)}#answer?detail=t1")
    rows = page.locator(".detail-classes li")
    expect(rows).to_have_count(5)
    expect(rows.first).to_have_text("class 0−0.040[−0.010, +0.020]")
    pictures = page.locator(".detail-images li")
    expect(pictures).to_have_count(2)
    expect(pictures.first).to_contain_text("1 gained")
    expect(pictures.first.locator("a")).to_have_attribute("href", "#detection?a=t0&b=t1&detail=t1&img=g0-1")
    expect(pictures.nth(1)).to_contain_text("two.png")


def test_what_is_pointed_at_is_emphasised_everywhere(pages: Pages, sweep: Path) -> None:
    from playwright.sync_api import expect

    page = pages.show(sweep, fragment="#answer?pin=t1")
    row = page.locator(".forest tr[data-hover=t1]")
    page.locator(".chip").hover()
    expect(row).to_have_class(re.compile("hovered"))
    row.locator(".mean").hover()
    expect(page.locator(".chip")).to_have_class(re.compile("hovered"))
    page.locator(".cost circle[data-hover=t2]").hover()
    expect(page.locator(".forest tr[data-hover=t2]")).to_have_class(re.compile("hovered"))
    expect(row).not_to_have_class(re.compile("hovered"))
    page.locator("h1").hover()
    expect(page.locator(".hovered")).to_have_count(0)


@pytest.mark.parametrize("locale", ["en", "zh-CN"])
@pytest.mark.parametrize("value", ["x`", "`x`=1", "{{7*7}}${alert(1)}'\"`<!--", "`"])
def test_marks_in_a_value_are_text(pages: Pages, tmp_path: Path, value: str, locale: str) -> None:
    from playwright.sync_api import expect

    written: Any = json.dumps(value)
    for seed in range(3):
        make_run(tmp_path / "s", 0, seed, ap=0.40 + seed / 100)
        make_run(tmp_path / "s", 1, seed, label="x", ap=0.60 + seed / 100, overrides={"LearningRate.base_lr": value}, base_lr=written)
    page = pages.show(tmp_path / "s", locale=locale)
    expect(page.locator(".sentences .lead")).to_contain_text(f"base_lr {value}")
    baseline = "the baseline (base_lr 0.002)" if locale == "en" else "基线（base_lr 0.002）"
    expect(page.locator(".sentences .lead")).to_contain_text(baseline)
    expect(page.locator(".sentences p").filter(has_text=f"base_lr {value}")).to_have_count(2)
    expect(page.locator(".sentences p code")).to_have_count(0)


@pytest.mark.parametrize("locale", ["en", "zh-CN"])
def test_marks_of_a_sentence_itself_are_code(pages: Pages, tmp_path: Path, locale: str) -> None:
    from playwright.sync_api import expect

    make_run(tmp_path / "s", 0, 0)
    page = pages.show(tmp_path / "s", locale=locale)
    expect(page.locator(".sentences p code")).to_have_text("runner sweep")


@pytest.mark.parametrize("locale", ["en", "zh-CN"])
def test_trials_of_several_sweeps_are_told_apart(pages: Pages, tmp_path: Path, locale: str) -> None:
    from playwright.sync_api import expect

    for sweep, base, rate, ap in (("live", 8, 0.004, 0.3), ("grid", 16, 0.001, 0.6)):
        for seed in range(3):
            make_run(tmp_path / sweep, 0, seed, ap=0.4 + seed / 100, batch_size=base)
            override = {"LearningRate.base_lr": rate}
            make_run(tmp_path / sweep, 1, seed, ap=ap + seed / 100, label=f"lr={rate}", base_lr=rate, batch_size=base, overrides=override)
    page = pages.show(tmp_path / "live", tmp_path / "grid", locale=locale)
    page.locator(".forest").wait_for()
    names = ["0 live · baseline", "1 live · lr=0.004", "0 grid · baseline", "1 grid · lr=0.001"]
    assert sorted(page.locator(".forest tr.row button.main").all_inner_texts()) == sorted(names)
    options = page.locator("select").filter(has=page.locator("option", has_text="grid")).first.locator("option").all_inner_texts()
    assert sorted(options) == sorted(names)
    english = "Trial 1 (grid · lr=0.001) is better than the baseline (live)"
    winner = english if locale == "en" else "试验组 1（grid · lr=0.001）在 bbox/AP 上比基线（live）更好"
    expect(page.locator(".sentences .lead")).to_contain_text(winner)


@pytest.mark.parametrize("viewport", [WIDE, NARROW])
def test_warnings_are_folded_to_a_line(pages: Pages, tmp_path: Path, viewport: dict[str, int]) -> None:
    from playwright.sync_api import expect

    sweep = make_sweep(tmp_path / "s", [(0.40, 0.41), (0.50, 0.51)])
    (sweep / "runs" / "0001-lr=0.004-s1" / "override.json").write_bytes(b"{")
    page = pages.show(sweep, viewport=viewport)
    warnings = page.locator(".warnings")
    expect(warnings.locator("summary")).to_contain_text(re.compile(r"\d warnings?"))
    expect(warnings.locator("li").first).to_be_hidden()
    assert warnings.bounding_box()["height"] < 60
    warnings.locator("summary").click()
    expect(warnings.locator("li").first).to_be_visible()
    page.locator("#filter").evaluate("field => { field.value = '0.004'; field.dispatchEvent(new Event('input')); }")
    expect(page.locator(".forest tr.row")).to_have_count(1 + 1)
    expect(warnings.locator("li").first).to_be_visible()


def test_a_comparison_that_cannot_be_made_says_why_and_the_own_one_stays(pages: Pages, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    pages.forgive("400")
    for sweep in ("one", "other"):
        for seed in range(2):
            make_run(tmp_path / sweep, 0, seed, ap=0.4 + seed / 50, base_lr=0.001 if sweep == "one" else 0.002)
    page = pages.show(tmp_path / "one", tmp_path / "other", fragment="#answer?base=t1")
    expect(page.locator(".notice")).to_contain_text("several trials have this number")
    expect(page.locator(".forest tr.row").first).to_contain_text("baseline")


def test_a_phone_shows_each_trial_as_a_block_without_moving_sideways(pages: Pages, sweep: Path) -> None:
    page = pages.show(sweep, viewport=NARROW)
    page.locator(".forest").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == 400
    boxes = page.evaluate("[...document.querySelectorAll('.forest td.plot svg')].map((svg) => svg.getBoundingClientRect().width)")
    assert all(width > 300 for width in boxes)
    assert page.get_by_role("row").count() >= 4  # a table for screen readers all the same
