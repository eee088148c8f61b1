"""Part `overview`: what the page's header shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from runner.monitor.progress import STANDINGS
from runner.views.page.data import PageData, standing_of
from runner.views.page.evaluations import is_evaluated
from runner.views.page.part import PartAnswer, Query, json_answer
from runner.views.page.provisional import Seeds, provisional
from runner.views.page.redaction import Redaction, command_path


@dataclass(frozen=True, slots=True)
class PageOverview:
    """The header's data.

    Args:
        title: names of the folders.
        folders: the folders, each as a word of a command.
        revision: see `PageData.revision`.
        runs: number of runs per standing (`runner.monitor.progress.STANDINGS`, in that order), planned ones included, copies not.
        planned: number of runs per trial id, those that have no directory yet included.
        trials: number of trials.
        provisional: see `runner.views.page.provisional`.
        problem: why there is no report; empty if there is one, or will be.
        detection: a run has been evaluated class by class.
    """

    title: str
    folders: tuple[str, ...]
    revision: int
    runs: Mapping[str, int]
    planned: Mapping[str, int]
    trials: int
    provisional: Mapping[str, Seeds]
    problem: str
    detection: bool


class OverviewPart:
    """The part."""

    keys: frozenset[str] = frozenset()

    def answer(self, data: PageData, query: Query) -> PartAnswer:
        """Answer the only query there is."""
        results = [run.result for run in data.runs().values() if not run.result.copy_of]
        counts = Counter(map(standing_of, results))
        trials = data.trials()
        counts["waiting"] += sum(trial.waiting for trial in trials.values())
        planned = {trial.id: trial.waiting + sum(not data.runs()[run].result.copy_of for run in trial.runs) for trial in trials.values()}
        problem = Redaction(data.roots).text(data.problem())
        folders = tuple(command_path(root, root, private=data.is_private) for root in data.roots)
        detection = is_evaluated(data)
        runs = {name: counts[name] for name in STANDINGS if counts[name]}
        missing = provisional(data)
        return json_answer(PageOverview(data.title, folders, data.revision, runs, planned, len(trials), missing, problem, detection))

    def frozen(self, data: PageData, view: Query) -> Iterable[Query]:
        """Yield that query."""
        yield {}
