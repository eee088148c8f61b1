"""Part `points`: every value of a tag as CSV, not thinned."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any

from runner.core.errors import InputError
from runner.views.page.data import PageData
from runner.views.page.part import PartAnswer, Query
from runner.views.page.parts.curves import columns_of
from runner.views.renderers.csv_file import csv_cell

_HEADER = ("run", "trial", "label", "seed", "tag", "attempt", "step", "epoch", "time", "value")


class PointsPart:
    """The part."""

    keys: frozenset[str] = frozenset({"tag"})

    def answer(self, data: PageData, query: Query) -> PartAnswer:
        """Answer the values of a tag, one per row, with all of their digits; `time` in seconds since 1970. Superseded ones are left out."""
        if not query.get("tag"):
            raise InputError("points: no tag given; expected tag=train/loss, or another")
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(_HEADER)
        writer.writerows(_rows(data, query["tag"]))
        return PartAnswer(text.getvalue().encode("utf-8", "replace"), "text/csv")

    def frozen(self, data: PageData, view: Query) -> Iterable[Query]:
        """Yield nothing: a frozen file holds thinned curves only."""
        return ()


def _rows(data: PageData, tag: str) -> Iterator[list[Any]]:
    for run in data.runs().values():
        points = columns_of(data, run, tag).points(tag)
        if points is None:
            continue
        trial = data.trials()[run.trial]
        facts = [csv_cell(fact) for fact in (run.result.path.name, trial.number, trial.label, run.result.seed, tag)]
        numbers = (points.attempt, points.step, points.epoch, points.time, points.values)
        for attempt, step, epoch, time, value in zip(*(column.tolist() for column in numbers), strict=True):
            yield [*facts, attempt, int(step), epoch, time, value]
