"""Configs of many runs: read by sections, they say what they say when they are parsed whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from runner.config.load import parse
from runner.config.node import Source, flatten
from runner.core.errors import InputError
from runner.results import run_configs
from runner.results.run_configs import ConfigReader

FIRST = """\
# made by runner

seed: 0
lr: 1e-4
sizes: [1, 2]
TrainReader:
  batch_size: 8
  steps:
  - Decode: {}
  - Resize: {target_size: [128, 128]}
note: |
  a: 1
  b
list:
- 1
- {a: 2}
Data: !COCO
  dir: x
"""
OTHERS = {
    "a scalar": FIRST.replace("seed: 0", "seed: 1"),
    "a key below": FIRST.replace("batch_size: 8", "batch_size: 16\n  drop_last: true"),
    "a key less": FIRST.replace("lr: 1e-4\n", ""),
    "another order": "".join(reversed(FIRST.splitlines(keepends=True)[2:5])),
    "an alias across sections": "a: &x {b: 1}\nc: *x\n",
    "merged": "a: &x {b: 1}\nc:\n  <<: *x\n  d: 2\n",
    "a key twice": "a: 1\nb: 2\na: 3\n",
    "a flow mapping over lines": "a: {b: 1,\nc: 2}\nd: 3\n",
    "a text over lines": 'a: "one\nb: two"\n',
    "two documents": "a: 1\n---\nb: 2\n",
    "an end of a document": "a: 1\n...\nb: 2\n",
    "a directive": "%YAML 1.1\n---\na: 1\n",
    "a word alone": "a: 1\nword\nb: 2\n",
    "a quoted key": "a: 1\n\"b: c\": 2\n'd': 3\n",
    "an odd key": "a: 1\n? b\n: 2\n0: x\nyes: no\n",
    "a list": "- a\n- b\n",
    "null": "~\n",
    "nothing": "",
    "comments alone": "# a: 1\n",
    "code": "a: !!python/object/apply:os.getcwd []\n",
    "a tab": "a:\n\tb: 1\n",
}


def whole(text: str) -> Mapping[str, Any] | None:
    try:
        tree = parse(text, lambda line: Source("", line)).plain()
    except InputError:
        return None
    return dict(flatten(tree)) if isinstance(tree, Mapping) else {}


@pytest.mark.parametrize("name", OTHERS)
def test_sections_mean_what_the_whole_means(tmp_path: Path, name: str) -> None:
    reader, expected = ConfigReader(), whole(OTHERS[name])
    path = tmp_path / "config.yml"
    for text, values in ((FIRST, whole(FIRST)), (OTHERS[name], expected), (OTHERS[name], expected), (FIRST, whole(FIRST))):
        path.write_text(text, encoding="utf-8")
        found, problem = reader.read(path)
        assert (dict(found), problem == "") == (values or {}, values is not None)
        assert set(found) == set(values or {})
        if values is None:
            assert problem.startswith(f"config.yml cannot be read: {path}")


def test_only_what_is_new_is_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = []

    def counted(text: str, *rest: Any) -> Any:
        parsed.append(text)
        return parse(text, *rest)

    monkeypatch.setattr(run_configs, "parse", counted)
    reader, path = ConfigReader(), tmp_path / "config.yml"
    path.write_text(FIRST)
    first, _ = reader.read(path)
    assert len(parsed) == 7
    path.write_text(FIRST.replace("seed: 0", "seed: 1"))
    second, _ = reader.read(path)
    assert parsed[7:] == ["seed: 1\n"]
    assert (first["seed"], second["seed"]) == (0, 1) and first["sizes"] is second["sizes"]
