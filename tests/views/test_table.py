"""Tables: whole at every width, and readable without colour."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console, RenderableType
from support.finished import make_run

from runner.results.collect import collect
from runner.results.compare import compare
from runner.views.table import PlannedRow, render_comparison, render_plan

BATCH: dict[str, Any] = {"label": "batch_size=16", "batch_size": 16, "overrides": {"TrainReader.batch_size": 16}}
WIDTHS = (60, 80, 100, 120, 200)


def text_of(renderable: RenderableType, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(renderable)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    for seed, value in enumerate((0.412, 0.401, 0.418)):
        make_run(tmp_path / "sw", 0, seed, ap=value)
        make_run(tmp_path / "sw", 1, seed, ap=value + 0.07, **BATCH)
    make_run(tmp_path / "sw", 1, 3, state="failed", reason="out of memory", step=120, evaluations=[(100, 0.2)], **BATCH)
    return tmp_path / "sw"


@pytest.mark.parametrize("width", WIDTHS)
def test_a_comparison_fits_and_says_all(sweep: Path, width: int) -> None:
    shown = text_of(render_comparison(compare(collect([sweep]))), width)
    assert max(map(len, shown.splitlines())) <= width
    for part in (
        "0.410 ± 0.009",
        "0.710 ± 0.009",
        "+0.070",
        "[+0.050, +0.090]",
        "better",
        "baseline",
        "batch_size",
    ):
        assert part in shown
    assert ("1:00" in shown) == (width > 60)
    assert "not counted: 0001-batch_size=16-s3: failed: out of memory" in " ".join(shown.split())
    assert "95 %" in shown and "…" not in shown


def test_a_long_name_stays_readable_in_a_narrow_terminal(tmp_path: Path) -> None:
    for seed, value in enumerate((0.412, 0.401, 0.418)):
        make_run(tmp_path / "sw", 0, seed, ap=value)
        make_run(tmp_path / "sw", 1, seed, ap=value + 0.07, **{**BATCH, "label": "batch_size=16, base_lr=0.004, max_iters=800"})
    shown = text_of(render_comparison(compare(collect([tmp_path]))), 60)
    assert max(map(len, shown.splitlines())) <= 60
    for part in ("batch_size=16,base_lr=", "+0.070", "[+0.050, +0.090]", "better"):
        assert part in shown


def test_wide_shows_the_values_of_what_was_varied(sweep: Path) -> None:
    lines = text_of(render_comparison(compare(collect([sweep]))), 120).splitlines()
    assert "batch_size" in lines[1] and "the baseline has" not in "".join(lines)
    assert "the baseline has batch_size 8" in text_of(render_comparison(compare(collect([sweep]))), 80)


def test_warnings_come_first(sweep: Path) -> None:
    make_run(sweep, 2, 0, label="other", evaluated_on="test.json")
    assert text_of(render_comparison(compare(collect([sweep]))), 80).startswith("WARNING: EvalDataset is not the same")


def test_text_of_users_is_no_markup(tmp_path: Path) -> None:
    make_run(tmp_path / "sw", 0, 0)
    make_run(tmp_path / "sw", 1, 0, name="[red]x", base_lr=0.1, state="failed", reason="[bold]no[/nope]")
    runs = collect([tmp_path])
    assert "[red]x" in text_of(render_comparison(compare(runs)), 80)


def test_many_parameters_still_fit(tmp_path: Path) -> None:
    for number in range(12):
        run = make_run(tmp_path / "sw", number, 0, label=f"trial{number}", overrides={f"a.key{number}": number})
        run.config.write_text(run.config.read_text() + f"a: {{key{number}: {number}}}\n")
    for width in WIDTHS:
        shown = text_of(render_comparison(compare(collect([tmp_path]))), width)
        assert max(map(len, shown.splitlines())) <= width and "trial11" in shown


def test_plan() -> None:
    rows = [
        PlannedRow("0000-baseline-s0", 0, state="done"),
        PlannedRow("0001-batch_size=16-s0", 0, {"TrainReader.batch_size": 16}),
        PlannedRow("0002-both-s0", 0, {"TrainReader.batch_size": 16, "clip": None}),
    ]
    shown = text_of(render_plan(rows, {"TrainReader.batch_size": 8}), 80)
    assert "batch_size 8 → 16, clip – → null" in shown and "baseline" in shown
    assert "3 runs, 1 of them done already" in shown and "batch_size is TrainReader.batch_size" in shown
