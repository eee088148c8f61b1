"""Records of a run from the values of its logs: several logs are one history, in which a restart supersedes what it does again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from runner.foreign.scalars import LogValues
from runner.store.records import Kind, Record

_SAME_MOMENT_S: Final = 1.0
"""Time within which values of one step are one record."""
_MOST_PER_RECORD: Final = 500
_EVALUATION_ENDS: Final = ("mAP",)
_EVALUATION_STARTS: Final = ("bbox/",)

_Booleans = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _TagValues:
    """Values in their order; arrays of one length. `tag`: number of a tag."""

    tag: npt.NDArray[np.int64]
    step: npt.NDArray[np.int64]
    time: npt.NDArray[np.float64]
    value: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.tag)

    def take(self, index: Any) -> _TagValues:
        """Return some of the values."""
        return _TagValues(self.tag[index], self.step[index], self.time[index], self.value[index])


@dataclass(frozen=True, slots=True)
class _Attempt:
    """Values of an attempt that are written, since when, and behind which step it continues."""

    values: _TagValues
    start: float
    mark: int


@dataclass(frozen=True, slots=True)
class LogHistory:
    """Records of an imported run.

    Args:
        names: all tags; `tags`: those of the values that count.
        values: number of values that count.
        restarts: how often the logs begin again at an earlier step.
        superseded: number of values that a restart superseded.
        first_s, last_s: time of the first and the last value, in seconds since 1970; last_step: largest step.
    """

    names: tuple[str, ...]
    tags: tuple[str, ...]
    values: int
    restarts: int
    superseded: int
    first_s: float
    last_s: float
    last_step: int
    attempts: tuple[_Attempt, ...]

    def records(self) -> Iterator[Record]:
        """Yield the records in the order of the file, each attempt's mark first."""
        for number, attempt in enumerate(self.attempts, 1):
            yield Record(number, attempt.mark, 0.0, attempt.start, resumed=True)
            yield from _records(attempt.values, self.names, number)


def is_evaluation(tag: str) -> bool:
    """Return whether a tag is that of a metric of the evaluation set: ``bbox/…`` as here, ``mAP`` or ``bbox-mAP`` as in PaddleDetection."""
    return tag.startswith(_EVALUATION_STARTS) or tag.rpartition("-")[2] in _EVALUATION_ENDS


def make_history(logs: Sequence[LogValues]) -> LogHistory:
    """Join the logs of one run.

    A log that begins after the others have ended, and at an earlier step of some tag, is a restart; so is a step back within a log. It
    supersedes, of each tag, the values from the tag's first new step on. Logs of the same time are one attempt, in the order of time.
    """
    names = sorted({name for log in logs for name in log.tags})
    attempts = _attempts([_part(log, names) for log in logs if len(log.tag)], len(names))
    counts = [np.ones(len(part), np.bool_) for part in attempts]
    written = [np.ones(len(part), np.bool_) for part in attempts]
    marks = [0] * len(attempts)
    for number, part in enumerate(attempts):
        first = _first_steps(part, len(names))
        for earlier in range(number):
            counts[earlier] &= attempts[earlier].step < first[attempts[earlier].tag]
        kept = [attempts[earlier].step[counts[earlier]] for earlier in range(number)]
        marks[number] = int(max((steps.max() for steps in kept if len(steps)), default=0))
        for earlier in range(number):  # what the mark does not supersede, since other tags count other steps, is left out
            written[earlier] &= counts[earlier] | (attempts[earlier].step > marks[number])
    used = {int(tag) for part, mask in zip(attempts, counts, strict=True) for tag in np.unique(part.tag[mask])}
    total = sum(int(mask.sum()) for mask in counts)
    return LogHistory(
        names=tuple(names),
        tags=tuple(names[tag] for tag in sorted(used)),
        values=total,
        restarts=max(0, len(attempts) - 1),
        superseded=sum(map(len, attempts)) - total,
        first_s=min((float(part.time.min()) for part in attempts), default=0.0),
        last_s=max((float(part.time.max()) for part in attempts), default=0.0),
        last_step=max((int(part.step[mask].max()) for part, mask in zip(attempts, counts, strict=True) if mask.any()), default=0),
        attempts=tuple(
            _Attempt(part.take(mask), float(part.time.min()), mark) for part, mask, mark in zip(attempts, written, marks, strict=True)
        ),
    )


def _part(log: LogValues, names: Sequence[str]) -> _TagValues:
    place = {name: number for number, name in enumerate(names)}
    numbers = np.array([place[name] for name in log.tags], np.int64)
    return _TagValues(numbers[np.array(log.tag)], np.array(log.step, np.int64), np.array(log.time), np.array(log.value))


def _attempts(logs: Sequence[_TagValues], tags: int) -> list[_TagValues]:
    """Return the values of each attempt."""
    attempts: list[list[_TagValues]] = []
    last = np.full(tags, -1, np.int64)
    end = -np.inf
    for log in sorted(logs, key=lambda part: float(part.time.min())):
        pieces = _split(log)
        goes_back = bool((_first_steps(pieces[0], tags) < last).any())
        begins_later = float(log.time.min()) >= end
        if attempts and not (goes_back and begins_later):
            attempts[-1].append(pieces[0])
        else:
            attempts.append([pieces[0]])
        attempts += [[piece] for piece in pieces[1:]]
        np.maximum.at(last, log.tag, log.step)
        end = max(end, float(log.time.max()))
    return [_joined(parts) for parts in attempts]


def _joined(parts: Sequence[_TagValues]) -> _TagValues:
    if len(parts) == 1:
        return parts[0]
    whole = _TagValues(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("tag", "step", "time", "value")))
    return whole.take(np.argsort(whole.time, kind="stable"))


def _split(log: _TagValues) -> list[_TagValues]:
    """Split a log where a tag's step goes back."""
    order = np.argsort(log.tag, kind="stable")
    previous = np.full(len(log), -1, np.int64)
    same = log.tag[order][1:] == log.tag[order][:-1]
    previous[order[1:][same]] = order[:-1][same]
    back = np.flatnonzero((previous >= 0) & (log.step < log.step[previous]))
    cuts = [0]
    for place in back.tolist():
        if previous[place] >= cuts[-1]:
            cuts.append(place)
    return [log.take(slice(one, other)) for one, other in zip(cuts, [*cuts[1:], len(log)], strict=True)]


def _first_steps(part: _TagValues, tags: int) -> npt.NDArray[np.int64]:
    """Return the smallest step of each tag, the largest int64 where the tag has none."""
    first = np.full(tags, np.iinfo(np.int64).max)
    np.minimum.at(first, part.tag, part.step)
    return first


def _records(part: _TagValues, names: Sequence[str], attempt: int) -> Iterator[Record]:
    """Yield the records of an attempt. Values of one step and moment are one record."""
    kinds: list[Kind] = ["evaluation" if is_evaluation(name) else "train" for name in names]
    step, time, kind = 0, 0.0, kinds[0]
    values: dict[str, float] = {}
    for tag, at, when, value in zip(*(column.tolist() for column in (part.tag, part.step, part.time, part.value)), strict=True):
        name = names[tag]
        is_same = at == step and kinds[tag] == kind and 0 <= when - time <= _SAME_MOMENT_S
        if values and not (is_same and name not in values and len(values) < _MOST_PER_RECORD):
            yield Record(attempt, step, 0.0, time, values, kind=kind)
            values = {}
        if not values:
            step, time, kind = at, when, kinds[tag]
        values[name] = value
    if values:
        yield Record(attempt, step, 0.0, time, values, kind=kind)
