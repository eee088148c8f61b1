"""Notes: each has an id in the catalogue, arguments that JSON knows, and an English text."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import runner.results
from runner.results.notes import given, note
from runner.results.texts import TEXTS

FOLDER = Path(runner.results.__file__).parent


def used_ids() -> set[str]:
    files = [*FOLDER.rglob("*.py"), *(FOLDER.parent / "views").rglob("*.py")]
    calls = [node for file in files for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    named = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id in ("note", "refuse") and call.args]
    return {call.args[0].value for call in named if isinstance(call.args[0], ast.Constant)} | {"given"}


def test_every_note_is_in_the_catalogue_and_every_text_is_used() -> None:
    assert len(TEXTS) > 40 and used_ids() == set(TEXTS)


def test_a_note_is_data_and_text() -> None:
    made = note("interaction", trial="3 both", together=0.2, alone=0.08, beyond=0.12, low=-0.01, high=0.25)
    assert (
        str(made)
        == "3 both: +0.200 together, +0.080 as the sum of the single changes; interaction +0.120 [−0.010, +0.250]: not significant"
    )
    data = made.data()
    assert json.loads(json.dumps(data)) == data and data["arguments"]["beyond"] == 0.12
    assert given("{odd} %s").text == "{odd} %s"
