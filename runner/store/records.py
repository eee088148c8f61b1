"""metrics.jsonl: the records a run appends while it trains, and a reader that copes with killed writers."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import IO, Any, Final, Literal

from runner.core.files import open_if_there, open_lines, parse_json, split_lines
from runner.store import legacy

Kind = Literal["train", "evaluation"]

_NUMBERS = (int, float)
_KINDS: Final = ("train", "evaluation")
_MOST = 2**53
_LATEST_S = 1e11
_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


@dataclass(frozen=True, slots=True)
class Record:
    """Numbers measured at one step of one attempt.

    Args:
        attempt: 1 for a run's first process, counted up by every resume.
        step: optimiser steps finished when this was measured.
        epoch: epochs finished, as a fraction (step / steps per epoch).
        time: seconds since 1970 (wall clock).
        values: tag to number: ``train/loss``, ``train/lr``, ``resource/memory_gib``, ``bbox/AP50``, ``bbox/AP/short``, …
        resumed: True for the mark an attempt writes first: it continues from `step`, so all records after `step` are superseded.
        kind: evaluation: `values` are metrics of the evaluation set; train: everything else.
    """

    attempt: int
    step: int
    epoch: float
    time: float
    values: Mapping[str, float] = field(default_factory=dict)
    resumed: bool = False
    kind: Kind = "train"

    @property
    def is_evaluation(self) -> bool:
        """True if `values` are metrics of the evaluation set."""
        return self.kind == "evaluation"

    def to_line(self) -> str:
        """One line of JSON without its line end. Non-finite numbers are strings, so that every JSON reader can read them."""
        data: dict[str, Any] = {"attempt": self.attempt, "step": self.step, "epoch": self.epoch, "time": self.time}
        if self.resumed:
            data["resumed"] = True
        else:
            data["kind"] = self.kind
        data["values"] = {tag: encode_number(value) for tag, value in self.values.items()}
        return json.dumps(data, allow_nan=False, ensure_ascii=False)

    @classmethod
    def from_line(cls, line: str | bytes) -> Record | None:
        """Return the record in `line`, or None if the line is torn or is not a record."""
        try:
            data = parse_json(line)
            values = {  # most are floats: a call for each would take a tenth of the time
                sys.intern(tag): value if type(value) is float else decode_number(value) for tag, value in data["values"].items()
            }
            attempt, step, epoch, time = data["attempt"], data["step"], data["epoch"], data["time"]
            resumed, kind = data.get("resumed", False), data.get("kind")
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        if not (type(attempt) is type(step) is int and type(epoch) in _NUMBERS and type(time) in _NUMBERS and type(resumed) is bool):
            return None
        if not (0 <= attempt <= _MOST and 0 <= step <= _MOST and 0 <= epoch <= _MOST and 0 <= time <= _LATEST_S):
            return None
        if kind is None:  # version 0.1 wrote it, or it is a mark
            values, kind = legacy.upgrade_values(values), legacy.record_kind(values)
        elif kind not in _KINDS:
            return None
        return cls(attempt, step, float(epoch), float(time), values, resumed, kind)


def encode_number(value: float) -> float | int | str:
    """`value`, or "NaN" / "Infinity" / "-Infinity" where JSON has no number for it."""
    if isinstance(value, int) or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def decode_number(value: Any) -> float:
    """Return the inverse of `encode_number`. Raises ValueError for anything else."""
    if isinstance(value, str):
        if value not in _NON_FINITE:
            raise ValueError(f"not a number: {value!r}")
        return _NON_FINITE[value]
    if type(value) not in _NUMBERS:
        raise ValueError(f"not a number: {value!r:.100}")
    return float(value)


class RecordWriter:
    """Appends records to one file, each in a single write. A torn last line from a killed writer is closed off first."""

    def __init__(self, path: Path) -> None:
        self._file: IO[bytes] = open_lines(path)

    def write(self, record: Record) -> None:
        """Append one record; it is in the operating system's hands (not on the disk) when this returns."""
        self._file.write(record.to_line().encode("utf-8") + b"\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_records(path: Path) -> list[Record]:
    """Return the records that count (see `stream_records`)."""
    return list(stream_records(path))


def stream_records(path: Path) -> Iterator[Record]:
    """Yield the records that count, in the order of the file (see `stream_all_records`). Raises OSError: it cannot be read."""
    return (record for record, counts in stream_all_records(path) if counts)


def stream_all_records(path: Path) -> Iterator[tuple[Record, bool]]:
    """Yield every record of a metrics.jsonl and whether it counts: marks of resumed attempts and superseded records do not.

    Torn lines are skipped; a missing file has no records. The file is read twice, first for the marks, so that a long one costs no memory.

    Raises:
        OSError: it cannot be read.
    """
    if (file := open_if_there(path)) is None:
        return
    with file:
        marks = [record.step for line in split_lines(file) if b'"resumed"' in line and (record := _mark(line)) is not None]
        end = file.tell()  # what is appended from now on may hold another mark
        file.seek(0)
        limits = [*accumulate(reversed(marks), min)]  # the last one is the first attempt's
        limit: float = limits.pop() if limits else math.inf
        for line in split_lines(file):
            if file.tell() > end:
                return
            record = Record.from_line(line)
            if record is None:
                continue
            if record.resumed:
                limit = limits.pop() if limits else math.inf
            yield record, not record.resumed and record.step <= limit


def _mark(line: bytes) -> Record | None:
    record = Record.from_line(line)
    return record if record is not None and record.resumed else None


def evaluations_in(lines: Iterable[bytes]) -> Iterator[Record]:
    """Yield the evaluations among lines of a metrics.jsonl. Lines of other records are not parsed, so that a driver can follow
    many runs."""
    for line in lines:
        if (b'"evaluation"' in line or legacy.may_be_evaluation(line)) and (record := Record.from_line(line)) is not None:
            if record.is_evaluation:
                yield record


def without_superseded(records: Iterable[Record]) -> list[Record]:
    """Drop the marks of resumed attempts and every record with a step beyond that of such a mark."""
    kept: list[Record] = []
    for record in records:
        if record.resumed:
            kept = [old for old in kept if old.step <= record.step]
        else:
            kept.append(record)
    return kept


def last_values(records: Iterable[Record]) -> dict[str, float]:
    """Each tag's last value."""
    result: dict[str, float] = {}
    for record in records:
        result.update(record.values)
    return result
