"""The tab Run in a browser: what it shows of a run, its controls, hostile files, a narrow screen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.browser import LOOKS, NARROW, Pages, axe_problems
from support.finished import START, make_run
from support.run_dirs import png_bytes

from runner.store.events import RunEnded, RunRetried, RunStarted, event_to_json
from runner.store.media import MediaWriter
from runner.store.records import Record, RecordWriter
from runner.store.run_dir import RunDir, Status

if TYPE_CHECKING:
    from playwright.sync_api import Page

NAME = "0001-batch_size=16-s0"
HOSTILE = '<img src=x onerror="window.pwn=1"></script><script>window.pwn=1</script>'


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A baseline and a trial whose first run was killed once, has samples of two steps and other packages than the baseline's."""
    sweep = tmp_path_factory.mktemp("runs") / "batchsize"
    make_run(sweep, 0, 0, facts={"packages": {"torch": "2.1"}})
    for seed in (0, 1):
        make_run(
            sweep, 1, seed, label="batch_size=16", batch_size=16, overrides={"TrainReader.batch_size": 16},
            facts={"packages": {"torch": "2.2"}},
        )  # fmt: skip
    (sweep / "sweep.yml").write_text("config: c.yml\nvary:\n  TrainReader.batch_size: [16]\n")
    run = RunDir(sweep / "runs" / NAME)
    run.metrics.unlink()
    writer = RecordWriter(run.metrics)
    for record in (
        Record(1, 0, 0.0, START, resumed=True), Record(1, 120, 0.0, START + 9, {"train/loss": 1.0}),
        Record(2, 100, 0.0, START + 20, resumed=True), Record(2, 300, 0.0, START + 60, {"train/loss": 0.5}),
    ):  # fmt: skip
        writer.write(record)
    writer.close()
    run.write_status(Status("done", None, 2, 300, 300, 6.0, START + 61, values={"train/loss": 0.5}, phase="ended"))
    events = [
        RunStarted(NAME, 1, 0, "k", 1, time=START),
        RunRetried(NAME, 1, "killed by SIGKILL", time=START + 10),
        RunStarted(NAME, 1, 0, "k", 2, time=START + 20),
        RunEnded(NAME, 1, 0, "k", "done", time=START + 61),
    ]
    (sweep / "journal.jsonl").write_text("".join(json.dumps(event_to_json(event)) + "\n" for event in events))
    media = MediaWriter(run.path)
    for step in (100, 200):
        media.add("image", "samples/0", png_bytes(32, 32, step), suffix=".png", step=step)
    media.close()
    run.log.write_text("".join(f"line {number} <b>&amp;\n" for number in range(700)))
    return sweep


def shown(page: Page, name: str = NAME) -> Page:
    page.get_by_role("heading", name=name, exact=True).wait_for()
    page.locator(".run-log h2").wait_for()
    return page


def open_run(pages: Pages, sweep: Path, fragment: str = "#run?id=r1", **options: Any) -> Page:
    return shown(pages.show(sweep, fragment=fragment, **options))


def test_state_attempts_config_and_environment_are_those_of_the_run(sweep: Path, pages: Pages) -> None:
    page = open_run(pages, sweep)
    attempts = page.locator(".attempts li").all_inner_texts()
    assert "Attempt 1: started" in attempts[0] and "Ended at step 120" in attempts[0] and "killed by SIGKILL" in attempts[0]
    assert "Attempt 2: resumed from step 100" in attempts[1] and "Done at step 300" in attempts[1]
    assert page.locator(".run-config tbody tr").all_inner_texts() == ["TrainReader.batch_size\t16\t8\tsweep.yml:3"]
    assert page.locator(".run-environment .scroller").first.locator("tbody tr").all_inner_texts() == ["packages.torch\t2.2\t2.1"]
    assert page.locator(".run-head dd").last.inner_text() == "0.5"


def test_the_whole_config_is_shown_and_searched_by_keyboard(sweep: Path, pages: Pages) -> None:
    from playwright.sync_api import expect

    page = open_run(pages, sweep)
    page.get_by_role("button", name="Whole config").press("Enter")
    rows = page.locator(".run-config tbody tr")
    expect(rows).not_to_have_count(1)
    page.keyboard.press("Tab")
    page.keyboard.type("base_lr")
    expect(rows).to_have_count(1)
    assert rows.inner_text() == "LearningRate.base_lr\t0.002\t0.002\tconfig.yml:11"
    page.keyboard.type("xyz")
    expect(page.locator(".run-config .muted")).to_have_text("No key or value contains base_lrxyz")
    page.reload()
    shown(page)
    expect(rows).not_to_have_count(1)  # the address keeps it
    page.get_by_role("button", name="Only what differs").click()
    expect(rows).to_have_count(1)


def test_seeds_are_links_and_the_baseline_has_nothing_to_differ_from(sweep: Path, pages: Pages) -> None:
    from playwright.sync_api import expect

    page = open_run(pages, sweep)
    page.locator(".seeds a").nth(1).press("Enter")
    shown(page, "0001-batch_size=16-s1")
    page.go_back()
    shown(page)
    page.evaluate("location.hash = '#run?id=r0'")
    shown(page, "0000-baseline-s0")
    expect(page.locator(".run-config .muted")).to_have_text("This run belongs to the baseline: there is nothing to compare it with.")


def test_another_baseline_changes_the_difference(sweep: Path, pages: Pages) -> None:
    from playwright.sync_api import expect

    page = shown(pages.show(sweep, fragment="#run?id=r0&base=t1"), "0000-baseline-s0")
    expect(page.locator(".run-config tbody tr")).to_have_text(["TrainReader.batch_size816config.yml:6"])


def test_samples_are_chosen_by_a_slider(sweep: Path, pages: Pages) -> None:
    from playwright.sync_api import expect

    page = open_run(pages, sweep)
    picture = page.locator(".samples img")
    expect(picture).to_have_attribute("alt", "Sample samples/0 at step 200")
    assert picture.evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 32
    page.get_by_role("slider").press("ArrowLeft")
    expect(picture).to_have_attribute("alt", "Sample samples/0 at step 100")
    assert "/" not in str(picture.get_attribute("src")).partition("?")[2]


def test_the_log_shows_its_end_as_text(sweep: Path, pages: Pages) -> None:
    from playwright.sync_api import expect

    page = open_run(pages, sweep)
    log = page.locator("pre.log")
    expect(log).to_contain_text("line 699")
    lines = log.inner_text().splitlines()
    assert (len(lines), lines[-1]) == (500, "line 699 <b>&amp;")
    assert page.locator(".run-log .small").inner_text().startswith("The last 500 lines of")
    assert log.evaluate("(element) => element.scrollTop + element.clientHeight >= element.scrollHeight - 8")


def test_commands_are_copied_and_files_listed(sweep: Path, pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    from playwright.sync_api import expect

    monkeypatch.chdir(sweep.parent)  # elsewhere the command's path is not shown, and so not copied
    page = open_run(pages, sweep, permissions=["clipboard-read", "clipboard-write"])
    page.locator(".run-commands").get_by_role("button").nth(1).press("Enter")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == f"runner eval batchsize/runs/{NAME} --pictures pictures"
    page.locator(".run-files summary").press("Enter")
    expect(page.locator(".run-files tbody")).to_contain_text("config.yml")


def test_an_unknown_run_says_so_in_the_tab(sweep: Path, pages: Pages) -> None:
    from playwright.sync_api import expect

    pages.forgive("400")
    page = pages.show(sweep, fragment="#run?id=r99")
    expect(page.locator("#panel")).to_contain_text("no run 'r99'")


def test_hostile_content_stays_text_and_nothing_grows_too_wide(tmp_path: Path, pages: Pages) -> None:
    sweep = tmp_path / "hostile"
    make_run(sweep, 0, 0)
    run = make_run(
        sweep, 1, 0, label="x", state="failed", reason=f"{HOSTILE}\n{'y' * 5000}", ap=None, overrides={"x": HOSTILE},
        facts={"packages": {HOSTILE: HOSTILE}, "gpus": [HOSTILE]},
    )  # fmt: skip
    with run.config.open("a") as config:
        config.write(f"{json.dumps(HOSTILE)}: {json.dumps('z' * 5000)}\n__proto__: {{constructor: 1}}\n")
    run.log.write_text(f"{HOSTILE}\n{'w' * 5000}\n\x1b]8;;javascript:alert(1)\x07link\n")
    (run.path / HOSTILE.replace("/", "_")).write_text("")
    media = MediaWriter(run.path)
    media.add("image", HOSTILE, b'<svg xmlns="http://www.w3.org/2000/svg" onload="window.pwn=1"/>', suffix=".png", step=1)
    media.close()
    pages.forgive("400")  # the picture
    for options in ({}, {"viewport": NARROW}):
        page = shown(pages.show(sweep, fragment="#run?id=r1&whole=1", **options), run.name)
        page.locator("pre.log").wait_for()
        page.locator(".run-samples").scroll_into_view_if_needed()
        page.get_by_text("This image is not here.").wait_for()
        text = page.locator("main").inner_text()
        assert text.count(HOSTILE) >= 5 and "__proto__.constructor" in text
        assert page.evaluate("[window.pwn === undefined, document.documentElement.scrollWidth <= innerWidth]") == [True, True]


@pytest.mark.parametrize("options", LOOKS, ids=str)
def test_the_tab_is_accessible(sweep: Path, pages: Pages, options: dict[str, Any]) -> None:
    page = open_run(pages, sweep, "#run?id=r1&whole=1", **options)
    page.locator("pre.log").wait_for()
    for summary in page.locator(".run-view summary").all():
        summary.click()
    assert axe_problems(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
