"""The table of `runner ls`: what it shows of a run, and what is left of it in a narrow terminal."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from support.finished import START, make_run

from runner.core.files import atomic_write_json
from runner.results.collect import RunResult, collect
from runner.store.run_dir import Identity, RunDir
from runner.views.runs_table import render_runs

BATCH: dict[str, Any] = {"label": "batch_size=16", "batch_size": 16, "overrides": {"TrainReader.batch_size": 16}}
WIDTHS = (60, 80, 100, 120, 200)


def shown(runs: list[RunResult], width: int, metric: str | None = None) -> list[str]:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(render_runs(runs, metric, now=START + 3720))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    return lines


def make_single(folder: Path, overrides: dict[str, Any], **options: Any) -> RunDir:
    """A run of `runner train` in `folder`."""
    run = make_run(folder, 0, 0, name="given", overrides=overrides, facts={"config_file": f"configs/{folder.name}.yml"}, **options)
    place = folder / f"0001-{len(list(folder.iterdir()))}-s0"
    run.path.rename(place)
    atomic_write_json(place / "run.json", {**_identity(place.name, overrides), "facts": {"config_file": f"configs/{folder.name}.yml"}})
    return RunDir(place)


def _identity(name: str, overrides: dict[str, Any]) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(Identity(name, None, 0, 0, overrides, "k", trial_keys=["backend", "TrainReader", "LearningRate", "max_iters"]))


@pytest.mark.parametrize("width", WIDTHS)
def test_columns_are_dropped_in_a_fixed_order(tmp_path: Path, width: int) -> None:
    make_run(tmp_path / "sw", 1, 3, state="failed", reason="out of memory", step=120, evaluations=[(100, 0.2)], **BATCH)
    make_run(tmp_path / "sw", 2, 0, label="waiting", state="pending")
    lines = shown(collect([tmp_path]), width)
    failed = next(line for line in lines if "s3" in line).split()
    cells = ["0001-batch_size=16-s3", "batch_size=16", "failed", "120/300", "40", "%", "0.200*", "1:00", "1:01:00", "ago"]
    narrower = {60: cells[:1] + cells[2:7], 80: cells[:8]}
    assert failed == narrower.get(width, cells)
    assert "0001-batch_size=16-s3: out of memory" in lines and any("pending" in line for line in lines)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_run_that_hardly_learned_is_marked(tmp_path: Path, width: int) -> None:
    for seed, last in ((0, 0.35), (1, 0.62), (10, 0.35)):
        make_run(tmp_path / "sw", 0, seed, box_loss=(0.8, last))
    lines = shown(collect([tmp_path]), width)
    rows = [line.split() for line in lines if "300/300" in line]
    assert [(row[0], "!" in row) for row in rows] == [("0000-baseline-s0", False), ("0000-baseline-s1", True), ("0000-baseline-s10", False)]
    assert any("0000-baseline-s1: ! hardly learned: loss_box 0.8 → 0.62" in line for line in lines)


def test_a_single_run_shows_its_config_and_what_it_varies(tmp_path: Path) -> None:
    make_single(tmp_path / "boards", {"backend": "torch", "save_dir": "x", "LearningRate.base_lr": 0.1, "max_iters": 300})
    make_single(tmp_path / "other", {"use_gpu": False})
    rows = [line.split() for line in shown(collect([tmp_path]), 160) if "0001" in line]
    assert [row[:4] for row in rows] == [
        ["boards/0001-1-s0", "boards", "base_lr=0.1,", "max_iters=300"],
        ["other/0001-1-s0", "other", "–", "done"],
    ]


def test_a_long_name_is_folded_not_cut(tmp_path: Path) -> None:
    label = ", ".join(f"a_rather_long_key_{number}={number}" for number in range(3))
    make_run(tmp_path / "sw", 1, 0, label=label)
    (run,) = collect([tmp_path])
    text = shown([run], 60)
    assert "".join(line[:40].strip() for line in text if line[1:5] == "0001" or "done" not in line)
    assert "".join("".join(line.split()[:1]) for line in text[3:6]).startswith(run.id)


def test_text_of_users_is_no_markup(tmp_path: Path) -> None:
    make_run(tmp_path / "sw", 1, 0, name="[red]x", state="failed", reason="[bold]no[/nope]")
    lines = shown(collect([tmp_path]), 80)
    assert any("[red]x" in line for line in lines) and any("[bold]no[/nope]" in line for line in lines)


def test_another_metric_can_be_shown(tmp_path: Path) -> None:
    make_run(tmp_path / "sw", 0, 0, ap=0.25)
    lines = shown(collect([tmp_path]), 80, "bbox/AP50")
    assert any("bbox/AP50" in line for line in lines) and any("0.550" in line for line in lines)
