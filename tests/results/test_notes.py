"""Notes: each has an id in the catalogue, arguments that JSON knows, and an English text."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

import runner.results
from runner.core.sentences import SENTENCES
from runner.results.notes import ReportNote, given, note
from runner.results.texts import TEXTS

FOLDER = Path(runner.results.__file__).parent


def used_ids() -> set[str]:
    files = [*FOLDER.rglob("*.py"), *(FOLDER.parent / "views").rglob("*.py")]
    calls = [node for file in files for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    named = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id in ("note", "refuse") and call.args]
    return {call.args[0].value for call in named if isinstance(call.args[0], ast.Constant)} | {"given"}


def test_every_note_is_in_the_catalogue_and_every_text_is_used() -> None:
    assert len(TEXTS) > 40 and used_ids() == set(TEXTS) - set(SENTENCES)


def test_a_note_is_data_and_text() -> None:
    made = note("interaction", trial="3 both", together=0.2, alone=0.08, beyond=0.12, low=-0.01, high=0.25)
    assert (
        str(made)
        == "3 both: +0.200 together, +0.080 as the sum of the single changes; interaction +0.120 [−0.010, +0.250]: not significant"
    )
    data = made.data()
    assert json.loads(json.dumps(data)) == data and data["arguments"]["beyond"] == 0.12
    assert given("{odd} %s").text == "{odd} %s"


def audit(**changes: Any) -> ReportNote:
    facts = {
        "pruned": 1,
        "trials": 1,
        "finished": 0,
        "share": None,
        "could_have_won": 0,
        "judged": 1,
        "winner": 0,
        "metric": "m",
        "value": 1.0,
    }
    return note("audit", **{**facts, "pairs": 1, "disagreed": 1, **changes})


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (
            note("unlearned-trial", trial="1 a", runs={"r": ["x"]}, counted=1, metric="m", with_them="1", without_them="–"),
            "1 of 1 run hardly",
        ),
        (audit(winner=None, value=None), "1 of 1 trial pruned, 0 finished"),
        (
            audit(),
            "none of 1 pruned trial would have reached it, although the order when they were pruned was that of the end in 0 of 1 pair ",
        ),
        (note("answer-front", trials=1, trial=0, metric="m"), "the Pareto front has 1 trial,"),
        (note("answer-unfinished", ended=1, runs=1, best=None), "1 of 1 run has ended"),
        (note("importances-few", metric="m", trials=1, least=10), "1 finished or pruned trial, and at least 10"),
    ],
)
def test_one_is_singular(made: ReportNote, text: str) -> None:
    assert text in str(made)
