"""metrics.jsonl as columns of numbers: read once, then only what was appended, in bounded memory.

What is returned equals `runner.store.records.read_records`. A line takes a tenth of the time, since msgspec decodes many at once; where it
refuses one, or lines are not one object each, the lines around it are read by `Record.from_line` instead.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from io import BytesIO
from operator import itemgetter
from pathlib import Path
from typing import IO, Annotated, Any, Final, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from runner.core.files import MAX_LINE_BYTES, open_if_there, split_lines
from runner.store import legacy
from runner.store.records import Kind, Record

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int32]

_PREFIX_BYTES = 256
_PIECE_BYTES = 1 << 20
_TOO_LONG_NUMBER = 2.0**64
_Size = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class _JsonLine(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A line, as `Record.to_line` writes it. Anything else is for `Record.from_line` to judge."""

    attempt: _Size
    step: _Size
    epoch: Annotated[float, msgspec.Meta(ge=0, le=2**53)]
    time: Annotated[float, msgspec.Meta(ge=0, le=1e11)]
    values: dict[str, float | Literal["NaN", "Infinity", "-Infinity"]]
    resumed: bool = False
    kind: Kind | None = None


_DECODER: Final = msgspec.json.Decoder(_JsonLine)


@dataclass(frozen=True, slots=True)
class AttemptMark:
    """First record of an attempt: everything after `step` that stands before it in the file is superseded.

    Args:
        row: number of records before it.
        attempt, step, epoch, time: see `runner.store.records.Record`.
    """

    row: int
    attempt: int
    step: int
    epoch: float
    time: float


@dataclass(frozen=True, slots=True)
class Points:
    """Values of one tag in the order of the file, with where they were measured; `time` in seconds since 1970. Arrays of one length."""

    step: Floats
    epoch: Floats
    time: Floats
    attempt: npt.NDArray[np.int64]
    values: Floats


@dataclass(frozen=True, slots=True)
class Block:
    """Records that have the same tags in the same order. `values`: Float64[tags, records]."""

    rows: Rows
    values: Floats


@dataclass(frozen=True, slots=True)
class Columns:
    """Numbers of a metrics.jsonl. Immutable: `read_columns` makes the next state from the last one.

    Args:
        file: inode, first bytes and size in bytes, by which it is recognised.
        end: offset behind the last line's end.
        step, epoch, time: Float64[records]; `attempt`: Int64[records].
        counts: Bool[records]: False if superseded.
        blocks: tags and kind to records.
        marks: of the attempts, in order.
        without_last: the state without a last line that has no end; None if it has one.
    """

    file: tuple[int, bytes, int] = (0, b"", 0)
    end: int = 0
    step: Floats = field(default_factory=lambda: np.empty(0))
    epoch: Floats = field(default_factory=lambda: np.empty(0))
    time: Floats = field(default_factory=lambda: np.empty(0))
    attempt: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    counts: npt.NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_))
    blocks: Mapping[tuple[Kind, tuple[str, ...]], Block] = field(default_factory=dict)
    marks: tuple[AttemptMark, ...] = ()
    without_last: Columns | None = None

    @property
    def nbytes(self) -> int:
        """Memory that it takes, in bytes."""
        own = 33 * len(self.step) + sum(block.rows.nbytes + block.values.nbytes + 500 for block in self.blocks.values())
        return own + (self.without_last.nbytes if self.without_last is not None else 0)

    def tags(self) -> dict[str, Kind]:
        """Return tag to kind of the records that count: evaluation, if any of them is one."""
        found: dict[str, Kind] = {}
        for (kind, tags), block in self.blocks.items():
            if self.counts[block.rows].any():
                found.update({tag: kind for tag in tags if kind == "evaluation" or tag not in found})
        return found

    def points(self, tag: str, *, superseded: bool = False) -> Points | None:
        """Return the values of a tag that count, or those that a resumed attempt superseded; None if there are none."""
        found = [(block.rows, block.values[tags.index(tag)]) for (_, tags), block in self.blocks.items() if tag in tags]
        if not found:
            return None
        rows, values = (np.concatenate(parts) for parts in zip(*found, strict=True)) if len(found) > 1 else found[0]
        if len(found) > 1:
            order = np.argsort(rows, kind="stable")
            rows, values = rows[order], values[order]
        kept = self.counts[rows] != superseded
        if not kept.any():
            return None
        if not kept.all():
            rows, values = rows[kept], values[kept]
        return Points(self.step[rows], self.epoch[rows], self.time[rows], self.attempt[rows], values)

    def evaluations(self) -> list[tuple[int, dict[str, float]]]:
        """Return (step, tag to value) of every evaluation that counts, in order."""
        found: list[tuple[int, int, dict[str, float]]] = []
        for (kind, tags), block in self.blocks.items():
            if kind == "evaluation" and (kept := self.counts[block.rows]).any():
                rows = block.rows[kept]
                values = (dict(zip(tags, row, strict=True)) for row in block.values[:, kept].T.tolist())
                found += zip(rows.tolist(), map(int, self.step[rows].tolist()), values, strict=True)
        return [(step, values) for _, step, values in sorted(found, key=itemgetter(0))]

    def terms(self, prefix: str) -> tuple[dict[str, list[tuple[int, float]]], Rows]:
        """Return tags that begin with `prefix`, in order of appearance, with steps and values that count; and the rows that have one."""
        found: list[tuple[int, list[str], Rows]] = []
        for (_, tags), block in self.blocks.items():
            named = [tag for tag in tags if tag.startswith(prefix)]
            if named and len(rows := block.rows[self.counts[block.rows]]):
                found.append((int(rows[0]), named, rows))
        found.sort(key=itemgetter(0))
        terms = {}
        for tag in dict.fromkeys(tag for _, named, _ in found for tag in named):
            if (points := self.points(tag)) is not None:
                terms[tag] = list(zip(map(int, points.step.tolist()), points.values.tolist(), strict=True))
        return terms, np.sort(np.concatenate([rows for _, _, rows in found] or [np.empty(0, np.int32)]))

    def seconds_by_attempt(self) -> dict[int, float]:
        """Return the seconds from the start of each attempt to its last record that counts; attempts without one are left out."""
        found = {}
        for attempt in np.unique(self.attempt[self.counts]).tolist():
            last = np.flatnonzero(self.counts & (self.attempt == attempt))[-1]
            found[attempt] = max(0.0, float(self.time[last]) - self._start(attempt))
        return found

    def _start(self, attempt: int) -> float:
        """Return the time of the first mark or record of an attempt, which has a record."""
        first = int(np.argmax(self.attempt == attempt))
        return next((mark.time for mark in self.marks if mark.attempt == attempt and mark.row <= first), float(self.time[first]))

    def seconds_of_training(self, time: Floats, attempt: npt.NDArray[Any]) -> Floats:
        """Return the seconds that the run had trained at a time of an attempt: those of its earlier attempts that count, and since the
        attempt's start. As `runner.results.collect.RunResult.time_s`, the time between attempts and what was done twice are left out."""
        result = np.zeros(len(time))
        spent, by_attempt = 0.0, self.seconds_by_attempt()
        marked = {mark.attempt: mark.time for mark in reversed(self.marks)}
        for number in np.union1d(self.attempt, attempt).tolist():
            start = self._start(number) if number in self.attempt else marked[number]
            here = attempt == number
            result[here] = spent + np.maximum(time[here] - start, 0)
            spent += by_attempt.get(number, 0.0)
        return result

    def marks_that_count(self) -> list[AttemptMark]:
        """Return the marks whose step no later mark went back behind."""
        kept: list[AttemptMark] = []
        for mark in self.marks:
            kept = [old for old in kept if old.step <= mark.step] + [mark]
        return kept


def read_columns(path: Path, last: Columns | None = None) -> Columns:
    """Read a metrics.jsonl; a missing file has no records.

    Args:
        last: what was read of it before: where the file has only grown since then, only what is new is read. A last line without its
            end, which may still be being written, counts if it is a whole record, and is read again the next time.

    Raises:
        OSError: it cannot be read.
    """
    if (file := open_if_there(path)) is None:
        return Columns()
    with file:
        status = os.fstat(file.fileno())
        prefix = file.read(_PREFIX_BYTES)
        base = Columns()
        if last is not None and last.file[0] == status.st_ino and prefix.startswith(last.file[1]):
            if status.st_size == last.file[2]:
                return last
            if status.st_size > last.file[2]:
                base = last.without_last or last
        reading = _Reading(base)
        file.seek(base.end)
        rest = reading.add_lines(file)
        identity = (status.st_ino, prefix, file.tell())
        columns = replace(reading.columns(), file=identity)
        if rest.strip(b"\r") and reading.add(rest):
            return replace(reading.columns(), file=identity, without_last=columns)
        return columns


def columns_of_lines(lines: Sequence[bytes]) -> Columns:
    """Return the numbers of lines of a metrics.jsonl."""
    reading = _Reading(Columns())
    reading.add(b"\n".join([*lines, b""]))
    return reading.columns()


class _Reading:
    """Columns that grow. `end`: offset behind the last line's end."""

    def __init__(self, base: Columns) -> None:
        self.end = base.end
        self._base = base
        self._count = len(base.step)
        self._numbers: list[npt.NDArray[np.float64]] = []
        self._blocks: dict[tuple[Kind, tuple[str, ...]], list[Block]] = {}
        self._marks: list[AttemptMark] = []

    def add_lines(self, file: IO[bytes]) -> bytes:
        """Add the lines from the current position on, skipping those longer than `MAX_LINE_BYTES`. Return the last one if it has no end."""
        rest, skipped = b"", 0
        while piece := file.read(_PIECE_BYTES):
            first = piece.find(b"\n") + 1
            if not first:
                rest += piece
                if skipped or len(rest) > MAX_LINE_BYTES:
                    rest, skipped = b"", skipped + len(rest)
                continue
            cut = piece.rfind(b"\n") + 1
            too_long = skipped or len(rest) + first > MAX_LINE_BYTES + 1
            self.add(piece[first:cut] if too_long else rest + piece[:cut])
            self.end += skipped + len(rest) + cut
            rest, skipped = piece[cut:], 0
        return rest

    def add(self, lines: bytes) -> bool:
        """Add lines; return whether there was a record among them."""
        found = _decode(lines)
        if not self._add(found):
            self._add(_decode_one_by_one(lines, strictly=True), strictly=True)
        return bool(found)

    def _add(self, lines: Sequence[_JsonLine | Record], *, strictly: bool = False) -> bool:
        """Add records. Return False, and add none, where a number may be one that `Record.from_line` refuses as too long."""
        count, marks = self._count, []
        numbers: list[float] = []
        groups: dict[tuple[Kind, tuple[str, ...]], tuple[list[int], list[Any]]] = {}
        for line in lines:
            if line.resumed:
                marks.append(AttemptMark(count, line.attempt, line.step, line.epoch, line.time))
                continue
            values: Mapping[str, float | str] = line.values
            if (kind := line.kind) is None:
                values = legacy.upgrade_values(dict(values))
                kind = legacy.record_kind(values)
            key = (kind, tuple(values))
            if (group := groups.get(key)) is None:
                group = groups[key] = ([], [])
            group[0].append(count)
            group[1].extend(values.values())
            numbers += (line.step, line.epoch, line.time, line.attempt)
            count += 1
        blocks = {}
        for key, (rows, flat) in groups.items():
            table = np.array(flat, np.float64).reshape(len(rows), len(key[1]))  # reads "NaN" and "-Infinity" too
            if not strictly and (np.abs(table[np.isfinite(table)]) >= _TOO_LONG_NUMBER).any():
                return False
            blocks[key] = Block(np.array(rows, np.int32), np.ascontiguousarray(table.T))
        for key, block in blocks.items():
            self._blocks.setdefault(key, []).append(block)
        self._numbers.append(np.array(numbers).reshape(-1, 4))
        self._marks += marks
        self._count = count
        return True

    def columns(self) -> Columns:
        """Return the columns so far."""
        base = self._base
        step, epoch, time, attempt = np.concatenate([np.empty((0, 4)), *self._numbers]).T
        blocks = dict(base.blocks)
        for key, added in self._blocks.items():
            parts = [*([base.blocks[key]] if key in base.blocks else []), *added]
            rows, values = np.concatenate([part.rows for part in parts]), np.concatenate([part.values for part in parts], axis=1)
            blocks[key] = Block(rows, values)
        steps = np.concatenate([base.step, step])
        counts = np.concatenate([base.counts, np.ones(len(step), np.bool_)])
        for mark in self._marks:
            counts[: mark.row] &= steps[: mark.row] <= mark.step
        return Columns(
            end=self.end,
            step=steps,
            epoch=np.concatenate([base.epoch, epoch]),
            time=np.concatenate([base.time, time]),
            attempt=np.concatenate([base.attempt, attempt.astype(np.int64)]),
            counts=counts,
            blocks=blocks,
            marks=(*base.marks, *self._marks),
        )


def _decode(lines: bytes) -> Sequence[_JsonLine | Record]:
    """Return the records in lines, in order."""
    count = lines.count(b"\n")
    # Each line begins with { and ends with }: then no value goes on over a line's end, so that as many values as lines are one each.
    if b"\\" not in lines and lines[:1] == b"{" and lines[-2:] == b"}\n" and lines.count(b"}\n{") == count - 1:
        try:
            found = _DECODER.decode_lines(lines)
        except (msgspec.DecodeError, ValueError, RecursionError):
            pass
        else:
            if len(found) == count:
                return found
    return _decode_one_by_one(lines)


def _decode_one_by_one(lines: bytes, *, strictly: bool = False) -> list[_JsonLine | Record]:
    found: list[_JsonLine | Record] = []
    for line in split_lines(BytesIO(lines)):
        record: _JsonLine | Record | None = None
        if not strictly and b"\\" not in line:
            with suppress(msgspec.DecodeError, ValueError, RecursionError):
                record = _DECODER.decode(line)
        if record is None:
            record = Record.from_line(line)
        if record is not None:
            found.append(record)
    return found
