"""The tab Trials in a browser: every control by mouse and by keyboard, exports read again, hostile names, 5,000 rows."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.browser import LOOKS, NARROW, Pages, axe_problems
from support.finished import make_run

from runner.results.collect import RunResult
from runner.store.run_dir import PrimaryMetric, RunDir, Status
from runner.views.page.data import Ids, PageView, SnapshotData

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

HOSTILE = '<img src=x onerror="window.pwn=1"></script><script>window.pwn=1</script>'
FORMULA = '=HYPERLINK("http://x","y")'


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three trials of three seeds, one of which gets better, a failed one and one that still runs."""
    sweep = tmp_path_factory.mktemp("runs") / "batchsize"
    for seed, ap in enumerate((0.30, 0.31, 0.32)):
        make_run(sweep, 0, seed, ap=ap, seconds=60)
        make_run(sweep, 1, seed, label="batch_size=16", ap=ap + 0.1, seconds=120, batch_size=16, overrides={"TrainReader.batch_size": 16})
        make_run(sweep, 2, seed, label="lr=0.01", ap=ap - 0.005, seconds=90, base_lr=0.01, overrides={"LearningRate.base_lr": 0.01})
    for seed in (0, 1):
        make_run(
            sweep, 3, seed, label="batch_size=64", state="failed", reason=f"out of memory: {seed + 3} GiB\nallocated", ap=None, step=20,
            batch_size=64, overrides={"TrainReader.batch_size": 64},
        )  # fmt: skip
    return sweep


def rows(page: Page) -> list[str]:
    """The names in the rows that are shown, from top to bottom."""
    return page.locator(".windowed tbody tr:not([hidden])[data-id] .name").all_inner_texts()


def cells(page: Page, name: str) -> list[str]:
    return row(page, name).locator("td").all_inner_texts()


def row(page: Page, name: str) -> Locator:
    return page.locator(".windowed tr[data-id]:not([hidden])").filter(has_text=name).first


def table(page: Page) -> Locator:
    from playwright.sync_api import expect

    found = page.get_by_role("treegrid")
    expect(found).to_be_visible()
    expect(page.locator(".verdict").first).to_be_visible()
    return found


def fragment(page: Page) -> str:
    return page.url.partition("#")[2]


NAMES = ["0 baseline", "1 batch_size=16", "2 lr=0.01", "3 batch_size=64"]


# --------------------------------------------------------------------------------------------------------- what is shown
def test_a_row_is_a_trial_with_what_differs_its_numbers_and_its_verdict(sweep: Path, pages: Pages) -> None:
    page = pages.show(sweep, fragment="#trials")
    assert table(page).get_attribute("aria-rowcount") == "5"
    assert rows(page) == NAMES
    heads = page.locator(".windowed th .title").all_inner_texts()
    assert heads == ["Trial", "batch_size", "base_lr", "n", "bbox/AP", "Δ to the baseline", "Time", "State"]
    _, _, batch, rate, n, metric, delta, seconds, state = cells(page, "1 batch_size=16")
    assert (batch, rate, n, metric, seconds, state) == ("16", "0.002", "3", "0.410 ± 0.010", "2:00", "done")
    assert re.fullmatch(r"\+0\.100 \[\+0\.\d{3}, \+0\.\d{3}\] ▲ better", delta)
    assert cells(page, "2 lr=0.01")[6].startswith("−0.005 [") and "○ cannot tell" in cells(page, "2 lr=0.01")[6]
    assert cells(page, "3 batch_size=64")[4:7] == ["0 of 2", "–", "–"]


def test_failures_are_grouped_by_cause_with_their_first_line_and_the_command(sweep: Path, pages: Pages) -> None:
    from playwright.sync_api import expect

    page = pages.show(sweep, fragment="#trials")
    summary = page.locator(".failures summary")
    expect(summary).to_have_text("2 × failed: out of memory: 3 GiB")
    summary.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".failures code").first).to_contain_text("runner retry")
    expect(page.locator(".failures pre.reason")).to_have_text("out of memory: 3 GiB\nallocated")
    page.locator(".failures").get_by_role("link", name="0003-batch_size=64-s1").click()
    expect(page.get_by_role("heading", name="0003-batch_size=64-s1")).to_be_visible()


def test_what_is_damaged_is_marked_with_the_command_and_sweeps_are_groups(tmp_path: Path, pages: Pages) -> None:
    from playwright.sync_api import expect

    for name in ("one", "other"):
        for seed in (0, 1):
            make_run(tmp_path / name / "lr", 0, seed, batch_size=8 if name == "one" else 16)
            overrides = {"LearningRate.base_lr": 0.01}
            make_run(tmp_path / name / "lr", 1, seed, label="lr=0.01", base_lr=0.01, overrides=overrides)
    runs = tmp_path / "one" / "lr" / "runs"
    (runs / "0001-lr=0.01-s1" / "eval.json").unlink()
    (runs / "0001-lr=0.01-s0" / "run.json").write_text("{")
    page = pages.show(tmp_path / "one" / "lr", tmp_path / "other" / "lr", fragment="#trials?g=sweep")
    table(page)
    expect(page.locator(".windowed tr.group .name")).to_have_text(["sweep = one/lr", "sweep = other/lr", "Others: no sweep"])
    assert page.get_by_label("Group by").locator("option").all_inner_texts() == ["trial", "base_lr", "batch_size", "sweep"]
    said = ["1 × with a problem: run.json is damaged", "1 × with a problem: eval.json is missing"]
    assert sorted(page.locator(".failures summary").all_inner_texts()) == sorted(said)
    for name, problem in (("1 one/lr · lr=0.01", "eval.json is missing"), ("0001-lr=0.01-s0", "run.json is damaged")):
        assert f"done: {problem}" in cells(page, name)
        expect(row(page, name).get_by_role("img", name=problem)).to_have_text("⚠")
    page.locator(".failures summary").first.click()
    expect(page.locator(".failures code").first).to_contain_text("runner verify")


def test_sorting_by_mouse_and_keyboard_leaves_trials_without_a_value_last(sweep: Path, pages: Pages) -> None:
    page = pages.show(sweep, fragment="#trials")
    table(page)
    head = page.get_by_role("button", name="bbox/AP")
    head.click()
    assert rows(page) == ["1 batch_size=16", "0 baseline", "2 lr=0.01", "3 batch_size=64"]
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("bbox/AP")
    head.press("Enter")
    assert rows(page) == ["2 lr=0.01", "0 baseline", "1 batch_size=16", "3 batch_size=64"]
    head.press("Enter")
    assert rows(page) == NAMES and "sort" not in fragment(page)
    page.get_by_role("button", name="base_lr").click()
    page.get_by_role("button", name="Time").click(modifiers=["Shift"])
    page.get_by_role("button", name="Time").click(modifiers=["Shift"])
    assert rows(page) == ["3 batch_size=64", "1 batch_size=16", "0 baseline", "2 lr=0.01"] or rows(page)[-1] == "2 lr=0.01"
    assert fragment(page) == "trials?sort=key:LearningRate.base_lr,-time"
    page.reload()
    table(page)
    assert rows(page)[-1] == "2 lr=0.01"


def test_row_keys_move_pin_hide_choose_the_baseline_unfold_and_open(sweep: Path, pages: Pages) -> None:
    from playwright.sync_api import expect

    page = pages.show(sweep, fragment="#trials")
    table(page)
    page.locator(".windowed tr[data-id][tabindex='0']").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press(" ")
    assert fragment(page) == "trials?pin=t1"
    expect(row(page, "1 batch_size=16").get_by_role("button", name="Pin")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press(" ")
    page.keyboard.press("ArrowRight")
    expect(row(page, "1 batch_size=16")).to_have_attribute("aria-expanded", "true")
    assert rows(page)[2:5] == [f"0001-batch_size=16-s{seed}" for seed in range(3)]
    assert cells(page, "0001-batch_size=16-s1")[4:6] == ["seed 1", "0.410"]
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowLeft")  # to the trial
    page.keyboard.press("ArrowLeft")
    expect(row(page, "1 batch_size=16")).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("b")
    assert fragment(page) == "trials?base=t1"
    expect(page.locator(".windowed th .title").nth(5)).to_have_text("Δ to 1 batch_size=16")
    page.keyboard.press("b")
    page.keyboard.press("h")
    assert rows(page) == [NAMES[0], *NAMES[2:]] and fragment(page) == "trials?hide=t1"
    assert page.evaluate("document.activeElement.dataset.id") == "t2"  # the next one
    page.keyboard.press("End")
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="0000-baseline-s0")).to_be_visible()
    page.go_back()
    table(page)


def test_the_focus_stays_in_the_panel_when_a_run_is_opened_and_left(sweep: Path, pages: Pages) -> None:
    from playwright.sync_api import expect

    page = pages.show(sweep, fragment="#trials")
    table(page)
    row(page, "lr=0.01").focus()
    page.keyboard.press("Enter")
    page.locator(".run-view").wait_for()
    expect(page.locator("#panel")).to_be_focused()
    page.go_back()
    expect(row(page, "lr=0.01")).to_be_focused()
    row(page, "baseline").locator(".fold").click()
    page.locator(".windowed a.run").first.click()
    page.locator(".run-view").wait_for()
    page.go_back()
    expect(row(page, "0000-baseline-s0")).to_be_focused()


def test_a_trial_is_pinned_or_hidden(sweep: Path, pages: Pages) -> None:
    from playwright.sync_api import expect

    page = pages.show(sweep, fragment="#trials?pin=t2")
    table(page)
    row(page, "lr=0.01").focus()
    page.keyboard.press("h")
    expect(page.locator(".chip.hide")).to_have_count(1)
    expect(page.locator(".chip.pin")).to_have_count(0)
    assert fragment(page) == "trials?hide=t2"


def test_the_same_by_mouse(sweep: Path, pages: Pages) -> None:
    from playwright.sync_api import expect

    page = pages.show(sweep, fragment="#trials")
    table(page)
    row(page, "2 lr=0.01").get_by_role("button", name="Pin").click()
    assert fragment(page) == "trials?pin=t2"
    row(page, "2 lr=0.01").get_by_role("button", name="Unfold").click()
    page.get_by_role("link", name="0002-lr=0.01-s2").click()
    expect(page.get_by_role("heading", name="0002-lr=0.01-s2")).to_be_visible()


def test_columns_are_chosen_searched_and_moved(sweep: Path, pages: Pages) -> None:
    page = pages.show(sweep, fragment="#trials")
    table(page)
    page.locator(".picker summary").press("Enter")
    page.get_by_label("Search columns").fill("AP50")
    page.get_by_role("checkbox", name="bbox/AP50").check()
    assert page.locator(".windowed th .title").all_inner_texts()[-1] == "bbox/AP50"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.closest('.picker') !== null")
    head = page.locator(".windowed th button").filter(has_text="bbox/AP50")
    head.focus()
    page.keyboard.press("Alt+ArrowLeft")
    assert page.locator(".windowed th .title").all_inner_texts()[-2:] == ["bbox/AP50", "State"]
    assert page.evaluate("document.activeElement.innerText").startswith("bbox/AP50")
    head.drag_to(page.locator(".windowed th").filter(has_text="batch_size"))
    assert page.locator(".windowed th .title").all_inner_texts()[1] == "bbox/AP50"
    page.reload()
    table(page)
    assert page.locator(".windowed th .title").all_inner_texts()[1] == "bbox/AP50"
    page.locator(".picker summary").click()
    page.get_by_role("button", name="Standard columns").click()
    assert "cols" not in fragment(page)


def test_a_filter_that_nothing_matches_says_so_and_can_be_cleared(sweep: Path, pages: Pages) -> None:
    from playwright.sync_api import expect

    page = pages.show(sweep, fragment="#trials?f=nothing")
    expect(page.locator(".empty p")).to_have_text("No run matches nothing")
    page.get_by_role("button", name="Clear the filter").press("Enter")
    assert rows(page) == NAMES
    page.evaluate("location.hash = '#trials?hide=t0,t1,t2,t3'")
    page.get_by_role("button", name="Show hidden trials").click()
    assert rows(page) == NAMES


def test_trials_are_grouped_by_a_key_and_groups_are_folded(sweep: Path, pages: Pages) -> None:
    page = pages.show(sweep, fragment="#trials?g=TrainReader.batch_size")
    table(page)
    assert [text for text in rows(page) if "=" in text and " = " in text][:2] == ["batch_size = 8", "batch_size = 16"]
    row(page, "batch_size = 8").focus()
    page.keyboard.press("ArrowLeft")
    assert rows(page)[:2] == ["batch_size = 8", "batch_size = 16"]


# --------------------------------------------------------------------------------------------------------------- exports
def saved(page: Page, kind: str) -> str:
    page.locator(".menu > summary", has_text="Export").click()
    with page.expect_download() as download:
        page.locator(".sheet-of-menu").get_by_role("button", name=kind).click()
    return Path(download.value.path()).read_text(encoding="utf-8")


def test_csv_has_every_run_to_the_last_digit(sweep: Path, pages: Pages) -> None:
    page = pages.show(sweep, fragment="#trials?sort=-metric:bbox/AP")
    table(page)
    read = list(csv.DictReader(io.StringIO(saved(page, "CSV"))))
    assert [each["run"] for each in read][:3] == [f"0001-batch_size=16-s{seed}" for seed in range(3)]
    assert len(read) == 11
    expected = {run.result.path.name: run.result for run in SnapshotData([sweep], no_report).runs().values()}
    for each in read:
        result = expected[each["run"]]
        assert each["bbox/AP"] == "" if "bbox/AP" not in result.metrics else float(each["bbox/AP"]) == result.metrics["bbox/AP"]
        assert int(each["seed"]) == result.seed and float(each["time_s"]) == result.time_s
    assert read[0]["TrainReader.batch_size"] == "16"
    assert {each["reason"] for each in read} == {"", "out of memory: 3 GiB\nallocated", "out of memory: 4 GiB\nallocated"}


def test_markdown_latex_and_json_are_what_is_shown(sweep: Path, pages: Pages) -> None:
    page = pages.show(sweep, fragment="#trials?hide=t3")
    table(page)
    lines = saved(page, "Markdown").splitlines()
    assert lines[0] == "| Trial | batch\\_size | base\\_lr | n | bbox/AP | Δ to the baseline | Time | State |"
    assert len(lines) == 5 and all(len(re.findall(r"(?<!\\)\|", line)) == 9 for line in lines)
    latex = saved(page, "LaTeX")
    assert "\\begin{tabular}{lrrrrlrl}" in latex and "1 batch\\_size=16 & 16 & 0.002 & 3 & 0.410 $\\pm$ 0.010" in latex
    assert latex.count("\\\\\n") == 4 and latex.count("rule\n") == 3 and "−" not in latex
    data = json.loads(saved(page, "JSON"))
    assert [trial["id"] for trial in data["trials"]] == ["t0", "t1", "t2"] and len(data["runs"]) == 9
    assert data["report"]["trials"][1]["verdict"] == "better"


# --------------------------------------------------------------------------------------------------------------- hostile
@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sweep = tmp_path_factory.mktemp("hostile") / "sweep"
    make_run(sweep, 0, 0, overrides={})
    labels = [HOSTILE, FORMULA, "x" * 5000, "a\u202eb\u2028c`${1}`\\textbf{x}|&%$#_", "__proto__"]
    for trial, label in enumerate(labels, 1):
        run = make_run(sweep, trial, 0, label="x", name=f"{trial:04d}-x-s0", overrides={"__proto__.constructor": label, "note": label})
        identity = json.loads(run.identity_file.read_text())
        run.identity_file.write_text(json.dumps({**identity, "label": label}))
    make_run(sweep, 9, 0, label="bad", state="failed", reason=HOSTILE, ap=None)
    return sweep


def test_hostile_names_stay_text_and_nothing_grows_too_wide(hostile: Path, pages: Pages) -> None:
    for options in ({}, {"viewport": NARROW}):
        page = pages.show(hostile, fragment="#trials?more=1", **options)
        assert any(HOSTILE in name for name in names_when_there(page))
        assert page.evaluate("[window.pwn === undefined, document.documentElement.scrollWidth <= innerWidth]") == [True, True]
        page.locator(".failures summary").click()
        assert page.locator(".failures summary").inner_text() == f"1 × failed: {HOSTILE}"


def names_when_there(page: Page) -> list[str]:
    page.locator(".windowed tr[data-id] .name").first.wait_for()
    return rows(page)


def test_exports_of_hostile_names_are_harmless(hostile: Path, pages: Pages) -> None:
    page = pages.show(hostile, fragment="#trials")
    names_when_there(page)
    read = list(csv.DictReader(io.StringIO(saved(page, "CSV"))))
    assert {each["label"] for each in read} >= {f"'{FORMULA}", HOSTILE, "__proto__"}
    assert not any(value.startswith(("=", "+", "@", "\t")) for each in read for value in each.values())
    markdown = saved(page, "Markdown")
    assert "\n| 1 \\<img src=x" in markdown and "<script" not in markdown.replace("\\<", "")
    latex = saved(page, "LaTeX")
    assert "\\textbackslash{}textbf\\{x\\}$|$\\&\\%\\$\\#\\_" in latex


# ------------------------------------------------------------------------------------------------------------------ live
def many(number: int) -> PageView:
    """A sweep of many trials that exists in memory only."""
    metric = PrimaryMetric("bbox/AP")
    results = [
        RunResult(
            Path(f"{trial:04d}-lr={trial}-s0"), f"{trial:04d}-lr={trial}-s0", "many", trial, 0,
            {"lr": trial, "size": trial % 7}, f"lr={trial}", "done", None, time_s=float(trial),
            metrics={"bbox/AP": math.sin(trial) / 2 + 0.5, "bbox/AP50": 0.5}, metric=metric,
        )
        for trial in range(number)
    ]  # fmt: skip
    runs, trials = Ids().assign(results)
    return PageView((), "many", 1, metric, runs, trials, None, "none")


def no_report(paths: Any) -> Any:
    from runner.core.errors import InputError

    raise InputError("none")


def test_running_rows_have_a_bar_the_newest_value_and_silence_in_amber(tmp_path: Path, pages: Pages) -> None:
    sweep = tmp_path / "live"
    make_run(sweep, 0, 0)
    for seed, silent in ((0, 5.0), (1, 38.0)):
        run = make_run(sweep, 1, seed, label="x=1", state="running", step=150, evaluations=[(100, 0.25)], overrides={"x": 1})
        beat(run, time.time() - silent)
    page = pages.show(sweep, fragment="#trials?open=t1")
    names_when_there(page)
    shown = page.evaluate(STATES)
    assert any("silent for" in text for text in shown["silent"])
    assert shown["bars"] and all(label.endswith("% done") for label in shown["bars"])
    assert "0.250*" in cells(page, "x=1")
    said = "* newest value of a run that has not finished"
    assert page.locator(".count").first.inner_text().endswith(said)
    page.goto(page.url.replace("#trials?open=t1", "#trials?hide=t1"))
    from playwright.sync_api import expect

    expect(page.locator(".count").first).not_to_contain_text("*")
    page.goto(page.url.replace("hide=t1", "lang=zh"))
    expect(page.locator(".count").first).to_contain_text("* 尚未完成的运行的最新值")


STATES = """(() => ({
  silent: [...document.querySelectorAll(".windowed .silent")].map((each) => each.textContent),
  bars: [...document.querySelectorAll(".windowed .bar")].map((each) => each.getAttribute("aria-label")),
}))()"""


def beat(run: RunDir, at: float) -> None:
    status = json.loads(run.status_file.read_text())
    run.write_status(Status(**{**status, "heartbeat": at, "host": "another-machine", "phase": "training"}))


# ------------------------------------------------------------------------------------------------------ size and surroundings
MEASURE = """async (change) => {
  const frames = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  await frames();
  const start = performance.now();
  location.hash = change;
  await new Promise((done) => addEventListener("hashchange", done, {once: true}));
  await frames();
  return performance.now() - start;
}"""


def test_5000_rows_are_sorted_filtered_and_scrolled_with_44_elements(pages: Pages, capsys: pytest.CaptureFixture[str]) -> None:
    page = pages.show(data=many(5000), fragment="#trials")
    names_when_there(page)
    assert page.get_by_role("treegrid").get_attribute("aria-rowcount") == "5001"
    assert page.locator(".windowed tbody tr[data-id]").count() == 44
    steps = {"sort": "sort=-metric:bbox/AP", "filter": "f=lr=4&sort=-metric:bbox/AP", "all": ""}
    times: Mapping[str, float] = {name: page.evaluate(MEASURE, f"#trials?{query}") for name, query in steps.items()}
    with capsys.disabled():
        print("5,000 rows:", ", ".join(f"{name} {ms:.0f} ms" for name, ms in times.items()))
    assert max(times.values()) < 5000
    page.locator(".windowed tr[data-id][tabindex='0']").focus()
    page.keyboard.press("End")
    assert rows(page)[-1] == "4999 lr=4999"
    assert page.evaluate("[document.activeElement.dataset.id, document.activeElement.ariaRowIndex]") == ["t4999", "5001"]
    page.keyboard.press("PageUp")
    page.keyboard.press("Home")
    assert rows(page)[0] == "0 lr=0"
    page.locator(".scroller").evaluate("(element) => { element.scrollTop = 2500 * 32; }")
    page.locator(".windowed tr[data-id=t2500]").wait_for()


@pytest.mark.parametrize("options", LOOKS, ids=str)
def test_the_tab_is_accessible(sweep: Path, pages: Pages, options: dict[str, Any]) -> None:
    page = pages.show(sweep, fragment="#trials?open=t1&pin=t2", **options)
    table(page)
    page.locator(".failures summary").click()
    page.locator(".failures code").first.wait_for()
    assert axe_problems(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
