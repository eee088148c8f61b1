"""Files of older versions as today's readers see them."""

from __future__ import annotations

import json

from runner.store.records import Record, evaluations_in


def old_line(step: int, **values: float) -> bytes:
    return json.dumps({"attempt": 1, "step": step, "epoch": 0.5, "time": 1000.0, "values": values}).encode()


def test_a_record_without_a_kind_is_an_evaluation_by_its_tags() -> None:
    lines = [old_line(1, **{"train/loss": 0.5}), old_line(2, **{"bbox/AP": 0.25, "bbox/AP50": 0.5}), b'{"bbox/', old_line(3, bbox=1.0)]
    assert [record and record.kind for record in map(Record.from_line, lines)] == ["train", "evaluation", None, "train"]
    assert [record.step for record in evaluations_in(lines)] == [2]
