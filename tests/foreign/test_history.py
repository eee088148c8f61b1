"""Records of the logs of one run: merged, restarted, with tags that count other steps. What is written is read back as runs are."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import pytest
from support.logs import START, Value

from runner.foreign.history import LogHistory, is_evaluation, make_history
from runner.foreign.scalars import LogValues
from runner.store.records import Record, RecordWriter, read_records


def log(values: Iterable[Value]) -> LogValues:
    found = LogValues()
    for tag, step, at, value in values:
        found.add(tag, step, START + at, value)
    return found


def curves(history: LogHistory, tmp_path: Path) -> dict[str, list[tuple[int, float]]]:
    """Tag to (step, value) of the records that count, as readers of a run directory see them."""
    path = tmp_path / "metrics.jsonl"
    path.unlink(missing_ok=True)
    writer = RecordWriter(path)
    for record in history.records():
        writer.write(record)
    writer.close()
    found: dict[str, list[tuple[int, float]]] = {}
    for record in read_records(path):
        for tag, value in record.values.items():
            found.setdefault(tag, []).append((record.step, value))
    return found


def line(tag: str, steps: Iterable[int], start: float = 0.0, value: float = 1.0) -> list[Value]:
    return [(tag, step, start + at, value) for at, step in enumerate(steps)]


def test_values_of_one_step_and_moment_are_one_record() -> None:
    history = make_history(
        [log([("a", 1, 0.0, 1.0), ("b", 1, 0.5, 2.0), ("a", 1, 0.6, 3.0), ("b", 1, 9.0, 4.0), ("bbox/AP", 1, 9.0, 0.5)])]
    )
    mark, *records = history.records()
    assert mark == Record(1, 0, 0.0, START, resumed=True)
    assert [(dict(record.values), record.time - START, record.kind) for record in records] == [
        ({"a": 1.0, "b": 2.0}, 0.0, "train"),
        ({"a": 3.0}, pytest.approx(0.6), "train"),
        ({"b": 4.0}, 9.0, "train"),
        ({"bbox/AP": 0.5}, 9.0, "evaluation"),
    ]
    assert (history.tags, history.values, history.restarts, history.last_step) == (("a", "b", "bbox/AP"), 5, 0, 1)


def test_logs_that_go_on_are_one_attempt(tmp_path: Path) -> None:
    history = make_history([log(line("a", [30, 40], start=100)), log(line("a", [10, 20]))])
    assert (history.restarts, history.superseded) == (0, 0)
    assert curves(history, tmp_path) == {"a": [(10, 1.0), (20, 1.0), (30, 1.0), (40, 1.0)]}


def test_a_restart_supersedes_what_it_does_again(tmp_path: Path) -> None:
    first, second = line("a", [10, 20, 30, 40], value=1.0), line("a", [30, 40, 50], start=100, value=2.0)
    history = make_history([log(first), log(second)])
    assert (history.restarts, history.superseded, history.values) == (1, 2, 5)
    assert curves(history, tmp_path) == {"a": [(10, 1.0), (20, 1.0), (30, 2.0), (40, 2.0), (50, 2.0)]}
    marks = [(record.attempt, record.step, record.time - START) for record in history.records() if record.resumed]
    assert marks == [(1, 0, 0.0), (2, 20, 100.0)]
    assert sum(not record.resumed for record in history.records()) == 7  # the superseded ones are kept, for who wants to see them


def test_a_restart_within_one_log(tmp_path: Path) -> None:
    history = make_history([log([*line("a", [1, 2, 3]), *line("b", [1, 2, 3]), *line("a", [2, 3, 4], value=5.0), ("b", 3, 9, 5.0)])])
    assert history.restarts == 1
    assert curves(history, tmp_path) == {"a": [(1, 1.0), (2, 5.0), (3, 5.0), (4, 5.0)], "b": [(1, 1.0), (2, 1.0), (3, 5.0)]}


def test_tags_that_count_epochs_beside_iterations_are_kept_apart(tmp_path: Path) -> None:
    def attempt(iterations: range, epochs: range, start: float, value: float) -> LogValues:
        return log([*line("loss", iterations, start, value), *line("mAP", epochs, start + 500, value)])

    history = make_history([attempt(range(0, 300, 10), range(3), 0, 1.0), attempt(range(200, 400, 10), range(2, 4), 1000, 2.0)])
    found = curves(history, tmp_path)
    assert found["loss"] == [(step, 1.0 if step < 200 else 2.0) for step in range(0, 400, 10)]
    assert found["mAP"] == [(0, 1.0), (1, 1.0), (2, 2.0), (3, 2.0)]
    assert history.values == 44 and history.superseded == 11


def test_a_restart_from_the_beginning(tmp_path: Path) -> None:
    history = make_history([log(line("a", range(5))), log(line("a", range(3), start=100, value=2.0))])
    assert curves(history, tmp_path) == {"a": [(0, 2.0), (1, 2.0), (2, 2.0)]}


def test_restarts_of_restarts(tmp_path: Path) -> None:
    logs = [log(line("a", range(first, 10), start=100.0 * first, value=float(first))) for first in (0, 2, 5)]
    logs.append(log(line("a", range(1, 4), start=2000, value=9.0)))
    assert curves(make_history(logs), tmp_path) == {"a": [(0, 0.0), (1, 9.0), (2, 9.0), (3, 9.0)]}


def test_logs_of_the_same_time_are_merged(tmp_path: Path) -> None:
    one, other = line("a", [1, 2, 3]), [("b", step, step + 0.5, 2.0) for step in (3, 2, 1)]
    history = make_history([log(one), log(other[::-1])])
    assert history.restarts == 0
    assert [record.time for record in history.records()] == sorted(record.time for record in history.records())


def test_numbers_that_are_not_finite_are_kept(tmp_path: Path) -> None:
    found = curves(make_history([log([("a", 1, 0, math.nan), ("a", 2, 5, -math.inf)])]), tmp_path)
    assert math.isnan(found["a"][0][1]) and found["a"][1][1] == -math.inf


def test_hostile_tags_survive(tmp_path: Path) -> None:
    tags = ["</script>", "\u2028", "\0\x1b[31m", "__proto__", "=1+1", "汉字", "x" * 500]
    assert curves(make_history([log([(tag, 1, 0, 1.0) for tag in tags])]), tmp_path).keys() == set(tags)


def test_many_tags_of_one_step_fit_into_lines(tmp_path: Path) -> None:
    tags = ["\0" * 490 + f"{number:05}" for number in range(2000)]
    assert len(curves(make_history([log([(tag, 1, 0, 1.0) for tag in tags])]), tmp_path)) == 2000


def test_no_values() -> None:
    history = make_history([LogValues()])
    assert (history.values, history.tags, list(history.records())) == (0, (), [])


@pytest.mark.parametrize(("tag", "expected"), [("bbox/AP", True), ("mAP", True), ("bbox-mAP", True), ("loss", False), ("my_mAP", False)])
def test_metrics_of_an_evaluation(tag: str, expected: bool) -> None:
    assert is_evaluation(tag) == expected
