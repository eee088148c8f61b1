"""A sweep's journal: what a reader takes from it, whatever stands in it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from runner.core.errors import InputError
from runner.store.journal import Journal, read_journal

END: dict[str, Any] = {"event": "end", "run": "0000-a-s0", "trial": 0, "seed": 1, "state": "done", "values": {"bbox/AP": 0.5}}


@pytest.mark.parametrize(
    "wrong",
    [
        {"run": "../../x"},
        {"run": "a/b"},
        {"trial": -1},
        {"trial": True},
        {"seed": [[1]]},
        {"state": "dead"},
        {"values": {"bbox/AP": "text"}},
        {"values": [1]},
        {"time": 1e300},
        {"event": {}},
    ],
)
def test_an_event_with_a_wrong_field_is_left_out(tmp_path: Path, wrong: dict[str, Any]) -> None:
    path = tmp_path / "journal.jsonl"
    lines = [json.dumps(END), json.dumps({**END, **wrong}), '{"event": "end", "time": 1e999}', "[" * 100_000, '{"event": "end"}', "{"]
    path.write_text("\n".join(lines))
    assert list(read_journal(path)) == [END] == list(read_journal(path, "end"))


def test_what_is_no_file_is_one_message(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "journal.jsonl")
    assert list(read_journal(tmp_path / "journal.jsonl")) == []
    with pytest.raises(InputError, match="FIFO"):
        Journal(tmp_path / "journal.jsonl")
