"""The tab Detection in a real browser: its numbers, its pickers, what it says of each state."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.browser import NARROW, Pages
from support.detectors import make_detector, make_truth
from support.finished import make_run

from runner.sweep.session_results import read_report
from runner.views.page.data import SnapshotData
from runner.views.page.part import ask

BOXES = {f"{index}.png": [(index % 2, (10.0 + index, 10.0, 20.0, 20.0)), (1, (50.0, 40.0, 16.0, 16.0))] for index in range(8)}


def detections(quality: int, seed: int) -> dict[str, list[Any]]:
    """A detector that finds the boxes of the first `quality` images, and has a false alarm in each."""
    rng = np.random.default_rng(seed)
    found: dict[str, list[Any]] = {}
    for index, (name, boxes) in enumerate(BOXES.items()):
        near = boxes if index < quality else []
        found[name] = [(label, tuple(float(side + rng.normal(0, 1)) for side in box), float(rng.uniform(0.3, 0.9))) for label, box in near]
        found[name].append((0, (70.0, 5.0, 9.0, 9.0), float(rng.uniform(0.1, 0.5))))
    return found


def make_sweep(folder: Path, qualities: tuple[int, ...] = (3, 4, 7), seeds: int = 3, **given: Any) -> Path:
    data = make_truth(folder / "boards", BOXES, **given)
    for trial, quality in enumerate(qualities):
        for seed in range(seeds):
            label = f"lr={trial}" if trial else "baseline"
            make_detector(folder / "sweep", data, detections(quality, 10 * trial + seed), trial, seed, label=label)
    return folder / "sweep"


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """A baseline and two trials, three seeds each; the last one finds most."""
    return make_sweep(tmp_path)


def evaluation(folder: Path, **query: str) -> Any:
    return json.loads(ask(SnapshotData([folder], read_report), "evaluation", query).body)


def fixed(value: float) -> str:
    return f"{value:.3f}".replace("-", "−")


def test_the_table_has_the_numbers_of_the_part(pages: Pages, sweep: Path) -> None:
    view = evaluation(sweep)
    page = pages.show(sweep, fragment="#detection")
    rows = page.locator(".detection-classes tbody tr")
    rows.first.wait_for()
    assert rows.locator("th").all_text_contents() == ["all classes", "hole", "short"]
    for index, row in enumerate([view["total"], *view["classes"]]):
        cells = rows.nth(index)
        assert cells.locator(".a").text_content() == f"{fixed(row['a']['mean'])} ± {fixed(row['a']['std'])}"
        assert cells.locator(".b").text_content() == f"{fixed(row['b']['mean'])} ± {fixed(row['b']['std'])}"
        assert cells.locator(".delta .main").text_content() == f"{row['effect']['delta']:+.3f}".replace("-", "−")
        low, high = (f"{row['effect'][end]:+.3f}".replace("-", "−") for end in ("low", "high"))
        assert cells.locator(".delta .sub").text_content() == f"[{low}, {high}]"
        assert cells.locator(".boxes").text_content() == str(row["boxes"])


def test_the_pair_is_in_the_address(pages: Pages, sweep: Path) -> None:
    from playwright.sync_api import expect

    page = pages.show(sweep, fragment="#detection")
    first, second = page.get_by_label("A, the reference"), page.get_by_label("B, compared with it")
    expect(first).to_have_value("t0")
    expect(second).to_have_value("t2")
    second.select_option("t1")
    expect(page.locator(".sides-notes .lead")).to_contain_text("1 lr=1 against 0 baseline")
    counts = re.search(
        r"Of (\d+) class(?:es)?, (\d+) better, (\d+) worse, (\d+) cannot tell\.", page.locator(".sides-notes .lead").inner_text()
    )
    assert counts and int(counts[1]) == sum(map(int, counts.groups()[1:]))
    assert "b=t1" in page.url
    page.get_by_role("button", name="Exchange A and B").click()
    expect(first).to_have_value("t1")
    expect(second).to_have_value("t0")
    page.reload()
    expect(page.locator(".sides-notes .lead")).to_contain_text("0 baseline against 1 lr=1")


def test_every_chart_has_words_and_a_table(pages: Pages, sweep: Path) -> None:
    from playwright.sync_api import expect

    page = pages.show(sweep, fragment="#detection")
    charts = page.locator(".detection svg[role=img]")
    expect(charts).to_have_count(4)  # all classes, each class, calibration
    assert all("B " in label or "A and B" in label for label in charts.evaluate_all("all => all.map((each) => each.ariaLabel)"))
    page.locator(".detection-curves .behind summary").click()
    expect(page.locator(".detection-curves .behind tbody tr")).to_have_count(3)
    page.locator(".detection-calibration .behind summary").click()
    expect(page.locator(".detection-calibration .behind tbody tr")).to_have_count(10)


def test_the_map_of_all_trials_is_loaded_on_demand(pages: Pages, sweep: Path) -> None:
    from playwright.sync_api import expect

    page = pages.show(sweep, fragment="#detection")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.locator(".class-heat summary").click()
    expect(page.locator(".heat-map tbody tr")).to_have_count(2)
    assert any("view=heat" in url for url in asked)
    cell = evaluation(sweep, view="heat")["trials"][0]["cells"][0]
    expect(page.locator(".heat-map tbody td").first).to_contain_text(f"{cell['delta']:+.3f}")


def test_a_single_seed_has_no_verdict(pages: Pages, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    page = pages.show(make_sweep(tmp_path, (3, 5), seeds=1), fragment="#detection")
    expect(page.locator(".sides-notes")).to_contain_text("one seed: no verdict")
    expect(page.locator(".detection-classes .judgement").first).to_have_text("– no verdict: one seed")
    assert page.locator(".detection-classes .delta .sub").all_text_contents() == [""] * 3


def test_verdicts_are_grey_while_seeds_are_missing(pages: Pages, sweep: Path) -> None:
    from playwright.sync_api import expect

    make_run(sweep, 2, 3, label="lr=2", state="pending", base_lr=0.006, overrides={"LearningRate.base_lr": 0.006})
    make_run(sweep, 2, 4, label="lr=2", state="running", base_lr=0.006, overrides={"LearningRate.base_lr": 0.006})
    page = pages.show(sweep, fragment="#detection")
    expect(page.locator(".detection .badge")).to_contain_text("provisional")
    expect(page.locator(".detection-classes .judged.better")).to_have_count(0)


def test_there_is_no_tab_without_an_evaluation_by_class(pages: Pages, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    make_run(tmp_path / "sweep")
    page = pages.show(tmp_path / "sweep")
    expect(page.get_by_role("tab", name="Trials")).to_be_visible()
    expect(page.get_by_role("tab", name="Detection")).to_have_count(0)


def test_chinese(pages: Pages, sweep: Path) -> None:
    from playwright.sync_api import expect

    page = pages.show(sweep, fragment="#detection?lang=zh")
    expect(page.locator("#detection-classes")).to_have_text("按类别")
    expect(page.locator(".sides-notes .lead")).to_contain_text("相对")
    assert not page.get_by_text("detection.", exact=False).count()


def axe_problems(page: Any) -> list[str]:
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]})
    return [f"{each['id']}: {[node['html'][:160] for node in each['nodes']]}" for each in found.response["violations"]]


@pytest.mark.parametrize(("size", "scheme"), [(None, "light"), (None, "dark"), (NARROW, "light")])
def test_axe_finds_nothing(pages: Pages, sweep: Path, size: Any, scheme: str) -> None:
    page = pages.show(sweep, fragment="#detection", color_scheme=scheme, **({"viewport": size} if size else {}))
    page.locator(".detection-calibration svg").wait_for()
    page.locator(".class-heat summary").click()
    page.locator(".heat-map").wait_for()
    assert axe_problems(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == (size or {"width": 1440})["width"]


HOSTILE = ("<img src=x onerror=window.pwn=1>", "</script><script>window.pwn=1</script>\u202e", "x" * 3000)


def test_hostile_class_names_stay_text(pages: Pages, tmp_path: Path) -> None:
    data = make_truth(tmp_path / "boards", {"a.png": [(index, (10.0 + 20 * index, 10.0, 15.0, 15.0)) for index in range(3)]}, HOSTILE)
    for trial in range(2):
        for seed in range(2):
            found = {"a.png": [(index, (10.0 + 20 * index + seed, 10.0, 15.0, 15.0), 0.5 + trial / 10) for index in range(3)]}
            make_detector(tmp_path / "sweep", data, found, trial, seed, label=f"t{trial}")
    page = pages.show(tmp_path / "sweep", fragment="#detection")
    page.locator(".detection-classes tbody tr").first.wait_for()
    assert page.locator(".detection-classes tbody th").all_text_contents()[1:] == list(HOSTILE)
    assert page.evaluate("window.pwn") is None
    assert page.evaluate("document.documentElement.scrollWidth") == 1440


def test_the_focus_stays_and_open_tables_stay_open(pages: Pages, sweep: Path) -> None:
    from playwright.sync_api import expect

    page = pages.show(sweep, fragment="#detection")
    page.locator(".detection-curves .behind summary").click()
    worst = page.get_by_role("button", name="worst first")
    worst.focus()
    page.keyboard.press("Enter")
    expect(worst).to_have_attribute("aria-pressed", "true")
    expect(worst).to_be_focused()
    assert page.locator(".detection-curves .behind tbody").is_visible()
    deltas = page.locator(".detection-classes tr:not(.total) .delta .main").all_text_contents()
    values = [float(text.replace("−", "-")) for text in deltas]
    assert values == sorted(values)


def test_of_many_classes_those_with_the_most_change_come_first(pages: Pages, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    names = [f"class {index}" for index in range(14)]
    places = [(5.0 + 28 * (index % 5), 5.0 + 28 * (index // 5), 20.0, 20.0) for index in range(14)]
    data = make_truth(tmp_path / "boards", {"a.png": list(enumerate(places))}, names, size=(150, 90))
    for trial in range(2):
        for seed in range(2):
            found = [(index, place, 0.9) for index, place in enumerate(places) if index != 13 - 9 * trial]
            make_detector(tmp_path / "sweep", data, {"a.png": found}, trial, seed, label=f"t{trial}")
    page = pages.show(tmp_path / "sweep", fragment="#detection")
    rows = page.locator(".detection-classes tbody th")
    expect(rows).to_have_count(13)
    assert set(rows.all_text_contents()[1:3]) == {"class 4", "class 13"}
    page.get_by_role("button", name="2 more").click()
    expect(rows).to_have_count(15)
    page.get_by_role("button", name="class", exact=True).click()
    assert rows.all_text_contents()[1:] == names
