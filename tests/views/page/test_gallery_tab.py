"""The gallery in a real browser: what it counts is what Python counts; filters, cards and the large view by mouse and by keyboard."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.browser import NARROW, Pages
from support.detectors import make_detector, make_truth

from runner.data.coco import load_coco
from runner.evaluation.changes import RunMatch, alarm_changes, change_kinds, false_alarms, side_scores
from runner.evaluation.matching import detection_arrays, match, truth_arrays
from runner.sweep.session_results import read_report
from runner.views.page.data import SnapshotData
from runner.views.page.part import ask, find_part

IMAGES, SIZE = 24, (120, 100)


def random_boxes(rng: np.random.Generator) -> dict[str, list[Any]]:
    """Up to three boxes per image, that do not overlap."""
    found: dict[str, list[Any]] = {}
    for index in range(IMAGES):
        places = rng.permutation(6)[: rng.integers(0, 4)]
        found[f"val/{index:03d}.png"] = [(int(rng.integers(2)), (4.0 + 40 * (at % 3), 6.0 + 50 * (at // 3), 30.0, 30.0)) for at in places]
    return found


def random_detections(boxes: dict[str, list[Any]], rng: np.random.Generator, skill: float) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for name, each in boxes.items():
        rows = []
        for label, (x, y, width, height) in each:
            if rng.uniform() < skill:
                shift = rng.normal(0, 2, 2)
                rows.append(
                    (label if rng.uniform() < 0.85 else 1 - label, (x + shift[0], y + shift[1], width, height), float(rng.uniform(0.1, 1)))
                )
        rows += [(0, (*map(float, rng.uniform(0, 70, 2)), 25.0, 25.0), float(rng.uniform(0.05, 0.7))) for _ in range(rng.integers(0, 3))]
        found[name] = [(label, tuple(map(float, box)), score) for label, box, score in rows]
    return found


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two trials with three seeds, on random boxes."""
    folder, rng = tmp_path_factory.mktemp("gallery"), np.random.default_rng(5)
    boxes = random_boxes(rng)
    data = make_truth(folder / "boards", boxes, size=SIZE)
    for trial, skill in enumerate((0.6, 0.85)):
        for seed in range(3):
            make_detector(
                folder / "sweep", data, random_detections(boxes, rng, skill), trial, seed, label=f"skill={skill}" if trial else "baseline"
            )
    return folder / "sweep"


def expected(sweep: Path, threshold: float, *, steady: bool, iou: float = 0.5) -> tuple[Counter[str], list[str]]:
    """Return the number of changes by kind, and the images by their weight, both computed from the files."""
    folder = sweep.parent / "boards"
    data = load_coco(folder / "val.json", folder / "images", allow_empty=True)
    truth = truth_arrays(data)
    images, labels = {image.id: at for at, image in enumerate(data.images)}, {1: 0, 2: 1}

    class Entry:
        def __init__(self, values: dict[str, Any]) -> None:
            self.__dict__.update(values)

    sides = []
    for trial in range(2):
        files = sorted(sweep.glob(f"runs/000{trial}-*/predictions.json"))
        found = [detection_arrays([Entry(each) for each in json.loads(file.read_text())], images, labels) for file in files]
        sides.append([RunMatch(each, match(truth, each, iou)) for each in found])
    alarms = false_alarms([*sides[0], *sides[1]])
    boxes = change_kinds(side_scores(truth, sides[0]), side_scores(truth, sides[1]), threshold, steady=steady)
    changes = [*((int(truth.image[at]), kind, share) for at, kind, share in boxes)]
    changes += [(int(alarms.image[at]), kind, share / 2) for at, kind, share in alarm_changes(alarms, 3, threshold, steady=steady)]
    weights: Counter[int] = Counter()
    for image, _, share in changes:
        weights[image] += share  # type: ignore[assignment]
    order = sorted(weights, key=lambda image: (-round(weights[image], 6), image))
    return Counter(kind for _, kind, _ in changes), [data.images[image].file_name for image in order]


def shown_counts(page: Any) -> dict[str, int]:
    kinds = page.locator(".gallery-kinds .kind").evaluate_all("all => all.map((each) => [each.classList[1], each.textContent])")
    return {kind: int(match[1]) for kind, text in kinds if (match := re.search(r"(\d+)", text)) and int(match[1])}


@pytest.mark.parametrize(("score", "steady", "iou"), [(0.3, True, 0.5), (0.3, False, 0.5), (0.6, True, 0.75), (0.05, False, 0.75)])
def test_the_page_counts_what_python_counts(pages: Pages, sweep: Path, score: float, steady: bool, iou: float) -> None:
    from playwright.sync_api import expect

    counts, order = expected(sweep, score, steady=steady, iou=iou)
    page = pages.show(sweep, fragment=f"#detection?score={score}&steady={int(steady)}&iou={iou}")
    expect(page.locator(".gallery-card").first).to_be_visible()
    assert shown_counts(page) == dict(counts)
    names = page.locator(".gallery-card .name").all_text_contents()
    assert names == order[: len(names)]
    assert len(names) == min(10, len(order))
    expect(page.locator(".gallery-totals strong")).to_contain_text(
        f"{counts['gained']} gained, {counts['lost']} lost, {counts['confused']} now wrong class, of"
    )
    expect(page.locator(".gallery-totals strong")).to_contain_text(f"at score ≥ {score:.2f}")


def test_the_frozen_images_are_those_of_the_first_cards(pages: Pages, sweep: Path) -> None:
    data = SnapshotData([sweep], read_report)
    names = {identifier: name for identifier, name, *_ in json.loads(ask(data, "gallery", {}).body)["images"]}
    frozen = [names[query["id"]] for query in find_part("image").frozen(data, {})]
    page = pages.show(sweep, fragment="#detection")
    page.locator(".gallery-card").first.wait_for()
    assert page.locator(".gallery-card .name").all_text_contents() == frozen[:10]


def test_the_slider_asks_no_server(pages: Pages, sweep: Path) -> None:
    from playwright.sync_api import expect

    page = pages.show(sweep, fragment="#detection")
    page.locator(".gallery-card img").first.wait_for()
    page.wait_for_timeout(500)  # for images that are still being loaded
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    slider = page.get_by_role("slider", name="score")
    slider.focus()
    before = page.locator(".gallery-totals").text_content()
    for _ in range(12):
        slider.press("ArrowRight")
    expect(page.locator(".gallery-totals")).not_to_have_text(str(before))
    assert not [url for url in asked if "image" not in url]
    shown = float(slider.input_value())
    assert f"score={shown:g}" in page.url
    assert shown_counts(page) == dict(expected(sweep, shown, steady=True)[0])


def test_filters_by_class_size_and_kind(pages: Pages, sweep: Path) -> None:
    from playwright.sync_api import expect

    page = pages.show(sweep, fragment="#detection?steady=0")
    page.locator(".gallery-card").first.wait_for()
    total = shown_counts(page)
    by_class = {}
    for name in ("hole", "short"):
        page.locator(".gallery-class select").select_option(name)
        by_class[name] = shown_counts(page)
        assert f"class={name}" in page.url
        changes = page.locator(".gallery-card .change").all_text_contents()
        assert changes and all(name in text for text in changes)
    assert {kind: sum(each.get(kind, 0) for each in by_class.values()) for kind in total} == total
    page.locator(".gallery-class select").select_option("")
    page.locator(".gallery-kinds .lost").click()
    assert "kind=lost" in page.url
    expect(page.locator(".gallery-kinds .lost")).to_have_attribute("aria-pressed", "true")
    page.locator(".gallery-card .change").first.wait_for()
    assert {"lost"} == set(page.locator(".gallery-card .change").evaluate_all("all => all.map((each) => each.classList[1])"))
    page.locator(".gallery-size select").select_option("l")
    expect(page.locator(".gallery .empty")).to_contain_text("No image has changed in this way.")
    page.locator(".gallery .empty button").click()
    expect(page.locator(".gallery-card").first).to_be_visible()


def test_a_cell_of_the_confusion_matrix_filters_the_gallery(pages: Pages, sweep: Path) -> None:
    from playwright.sync_api import expect

    page = pages.show(sweep, fragment="#detection?steady=0")
    page.locator(".matrix").first.locator("button[aria-label^='hole as (missed)']").click()
    expect(page.locator(".gallery-class select")).to_have_value("hole")
    assert "class=hole" in page.url and "kind=lost,gained" in page.url
    expect(page.locator("#detection-gallery")).to_be_focused()
    page.locator(".matrix").first.locator("button[aria-label^='hole as short']").click()
    expect(page.get_by_role("button", name="taken for short ×")).to_be_visible()
    assert "as=short" in page.url
    page.locator(".detection-classes .class-name", has_text="short").click()
    expect(page.locator(".gallery-class select")).to_have_value("short")


def test_the_large_view_by_keyboard(pages: Pages, sweep: Path) -> None:
    from playwright.sync_api import expect

    page = pages.show(sweep, fragment="#detection?steady=0")
    cards = page.locator(".gallery-card button")
    cards.first.wait_for()
    names = page.locator(".gallery-card .name").all_text_contents()
    cards.first.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("h2")).to_have_text(names[0])
    expect(dialog.locator(".stage")).to_have_count(2)
    page.keyboard.press("j")
    expect(dialog.locator("h2")).to_have_text(names[1])
    page.keyboard.press("k")
    expect(dialog.locator("h2")).to_have_text(names[0])
    truth = dialog.locator(".box.truth")
    before = truth.count()
    assert before > 0
    page.keyboard.press("t")
    expect(truth).to_have_count(0)
    expect(dialog.get_by_role("button", name="True boxes")).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("t")
    expect(truth).to_have_count(before)
    page.keyboard.press("s")
    expect(dialog.locator(".stage")).to_have_count(1)
    expect(dialog.locator("figcaption")).to_contain_text("baseline")
    page.keyboard.down(" ")
    expect(dialog.locator("figcaption")).to_contain_text("skill=0.85")
    page.keyboard.up(" ")
    expect(dialog.locator("figcaption")).to_contain_text("baseline")
    page.keyboard.press("Escape")
    expect(cards.first).to_be_focused()
    expect(dialog).to_have_count(0)
    assert "img=" not in page.url
    page.keyboard.press("Enter")
    page.keyboard.press("j")
    expect(dialog.locator("h2")).to_have_text(names[1])
    page.go_back()
    expect(dialog).to_have_count(0)
    expect(page.locator(".gallery-card").first).to_be_visible()
    assert page.url.endswith("#detection?steady=0")


def test_both_sides_have_one_zoom(pages: Pages, sweep: Path) -> None:
    from playwright.sync_api import expect

    page = pages.show(sweep, fragment="#detection?steady=0")
    page.locator(".gallery-card button").first.click()
    dialog = page.get_by_role("dialog")
    sheets = "all => all.map((each) => ['left', 'top', 'width', 'height'].map((name) => each.style.getPropertyValue(name)))"
    places = lambda: dialog.locator(".sheet-of-image").evaluate_all(sheets)  # noqa: E731
    dialog.locator(".stage").first.wait_for()
    whole = places()
    assert whole[0] == whole[1]
    box = dialog.locator(".stage").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 4)
    page.mouse.wheel(0, -100)
    expect(dialog.locator("output")).to_have_text("1.2×")
    near = places()
    assert near[0] == near[1] != whole[0]
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 8, box["y"] + box["height"] / 4)
    page.mouse.up()
    moved = places()
    assert moved[0] == moved[1]
    assert float(moved[0][0].rstrip("%")) < float(near[0][0].rstrip("%"))
    for _ in range(15):
        page.keyboard.press("+")
    expect(dialog.locator("output")).to_have_text("8.0×")
    assert dialog.locator("img.sharp").count() == 2
    page.keyboard.press("0")
    expect(dialog.locator("output")).to_have_text("1.0×")
    dialog.locator(".view-changes button").first.click()
    expect(dialog.locator("output")).not_to_have_text("1.0×")
    expect(dialog.locator(".box.picked").first).to_be_visible()  # its boxes stand out while it has the focus


def test_an_address_opens_an_image(pages: Pages, sweep: Path) -> None:
    from playwright.sync_api import expect

    data = SnapshotData([sweep], read_report)
    identifier, name, *_ = json.loads(ask(data, "gallery", {}).body)["images"][3]
    page = pages.show(sweep, fragment=f"#detection?img={identifier}")
    expect(page.get_by_role("dialog").locator("h2")).to_have_text(name)
    page.reload()
    expect(page.get_by_role("dialog").locator("h2")).to_have_text(name)


def test_a_missing_image_leaves_a_grey_frame_with_its_boxes(pages: Pages, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    pages.forgive("400")
    name = "<img src=x onerror=window.pwn=1>.png"
    data = make_truth(tmp_path / "boards", {name: [(0, (10.0, 10.0, 20.0, 20.0))]}, images=False)
    for trial in range(2):
        found = {name: [(0, (10.0, 10.0, 20.0, 20.0), 0.9)] if trial else []}
        make_detector(tmp_path / "sweep", data, {**found}, trial, 0, label=f"t{trial}")
    page = pages.show(tmp_path / "sweep", fragment="#detection")
    expect(page.locator(".gallery-card .gone-image")).to_have_text(name)
    expect(page.locator(".gallery-card .box.gained")).to_have_count(1)
    assert page.evaluate("window.pwn") is None
    expect(page.get_by_role("checkbox", name="steady only")).to_be_disabled()


def test_missing_predictions_say_what_makes_them(pages: Pages, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    data = make_truth(tmp_path / "boards", {"a.png": [(0, (10.0, 10.0, 20.0, 20.0))]})
    for trial in range(2):
        make_detector(
            tmp_path / "sweep", data, {"a.png": [(0, (10.0, 10.0, 20.0, 20.0), 0.9)]}, trial, 0, label=f"t{trial}", predictions=trial == 0
        )
    page = pages.show(tmp_path / "sweep", fragment="#detection")
    expect(page.locator(".gallery-notes")).to_contain_text("all runs of a trial are without predictions")
    expect(page.locator(".gallery-notes code")).to_contain_text("runs/0001-t1-s0 --save-predictions")
    expect(page.locator(".gallery-controls")).to_be_hidden()


def test_a_box_has_its_text_on_focus_and_its_kind_without_colour(pages: Pages, sweep: Path) -> None:
    page = pages.show(sweep, fragment="#detection?steady=0&kind=lost")
    page.locator(".gallery-card .box.lost").first.wait_for()
    assert page.locator(".gallery-card .boxes .mark").first.text_content() == "－"
    assert "hatch-lost" in page.locator(".gallery-card .box.lost .edge").first.evaluate("each => getComputedStyle(each).fill")
    label = page.locator(".gallery-card button").first.get_attribute("aria-label")
    assert label is not None and re.search(r"lost: \w+, found by \d of 3 in A, \d of 3 in B", label)


@pytest.mark.parametrize(("size", "scheme", "language"), [(None, "light", "en"), (None, "dark", "zh"), (NARROW, "light", "zh")])
def test_axe_finds_nothing_in_the_large_view(pages: Pages, sweep: Path, size: Any, scheme: str, language: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    options: dict[str, Any] = {"viewport": size} if size else {}
    page = pages.show(sweep, fragment=f"#detection?steady=0&lang={language}", color_scheme=scheme, **options)
    page.locator(".gallery-card button").first.click()
    page.get_by_role("dialog").locator(".box").first.wait_for()
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]})
    assert [f"{each['id']}: {[node['html'][:160] for node in each['nodes']]}" for each in found.response["violations"]] == []
    assert page.evaluate("document.documentElement.scrollWidth") == (size or {"width": 1440})["width"]


def test_a_frozen_file_has_the_gallery_of_the_first_pair(pages: Pages, sweep: Path, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    from runner.views.page.freeze import freeze

    data = SnapshotData([sweep], read_report)
    frozen = freeze(data, made=0.0)
    assert frozen.unanswered == ()
    (tmp_path / "report.html").write_text(frozen.text, encoding="utf-8")
    page = pages.open((tmp_path / "report.html").as_uri() + "#detection?steady=0&score=0.3", offline=True)
    expect(page.locator(".gallery-card").first).to_be_visible()
    assert shown_counts(page) == dict(expected(sweep, 0.3, steady=False)[0])
    page.locator(".gallery-iou select").select_option("0.75")
    expect(page.locator(".gallery-kinds .gained")).to_contain_text(str(expected(sweep, 0.3, steady=False, iou=0.75)[0]["gained"]))
    page.locator(".gallery-iou select").select_option("0.5")
    loaded = page.locator(".gallery-card img").evaluate_all("all => all.map((each) => each.hidden ? 0 : each.naturalWidth)")
    assert SIZE[0] in loaded
    expect(page.get_by_role("button", name="Exchange A and B")).to_be_hidden()
    expect(page.locator(".detection > p").first).to_contain_text("Other pairs are not in this file")
    page.goto((tmp_path / "report.html").as_uri() + "#detection?a=t1&b=t0")
    expect(page.locator(".sides-notes")).to_contain_text("not in this file")
    expect(page.locator(".detection-gallery")).to_be_hidden()
    other = freeze(data, made=0.0, view="#detection?a=t1&b=t0&steady=0&score=0.3")
    (tmp_path / "other.html").write_text(other.text, encoding="utf-8")
    page.goto((tmp_path / "other.html").as_uri())
    expect(page.locator(".gallery-card").first).to_be_visible()
    there, back = expected(sweep, 0.3, steady=False)[0], shown_counts(page)
    assert back["lost"] + back.get("confused", 0) == there["gained"]
    assert back["gained"] == there["lost"] + there["confused"]
    page.get_by_role("button", name="Exchange A and B").click()
    expect(page.locator(".sides-notes .lead")).to_contain_text("1 skill=0.85 against 0 baseline")


def test_very_many_false_alarms_are_cut_and_that_is_said(pages: Pages, sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from playwright.sync_api import expect

    monkeypatch.setattr("runner.views.page.parts.gallery._MOST_ALARMS", 3)
    view = json.loads(ask(SnapshotData([sweep], read_report), "gallery", {}).body)
    best = [max(column) for column in zip(*view["alarms"]["score"], strict=True)]
    assert len(best) == 3
    assert min(best) == int(view["alarms"]["floor"] * 1000 + 1e-6)
    page = pages.show(sweep, fragment="#detection?score=0.1")
    expect(page.locator(".gallery-notes")).to_contain_text(f"below a score of {view['alarms']['floor']:.2f} are left out")
