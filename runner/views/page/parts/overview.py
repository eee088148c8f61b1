"""Part `overview`: what the page's header shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from runner.views.page.data import PageData
from runner.views.page.part import Answer, Query, json_answer


@dataclass(frozen=True, slots=True)
class Overview:
    """The header's data.

    Args:
        title: names of the folders.
        revision: see `PageData.revision`.
        runs: state to number of runs.
        trials: number of trials.
        problem: why there is no report; empty if there is one, or will be.
    """

    title: str
    revision: int
    runs: dict[str, int]
    trials: int
    problem: str


class OverviewPart:
    """The part."""

    keys: frozenset[str] = frozenset()

    def answer(self, data: PageData, query: Query) -> Answer:
        """Answer the only query there is."""
        states = Counter[str](run.result.state for run in data.runs().values())
        return json_answer(Overview(data.title, data.revision, dict(states), len(data.trials()), data.problem()))

    def frozen(self, data: PageData) -> Iterable[Query]:
        """Yield that query."""
        yield {}
