"""Part `report`: the comparison or the report on a search, as `runner compare --format json` prints it, with ids instead of paths."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final

from runner.core.errors import InputError
from runner.views.page.data import PageData
from runner.views.page.part import PartAnswer, Query, encode_json, encoded, json_answer
from runner.views.page.provisional import provisional
from runner.views.page.redaction import Redaction
from runner.views.renderers.base import Report

_FEW_REPORTS: Final = 10
"""Metrics and trials, at most, by and against which a frozen file has reports."""


class ReportPart:
    """The part."""

    keys: frozenset[str] = frozenset({"metric", "against"})

    def answer(self, data: PageData, query: Query) -> PartAnswer:
        """Answer ``{"subject": …, "problem": …, "provisional": …, "report": …}``.

        `report` is null while there is none. `provisional`: trial id to ``{"done": …, "planned": …}``, see `runner.views.page.provisional`.
        With `metric`, `against` (id of a trial) or both, it is the report by that metric, against that trial.
        """
        report, missing, hide = data.report(), provisional(data), Redaction(data.roots)
        if report is not None and (query.get("metric") or query.get("against")):
            try:
                report = data.other_report(query.get("metric") or None, _number(data, query.get("against")))
            except InputError as error:
                raise InputError(hide.text(str(error))) from error
        if report is None:
            return json_answer({"subject": None, "problem": hide.text(data.problem()), "provisional": missing, "report": None})
        ids = {str(run.result.path): run.id for run in data.runs().values()}
        if report is data.report():  # asked for after every change, while it stays the same
            arguments = (report, ids, data.is_private)
            [found] = data.memo.recall("report", {"": arguments}, lambda one, runs, private: encode_json(_shown(one, runs, private, hide)))
        else:
            found = encode_json(_shown(report, ids, data.is_private, hide))
        return json_answer({"subject": report.subject, "problem": "", "provisional": missing, "report": encoded(found)})

    def frozen(self, data: PageData, view: Query) -> Iterable[Query]:
        """Yield the query for the sweep's own report, that of the view, and where they are few, those by each of its metrics and against
        each trial."""
        yield {}
        if data.report() is None:
            return
        others = [trial.id for trial in data.trials().values() if trial.number >= 0 and not trial.is_baseline]
        metrics = data.metric.shown[1:]
        few = len(metrics) + len(others) <= _FEW_REPORTS
        wanted = [(metric, against) for metric in ("", *metrics) for against in ("", *others)] if few else []
        picked = view.get("metric", "") if view.get("metric") != data.metric.name else ""
        for metric, against in dict.fromkeys([*wanted, (picked, view.get("base", ""))]):
            query = {key: value for key, value in (("metric", metric), ("against", against)) if value}
            with suppress(InputError):  # there is no such report
                if query and data.other_report(metric or None, _number(data, against)):
                    yield query


def _shown(report: Report, ids: dict[str, str], is_private: bool, hide: Redaction) -> Any:
    """Return a report without paths; where only this machine can ask, with the commands as they work here."""
    value = with_ids(report.data(), ids)
    found = hide.value(value)
    if is_private:
        found["answer"] = value["answer"]
    return found


def _number(data: PageData, against: str | None) -> int | None:
    """Return the number of the trial that an id names; None without one."""
    if not against:
        return None
    if (trial := data.trials().get(against)) is None:
        raise InputError(f"report: no trial {against!r}")
    if trial.number < 0:
        raise InputError(f"{trial.label} belongs to no sweep: only a trial of a sweep can be the one that others are compared with")
    return trial.number


def with_ids(value: Any, ids: dict[str, str]) -> Any:
    """Replace each path of a run by the run's id, in texts that are nothing but a path."""
    if isinstance(value, dict):
        return {key: with_ids(item, ids) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [with_ids(item, ids) for item in value]
    return ids.get(value, value) if isinstance(value, str) else value
