"""Loss terms that hardly moved while a run trained, from its records: one rule for the warning during training and for every view.

Two rules, each with the figures that its threshold was chosen by in benchmarks/LOG.md (`python -m benchmarks.learning` repeats them):

- The box loss of FCOS. It is 1 − IoU in kind, so it has a scale: a run is marked where it is still above 0.55 over the last tenth of the
  steps and has fallen by less than 30 % of its first record. A head with one side stuck at zero ends at 0.61 or more, a healthy one of 150
  steps at 0.45 or less.
- Every loss term. It differs by less than 0.5 % both from its first record and from the middle of the run. Only a whole run is judged by
  this: a term with a floor of its own (centre-ness) moves that little in half a run.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from runner.core.files import open_regular
from runner.store.records import Record, without_superseded

LOSSES = "train/loss"
"""Beginning of the tags of loss terms."""
BOX_TERM = "train/loss_box"
BOX_LEVEL = 0.55
BOX_FALL = 0.3
LEAST_CHANGE = 0.005
_LEAST_RECORDS = 4
HEAD_BYTES, _TAIL_BYTES = 1 << 18, 1 << 16
_LAST = 0.9
_MIDDLE = 0.4, 0.6


@dataclass(frozen=True, slots=True)
class FlatTerm:
    """Loss term that hardly moved.

    Args:
        name: without ``train/``.
        first: mean in the first record.
        last: mean over the last tenth of the steps.
    """

    name: str
    first: float
    last: float

    def __str__(self) -> str:
        return f"{self.name} {self.first:.3g} → {self.last:.3g}"


def flat_terms(metrics: Path, steps: int | None = None) -> tuple[FlatTerm, ...]:
    """Find the loss terms of a run that hardly moved. Never raises for what is in the file.

    Reads the first 256 KiB and the last 64 KiB of the file, whatever its length.

    Args:
        metrics: its metrics.jsonl.
        steps: optimiser steps of the whole training; a run that has not done half of them is not judged. None: the training is over.
    """
    try:
        records = map(Record.from_line, ends(metrics))
    except OSError:
        return ()
    return judge(without_superseded(record for record in records if record is not None), steps)


def judge(records: Sequence[Record], steps: int | None = None) -> tuple[FlatTerm, ...]:
    """Find the loss terms that hardly moved in the records that count (see `flat_terms`)."""
    trained = [record for record in records if any(tag.startswith(LOSSES) for tag in record.values)]
    tags = dict.fromkeys(tag for record in trained for tag in record.values if tag.startswith(LOSSES))
    terms = {tag: [(record.step, record.values[tag]) for record in trained if tag in record.values] for tag in tags}
    return judge_terms(terms, len(trained), trained[-1].step if trained else 0, steps)


def judge_terms(terms: Mapping[str, Sequence[tuple[int, float]]], records: int, end: int, steps: int | None = None) -> tuple[FlatTerm, ...]:
    """Find the loss terms that hardly moved (see `flat_terms`).

    Args:
        terms: tag of a loss term to its steps and values, in the order of the records that count.
        records: number of records that have one of them.
        end: step of the last of these.
    """
    if records < _LEAST_RECORDS:
        return ()
    if steps is None:
        steps = end
    if steps <= 0 or 2 * end < steps:
        return ()
    found = (_flat(tag, values, end, whole=end >= steps) for tag, values in terms.items())
    return tuple(term for term in found if term is not None)


def in_words(terms: Sequence[FlatTerm]) -> str:
    """Describe the marked terms: ``hardly learned: loss_box 0.79 → 0.62``; empty where there are none."""
    return f"hardly learned: {', '.join(map(str, terms))}" if terms else ""


def _flat(tag: str, values: Sequence[tuple[int, float]], end: int, *, whole: bool) -> FlatTerm | None:
    found = [(step, value) for step, value in values if math.isfinite(value)]
    last = _mean([value for step, value in found if step > _LAST * end] or [value for _, value in found[-1:]])
    middle = _mean([value for step, value in found if _MIDDLE[0] * end < step <= _MIDDLE[1] * end])
    if last is None or not (first := found[0][1]):
        return None
    stuck = tag == BOX_TERM and last > BOX_LEVEL and last > (1 - BOX_FALL) * first
    still = whole and all(abs(last - value) < LEAST_CHANGE * abs(value) for value in (first, last if middle is None else middle))
    return FlatTerm(tag.removeprefix("train/"), first, last) if stuck or still else None


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(value / len(values) for value in values) if values else None  # divided first: a loss may be near 1e308


def ends(path: Path) -> list[bytes]:
    """Return the whole lines in the first 256 KiB and the last 64 KiB of a file. Raises OSError: it cannot be read."""
    with open_regular(path) as file:
        head = file.read(HEAD_BYTES).split(b"\n")
        size = file.seek(0, os.SEEK_END)
        tail: list[bytes] = []
        if size > HEAD_BYTES:
            head.pop()  # cut off
            start = max(HEAD_BYTES, size - _TAIL_BYTES)
            file.seek(start)
            tail = file.read(_TAIL_BYTES).split(b"\n")[start > HEAD_BYTES :]
    return [line for line in chain(head, tail) if line]
