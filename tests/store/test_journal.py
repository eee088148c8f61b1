"""A sweep's journal: typed events, whatever is in the file."""

from __future__ import annotations

import json
import os
import time
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any

import pytest

from runner.core.errors import InputError
from runner.store.events import (
    EVENTS,
    CommandReceived,
    Event,
    RunEnded,
    RunRetried,
    RunStarted,
    SweepPaused,
    TrialPruned,
    TrialQueued,
    event_from_json,
    event_to_json,
    kind_of,
)
from runner.store.journal import Journal, read_journal

END: dict[str, Any] = {
    "event": "run_ended",
    "run": "0000-a-s0",
    "trial": 0,
    "seed": 1,
    "key": "k",
    "state": "done",
    "values": {"bbox/AP": 0.5},
}
ENDED = RunEnded("0000-a-s0", 0, 1, "k", "done", values={"bbox/AP": 0.5})
SAMPLES: dict[str, Any] = {
    "trial": 3,
    "label": "lr=0.1 – ü",
    "overrides": {"lr": 0.1},
    "seeds": (0, 1),
    "proposal": {"params": {"lr": 0.1}},
    "reason": "why",
    "run": "0003-lr=0.1-s0",
    "seed": 1,
    "key": "abc",
    "attempt": 2,
    "state": "failed",
    "text": "{",
    "action": "stop",
}


def test_every_event_comes_back_as_it_was_appended(tmp_path: Path) -> None:
    events = [cls(**{each.name: SAMPLES[each.name] for each in fields(cls) if each.default is MISSING}) for cls in EVENTS.values()]
    journal = Journal(tmp_path / "journal.jsonl")
    for event in events:
        journal.append(event)
    journal.close()
    back = list(read_journal(tmp_path / "journal.jsonl"))
    assert [replace(event, time=0.0) for event in back] == events and len(back) >= 19
    assert all(abs(event.time - time.time()) < 60 for event in back)
    assert list(read_journal(tmp_path / "journal.jsonl", RunEnded, TrialQueued)) == [
        event for event in back if isinstance(event, RunEnded | TrialQueued)
    ]
    lines = (tmp_path / "journal.jsonl").read_text().splitlines()
    assert [json.loads(line)["event"] for line in lines] == [kind_of(type(event)) for event in events]


def test_names_are_those_of_the_classes() -> None:
    assert kind_of(RunEnded) == "run_ended" and kind_of(TrialQueued) == "trial_queued"
    assert event_from_json(event_to_json(ENDED)) == ENDED
    assert event_from_json({"event": "of a newer version"}) is None


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
    lines = [json.dumps(END), json.dumps({**END, **wrong}), '{"event": "run_ended", "time": 1e999}', "[" * 100_000, '{"event": "end"}', "{"]
    path.write_text("\n".join(lines))
    assert list(read_journal(path)) == [ENDED] == list(read_journal(path, RunEnded))


@pytest.mark.parametrize(
    ("line", "event"),
    [
        ({**END, "event": "end"}, ENDED),
        ({"event": "start", "run": "a", "trial": 1, "seed": 0, "key": "k", "attempt": 2}, RunStarted("a", 1, 0, "k", 2)),
        ({"event": "retry", "run": "a", "trial": 1, "reason": "killed"}, RunRetried("a", 1, "killed")),
        ({"event": "retry", "asked_for": None}, CommandReceived("retry")),
        ({"event": "stop", "asked_for": "3"}, CommandReceived("stop", "3")),
        ({"event": "pause", "asked_for": None}, CommandReceived("pause")),
        ({"event": "pause", "reason": "the disk is full"}, SweepPaused("the disk is full")),
        ({"event": "prune", "trial": 1, "reason": "stopped by hand"}, TrialPruned(1, "stopped by hand")),
        (
            {"event": "trial", "trial": 1, "label": "x", "overrides": {}, "seeds": [1], "proposal": {}},
            TrialQueued(1, "x", {}, (1,), {}),
        ),
    ],
)
def test_lines_of_version_0_1_are_upgraded(tmp_path: Path, line: dict[str, Any], event: Event) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text(json.dumps(line) + "\n")
    assert list(read_journal(path)) == [event] == list(read_journal(path, type(event)))
    assert list(read_journal(path, *(kind for kind in EVENTS.values() if kind is not type(event)))) == []


def test_what_is_no_file_is_one_message(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "journal.jsonl")
    assert list(read_journal(tmp_path / "journal.jsonl")) == []
    with pytest.raises(InputError, match="FIFO"):
        Journal(tmp_path / "journal.jsonl")
