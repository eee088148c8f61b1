"""All that is known of a search, as data: what a page or a notebook draws from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from runner.core.text import json_text
from runner.results.search.audit import audit_pruning, audit_text
from runner.results.search.importance import importances
from runner.results.search.shapes import parallel, pareto_front, slices
from runner.results.search.trials import SearchResults
from runner.store.records import encode_number

FORMAT = 1


def search_data(results: SearchResults) -> dict[str, Any]:
    """Trials, ranking, importances, Pareto front, slices, parallel coordinates and the harm audit (null where nothing was pruned), as
    mappings, lists and scalars that JSON knows. Non-finite numbers are strings."""
    every = range(len(results.metrics))
    audit = audit_pruning(results)
    data = {
        "format": FORMAT,
        **_plain(results),
        "importances": [_plain(importances(results, metric)) for metric in every],
        "pareto": _plain(pareto_front(results)),
        "slices": [_plain(item) for metric in every for item in slices(results, metric)],
        "parallel": [_plain(parallel(results, metric)) for metric in every],
        "audit": None if audit is None else {**_plain(audit), "text": audit_text(audit)},
    }
    return data


def to_json(results: SearchResults) -> str:
    """`search_data` as JSON. Its form is described by `format`, which changes when a reader would have to."""
    return json_text(search_data(results), allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return encode_number(value)
    return value if value is None or isinstance(value, str | int) else str(value)
