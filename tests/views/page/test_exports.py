"""What Answer and Detection save: tables with exactly the numbers of the parts, figures that are valid XML on white."""

from __future__ import annotations

import csv
import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
import pytest
from support.browser import NARROW, Pages
from support.detectors import make_detector, make_truth

from runner.sweep.session_results import read_report
from runner.views.page.data import SnapshotData
from runner.views.page.freeze import freeze
from runner.views.page.part import ask

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '=1+1,"#\n<b>&'
CLASSES = ("hole", HOSTILE)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A baseline and two trials with two seeds each, of detectors; they take different times."""
    folder, rng = tmp_path_factory.mktemp("exports"), np.random.default_rng(3)
    boxes: dict[str, list[Any]] = {f"{at}.png": [(at % 2, (10.0 + at, 10.0, 20.0, 20.0)), (1, (50.0, 40.0, 16.0, 16.0))] for at in range(6)}
    data = make_truth(folder / "boards", boxes, CLASSES)
    for trial in range(3):
        for seed in range(2):
            found: dict[str, Any] = {}
            for at, (name, each) in enumerate(boxes.items()):
                near = each if at < 3 + trial + seed else []
                found[name] = [
                    (label, tuple(float(side + rng.normal(0, 1)) for side in box), float(rng.uniform(0.3, 0.9))) for label, box in near
                ]
                found[name].append((0, (70.0, 5.0, 9.0, 9.0), float(rng.uniform(0.1, 0.5))))
            label = f"lr={trial / 100}" if trial else "baseline"
            overrides = {"LearningRate.base_lr": trial / 100} if trial else {}
            make_detector(folder / "sweep", data, found, trial, seed, label=label, overrides=overrides, seconds=60.0 + 40 * trial)
    return folder / "sweep"


@pytest.fixture(scope="module")
def data(sweep: Path) -> SnapshotData:
    return SnapshotData([sweep], read_report)


def part(data: SnapshotData, name: str, **query: str) -> Any:
    return json.loads(ask(data, name, query).body)


def saved(page: Page, section: Locator, kind: str) -> bytes:
    section.locator("summary", has_text="Export").click()
    with page.expect_download() as waiting:
        section.get_by_role("button", name=kind, exact=True).click()
    return Path(waiting.value.path()).read_bytes()


def table(text: bytes) -> tuple[list[str], list[dict[str, str]]]:
    """Comments and rows of a CSV file."""
    lines = text.decode().splitlines(keepends=True)
    count = next(at for at, line in enumerate(lines) if not line.startswith("#"))
    return [line[2:].strip() for line in lines[:count]], list(csv.DictReader(lines[count:]))


def number(text: str) -> float | None:
    return float(text) if text else None


def numbers(row: dict[str, str], prefix: str, summary: dict[str, Any]) -> None:
    """The summary stands in the columns of a row, to the last digit."""
    for name in ("n", "mean", "std"):
        assert number(row[f"{prefix}_{name}"]) == summary[name]
    if f"{prefix}_values" in row:
        assert [float(value) for value in row[f"{prefix}_values"].split()] == summary["values"]


def effect(row: dict[str, str], found: dict[str, Any] | None) -> None:
    for name in ("delta", "low", "high"):
        assert number(row[name]) == (found[name] if found else None)


# --------------------------------------------------------------------------------------------------------------- Answer
def test_the_differences_are_those_of_the_report(pages: Pages, data: SnapshotData) -> None:
    page = pages.show(data=data)
    notes, rows = table(saved(page, page.locator(".forest"), "CSV, as shown"))
    report = part(data, "report")["report"]
    names = {run["id"]: run["name"] for run in part(data, "trials")["runs"]}
    assert notes[0].startswith("runs in: ") and notes[0].endswith("sweep")
    assert notes[1].startswith("metric: bbox/AP, higher is better")
    assert "units: time in seconds, memory in GiB" in notes
    assert len(rows) == len(report["trials"]) == 3
    for row, trial in zip(rows, report["trials"], strict=True):
        assert (int(row["trial"]), row["label"]) == (trial["number"], trial["label"])
        assert row["runs"].split() == [names[run] for run in trial["runs"]]
        assert number(row["LearningRate.base_lr"]) == trial["parameters"]["LearningRate.base_lr"]
        assert row["verdict"] == ("baseline" if trial["baseline"] else trial["verdict"])
        numbers(row, "metric", trial["metrics"]["bbox/AP"])
        numbers(row, "time_s", trial["time_s"])
        numbers(row, "memory_gib", trial["memory_gib"])
        effect(row, trial["effects"].get("bbox/AP"))
        assert number(row["alone_low"]) == (trial["alone"] or {}).get("low")


def test_cost_is_a_table_and_both_charts_are_figures(pages: Pages, data: SnapshotData) -> None:
    page = pages.show(data=data, color_scheme="dark")
    cost = page.locator(".cost")
    notes, rows = table(saved(page, cost, "CSV, as shown"))
    trials = part(data, "report")["report"]["trials"]
    assert "units: time in seconds" in notes
    for row, trial in zip(rows, trials, strict=True):
        numbers(row, "metric", trial["metrics"]["bbox/AP"])
        numbers(row, "time_s", trial["time_s"])
    assert rows[0]["not_beaten"] == "true"
    for section, wanted in ((page.locator(".forest"), {"Differences in bbox/AP", "1 lr=0.01", "1:40"}), (cost, {"bbox/AP against time"})):
        texts, figure = figure_of(saved(page, section, "SVG"))
        assert wanted <= texts
        assert figure.find(f"{SVG}rect").get("fill") == "#ffffff"
        assert len(list(figure.iter(f"{SVG}circle"))) >= 3
        inks = {text.get("fill") for text in figure.iter(f"{SVG}text")}
        assert "rgb(22,25,29)" in inks  # that of the light theme
        assert {text.get("stroke", "none") for text in figure.iter(f"{SVG}text")} == {"none"}
    picture = saved(page, cost, "PNG")
    assert picture[:8] == b"\x89PNG\r\n\x1a\n" and struct.unpack(">I", picture[16:20]) == (1920,)
    assert page.locator(".figure-sheet").count() == 0


def figure_of(text: bytes) -> tuple[set[str], Any]:
    figure = ElementTree.fromstring(text)
    return {str(element.text) for element in figure.iter(f"{SVG}text")}, figure


# ------------------------------------------------------------------------------------------------------------ Detection
def test_every_table_of_detection_has_the_numbers_of_the_part(pages: Pages, data: SnapshotData) -> None:
    view, calibration = part(data, "evaluation"), part(data, "evaluation", view="calibration")
    page = pages.show(data=data, fragment="#detection")
    page.locator(".detection-calibration svg").wait_for()

    def rows_of(section: str, kind: str = "CSV, as shown") -> tuple[list[str], list[dict[str, str]]]:
        return table(saved(page, page.locator(f".detection-{section}"), kind))

    notes, rows = rows_of("classes")
    assert notes[1] == "a, trial 0 baseline: 0000-baseline-s0, 0000-baseline-s1"
    assert notes[2].startswith("b, trial 2 lr=0.02: 0002-")
    assert [row["class"] for row in rows] == ["(all)", "hole", f"'{HOSTILE}"]
    for found, wanted in (
        (rows, [view["total"], *view["classes"]]),
        (rows_of("errors")[1], view["errors"]),
        (rows_of("sizes")[1], view["sizes"]),
    ):
        for row, each in zip(found, wanted, strict=True):
            numbers(row, "a", each["a"])
            numbers(row, "b", each["b"])
            effect(row, each["effect"])
            assert row["verdict"] == (each["means"] or "")
            if "boxes" in row:
                assert number(row["boxes"]) == each["boxes"]
            if "count_a" in row:
                assert [number(row["count_a"]), number(row["count_b"])] == each["counts"]
    rows = rows_of("curves")[1]
    shown = [(curve["name"], side) for curve in view["curves"] for side in "ab" if curve[side]]
    assert len(rows) == sum(len(curve[side]["mean"]) for curve in view["curves"] for side in "ab" if curve[side])
    total = view["curves"][0]["a"]
    assert [float(row["precision_mean"]) for row in rows[: len(total["mean"])]] == total["mean"]
    assert [float(row["precision_low"]) for row in rows[: len(total["mean"])]] == total["low"]
    assert float(rows[len(total["mean"]) - 1]["recall"]) == 1
    best = rows_of("curves", "CSV, best F1")[1]
    assert len(best) == len(shown)
    assert [float(best[0][name]) for name in ("f1", "precision", "recall")] == [
        total["best"][name] for name in ("f1", "precision", "recall")
    ]
    rows = rows_of("confusion")[1]
    cells = view["confusion"]
    assert [float(row["b"]) for row in rows] == [value for line in cells["b"] for value in line]
    assert all(float(row["difference"]) == float(row["b"]) - float(row["a"]) for row in rows)
    assert (rows[0]["true"], rows[2]["predicted"]) == ("hole", "")
    rows = rows_of("calibration")[1]
    for side in "ab":
        for row, bucket in zip(rows, calibration[side], strict=True):
            assert [number(row[f"{side}_{name}"]) for name in ("count", "right")] == [bucket["count"], bucket["right"]]
    rows = rows_of("classes", "CSV, all trials by class")[1]
    heat = part(data, "evaluation", view="heat")
    for row, cell in zip(rows, [cell for trial in heat["trials"] for cell in trial["cells"]], strict=True):
        effect(row, cell)


@pytest.mark.parametrize("size", [None, NARROW])
def test_every_section_of_detection_is_a_figure(pages: Pages, data: SnapshotData, size: Any) -> None:
    page = pages.show(data=data, fragment="#detection", color_scheme="dark", **({"viewport": size} if size else {}))
    page.locator(".detection-calibration svg").wait_for()
    view = part(data, "evaluation")
    wanted = {
        "classes": {"By class", "0 baseline", "2 lr=0.02", "hole", f"{view['total']['a']['mean']:.3f} ± {view['total']['a']['std']:.3f}"},
        "curves": {"Precision and recall", "all classes", "hole"},
        "errors": {"Types of errors", "wrong class"},
        "confusion": {"Confusion", "B − A", "(missed)"},
        "calibration": {"Calibration"},
        "sizes": {"By size", "small (below 32² px)"},
    }
    for name, texts in wanted.items():
        found, figure = figure_of(saved(page, page.locator(f".detection-{name}"), "SVG"))
        assert texts <= found, name
        places = [(float(text.get("x") or 0), float(text.get("y") or 0)) for text in figure.findall(f"{SVG}text")]
        assert all(0 <= x <= 960 and 0 < y <= float(figure.get("height")) for x, y in places), name


def test_a_file_saves_the_same(pages: Pages, data: SnapshotData, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(freeze(data, made=0.0).text, encoding="utf-8")
    live = pages.show(data=data)
    frozen = pages.open(file.as_uri(), offline=True)
    both = [saved(page, page.locator(".forest"), "CSV, as shown").decode().partition("\r\n")[2] for page in (live, frozen)]
    assert both[0] == both[1]
    for page in (live, frozen):
        page.get_by_role("tab", name="Detection").click()
    both = [saved(page, page.locator(".detection-curves"), "CSV, as shown").decode().partition("\r\n")[2] for page in (live, frozen)]
    assert both[0] == both[1]


def test_the_menu_is_closed_by_escape_and_by_a_click_elsewhere(pages: Pages, data: SnapshotData) -> None:
    from playwright.sync_api import expect

    page = pages.show(data=data)
    menu = page.locator(".forest .export-menu")
    menu.locator("summary").press("Enter")
    expect(menu.get_by_role("button", name="PNG")).to_be_visible()
    page.keyboard.press("Escape")
    expect(menu.get_by_role("button", name="PNG")).to_be_hidden()
    expect(menu.locator("summary")).to_be_focused()
    menu.locator("summary").click()
    page.locator("h1").click()
    expect(menu.get_by_role("button", name="PNG")).to_be_hidden()
