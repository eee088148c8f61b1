"""Which keys of a resolved config make two runs different trials, and whether two runs can be compared at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from runner.core.values import format_value, same_value
from runner.results.collect import RunResult

NEUTRAL_KEYS: Final = frozenset(
    "backend_python dataset TestDataset TestReader weights worker_num find_unused_parameters save_dir keep_checkpoints log_iter "
    "sample_images trackers use_vdl vdl_log_dir".split()
)
"""Top-level keys that cannot change a result: they do not make two trials different (a test holds this against the
backends' schemas)."""

ADDED_LATER: Final = {"initial_distance": 0.0}
"""Keys that runs of before have not in their configs, and what such a run did without them (a test holds this against the backends'
schemas): it is the same trial as a run that has the key at that value."""

DATA_PATHS: Final = frozenset(("dataset_dir", "image_dir", "anno_path", "data_fields"))
"""Keys of a data set that say where it lies. Its content counts, where it was recorded; else these stand for it."""

_DATASETS: Final = {"train": "TrainDataset", "eval": "EvalDataset"}


CONTENT: Final = " (content)"
"""End of the key under which `parameters` has a data set's content hash."""

SHOWN_DIGITS: Final = 10
"""Of a content hash, for people."""


class _Absent:
    def __repr__(self) -> str:
        return "–"


ABSENT: Final = _Absent()
"""A key that a run's config does not have."""


def parameters(run: RunResult) -> dict[str, Any]:
    """Dotted key to value of what can change the run's result, its seed left out."""
    recorded = _recorded_data(run)
    kept: dict[str, Any] = {}
    for key, value in ({**ADDED_LATER, **run.config} if run.config else {}).items():
        first, last = key.partition(".")[0], key.rpartition(".")[2]
        if first in NEUTRAL_KEYS or key == "seed" or last == "data_fields":
            continue
        if first in _DATASETS.values() and last in DATA_PATHS and recorded.get(first):
            continue
        kept[key] = value
    return kept | {f"{section}{CONTENT}": content for section, content in recorded.items() if content}


def differing_keys(trials: Sequence[dict[str, Any]], first: Sequence[str] = ()) -> list[str]:
    """The keys whose value is not the same in all of `trials`: those in `first` before the others.

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


def data_warnings(runs: Sequence[RunResult]) -> list[str]:
    """A sentence for each data set (evaluation, training) that is not the same for all of `runs`."""
    result = []
    consequence = {
        "eval": "their metrics are not comparable",
        "train": "differences may come from the data and not from the parameters",
    }
    for which, section in (("eval", _DATASETS["eval"]), ("train", _DATASETS["train"])):
        by_data: dict[str, list[str]] = {}
        for run in runs:
            if run.config:
                by_data.setdefault(data_identity(run, section), []).append(run.id)
        if len(by_data) > 1:
            groups = "; ".join(f"{len(ids)} on {data} ({ids[0]}{', …' if len(ids) > 1 else ''})" for data, ids in by_data.items())
            result.append(f"{section} is not the same for all runs, so {consequence[which]}: {groups}")
    return result


def _recorded_data(run: RunResult) -> dict[str, str]:
    """Section to content hash, where the run's facts have one (``data: {train: …, eval: …}``)."""
    data = run.facts.get("data")
    return {section: str(data.get(which) or "") for which, section in _DATASETS.items()} if isinstance(data, dict) else {}


def evaluated_on(runs: Iterable[RunResult]) -> set[str]:
    """The evaluation data of `runs` in words; of a run whose config cannot be read it is not known."""
    return {data_identity(run, _DATASETS["eval"]) for run in runs if run.config}


def data_identity(run: RunResult, section: str) -> str:
    """The data set in words: where it lies, or its content where that was recorded, and how it is read."""
    fields = {key.partition(".")[2]: value for key, value in run.config.items() if key.startswith(f"{section}.")}
    content = _recorded_data(run).get(section)
    settings = {key: value for key, value in fields.items() if key not in DATA_PATHS and key != "name"}
    if content:
        return ", ".join([f"content {content[:SHOWN_DIGITS]}", *(f"{key}={format_value(value)}" for key, value in settings.items())])
    folder, annotations = fields.get("dataset_dir") or "", fields.get("anno_path") or "(no annotations)"
    where = f"{folder}/{annotations}" if folder else str(annotations)
    return ", ".join([where, *(f"{key}={format_value(value)}" for key, value in settings.items() if value not in (None, -1, False))])
