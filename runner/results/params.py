"""Parameters of a trial, as its runs' run.json names them, and whether two runs can be compared at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from runner.config.stand_ins import STAND_INS
from runner.core.values import ABSENT, format_value, same_value
from runner.results.collect import DATA_SECTIONS, RunResult, recorded_content
from runner.results.notes import ReportNote, note
from runner.store.run_dir import DATA_PLACES

CONTENT: Final = " (content)"
"""End of the key under which `parameters` has a data set's content hash."""

SHOWN_DIGITS: Final = 10
"""Of a content hash, for people."""


def parameters(run: RunResult) -> dict[str, Any]:
    """Return dotted key to value of what identifies the run's trial, as its run.json says, and its data sets' content hashes."""
    keys = frozenset(run.trial_keys)
    content = {f"{section}{CONTENT}": found for section, found in recorded_content(run.facts).items()}
    return {key: run.config[key] for key in run.config if _is_or_lies_below(key, keys)} | content


def standing_for(varied: Iterable[str], run: RunResult) -> dict[str, Any]:
    """Return the value that a run's config has of each varied key that stands for others, such as `image_size`."""
    return {key: found for key in varied if key in STAND_INS and (found := STAND_INS[key].value_in(run.config)) is not None}


def without_followers(keys: Iterable[str], varied: Iterable[str]) -> list[str]:
    """Leave out the keys that a varied key stands for."""
    tests = [STAND_INS[key].follows for key in varied if key in STAND_INS]
    return [key for key in keys if not any(follows(key) for follows in tests)]


def _is_or_lies_below(key: str, keys: frozenset[str]) -> bool:
    while key not in keys:
        key, dot, _ = key.rpartition(".")
        if not dot:
            return False
    return True


def differing_keys(trials: Sequence[dict[str, Any]], first: Sequence[str] = ()) -> list[str]:
    """Return the keys whose value is not the same in all of `trials`: those in `first` before the others.

    Each backend writes down the defaults of its own keys: between backends a key that one of them does not have is no difference.
    """
    keys = dict.fromkeys([*first, *(key for trial in trials for key in trial)])
    several_backends = len({trial.get("backend") for trial in trials}) > 1
    found = []
    for key in keys:
        values = [trial.get(key, ABSENT) for trial in trials]
        if several_backends and key not in first:
            values = [value for value in values if value is not ABSENT]
        if any(not same_value(value, values[0]) for value in values[1:]):
            found.append(key)
    return found


def data_warnings(runs: Sequence[RunResult]) -> list[ReportNote]:
    """Return a note for each data set (evaluation, training) that is not the same for all of `runs`."""
    result: list[ReportNote] = []
    for which, section in (("eval", DATA_SECTIONS["eval"]), ("train", DATA_SECTIONS["train"])):
        by_data: dict[str, list[str]] = {}
        for run in runs:
            if run.config:
                by_data.setdefault(data_identity(run, section), []).append(run.id)
        if len(by_data) > 1:
            counts = {data: len(ids) for data, ids in by_data.items()}
            first = {data: ids[0] for data, ids in by_data.items()}
            made = {"section": section, "runs": counts, "first": first}
            result.append(note("other-data-eval", **made) if which == "eval" else note("other-data-train", **made))
    return result


def evaluated_on(runs: Iterable[RunResult]) -> set[str]:
    """Return the evaluation data of `runs` in words; of a run whose config cannot be read it is not known."""
    return {data_identity(run, DATA_SECTIONS["eval"]) for run in runs if run.config}


def data_identity(run: RunResult, section: str) -> str:
    """Return the data set in words: where it lies, or its content where that was recorded, and how it is read."""
    prefix = f"{section}."
    fields = {key.removeprefix(prefix): run.config[key] for key in run.config if key.startswith(prefix)}
    content = recorded_content(run.facts).get(section)
    settings = {key: value for key, value in fields.items() if key not in (*DATA_PLACES, "name", "data_fields")}
    if content:
        return ", ".join([f"content {content[:SHOWN_DIGITS]}", *(f"{key}={format_value(value)}" for key, value in settings.items())])
    folder, annotations = fields.get("dataset_dir") or "", fields.get("anno_path") or "(no annotations)"
    where = f"{folder}/{annotations}" if folder else str(annotations)
    return ", ".join([where, *(f"{key}={format_value(value)}" for key, value in settings.items() if value not in (None, -1, False))])
