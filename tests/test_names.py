"""Names: no two classes of the package share one."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

SHARED_NAMES = {
    "COCODataSet": "a module of PaddleDetection: its keys in the torch backend and in the paddle backend",
    "ImageFolder": "a module of PaddleDetection: its keys in the torch backend and in the paddle backend",
    "TrainReader": "a module of PaddleDetection: its keys in the torch backend; what takes ppdet's place in the paddle backend",
}


def classes() -> dict[str, list[str]]:
    found = defaultdict(list)
    for file in sorted((ROOT / "runner").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(f"{file.relative_to(ROOT)}:{node.lineno}")
    return found


def test_no_two_classes_share_a_name() -> None:
    found = classes()
    assert len(found) > 300
    shared = {name: places for name, places in found.items() if len(places) > 1}
    assert {name: places for name, places in shared.items() if name not in SHARED_NAMES} == {}
    assert shared.keys() == SHARED_NAMES.keys(), "take what is shared no longer out of SHARED_NAMES"


def test_a_file_name_tells_its_job() -> None:
    """Files of different jobs do not share a vague name."""
    names = [file.name for file in (ROOT / "runner").rglob("*.py")]
    assert len(names) > 200
    assert {name: names.count(name) for name in ("check.py", "guard.py", "utils.py", "helpers.py") if names.count(name) > 1} == {}
