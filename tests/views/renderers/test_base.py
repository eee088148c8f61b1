"""Renderers by name: each declares its subjects, and each of ours renders every report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar

import pytest
from support.finished import make_run
from support.search_runs import found, run

from runner.core.errors import InputError
from runner.core.registry import Registry
from runner.results.compare import compare
from runner.results.search.report import SearchReport, search_report
from runner.sweep.session_status import read_status
from runner.views.renderers import base
from runner.views.renderers.base import RENDERERS, Renderer, render_report

RUNS = [run(number, 0.4 + number / 100, point={"rate": number}) for number in range(12)]


class NamesRenderer:
    """A third party's: the labels of a comparison's trials."""

    subjects: ClassVar[tuple[str, ...]] = ("comparison",)

    def render(self, report: Any, views: Sequence[str] = ()) -> str:
        del views
        return ", ".join(trial.label for trial in report.trials)


@pytest.mark.parametrize("name", ["csv", "json", "md", "table"])
def test_each_of_ours_renders_every_report(name: str) -> None:
    assert name in RENDERERS.names()
    for report in (compare(RUNS, "bbox/AP"), search_report(found(*RUNS), RUNS)):
        assert render_report(report, name)
    for view in SearchReport.views:
        assert render_report(search_report(found(*RUNS), RUNS), name, [view])


def test_the_status_of_several_places_is_one_report(tmp_path: Path) -> None:
    for name in ("one", "two"):
        make_run(tmp_path / name, 0)
    report = read_status(tmp_path)
    data = json.loads(str(render_report(report, "json")))
    assert data["format"] == 1 and len(data["places"]) == 2 and data["places"][0]["driver"] is None
    assert render_report(report, "table")
    with pytest.raises(InputError, match="Format 'csv' cannot show a status; it shows: comparison, search"):
        render_report(report, "csv")


def test_an_installed_renderer_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    point = metadata.EntryPoint("names", f"{__name__}:NamesRenderer", "runner.renderers")
    monkeypatch.setattr(metadata.EntryPoint, "load", lambda self: NamesRenderer)
    monkeypatch.setattr(metadata, "entry_points", lambda group: [point] if group == "runner.renderers" else [])
    installed: Registry[type[Renderer]] = Registry("renderer", {}, Renderer)
    monkeypatch.setattr(base, "RENDERERS", installed)
    assert str(render_report(compare(RUNS, "bbox/AP"), "names")).startswith("rate=0, rate=1")
    with pytest.raises(InputError, match="Format 'names' cannot show a search; it shows: comparison"):
        render_report(search_report(found(*RUNS)), "names")
