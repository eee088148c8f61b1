"""The filter language of the selection bar, in the browser that runs it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.browser import Pages
from support.finished import make_run

RUNS = {
    "r0": {"name": "0000-baseline-s0", "seed": 0, "state": "done", "reason": "", "values": {"bbox/AP": 0.40}},
    "r1": {"name": "0000-baseline-s1", "seed": 1, "state": "done", "reason": "", "values": {"bbox/AP": 0.42}},
    "r2": {"name": "0001-lr=0.004-s0", "seed": 0, "state": "done", "reason": "", "values": {"bbox/AP": 0.50}},
    "r3": {"name": "0001-lr=0.004-s1", "seed": 1, "state": "failed", "reason": "CUDA out of memory", "values": {}},
    "r4": {"name": "0002-deep net-s0", "seed": 0, "state": "running", "reason": "", "values": {"bbox/AP": 0.2}},
}
TRIALS = [
    ("baseline", 0, {"LearningRate.base_lr": 0.002, "TrainReader.batch_size": 8}, ["r0", "r1"], 0.41),
    ("lr=0.004", 1, {"LearningRate.base_lr": 0.004, "TrainReader.batch_size": 8}, ["r2", "r3"], 0.50),
    ("deep net", 2, {"LearningRate.base_lr": 0.002, "FCOS.backbone": "ResNet", "milestones": [2, 3]}, ["r4"], None),
]
FILTER = """async ([text, trials, runs]) => {
  const { parseFilter } = await import("/filter.js");
  const names = {keys: [...new Set(trials.flatMap((t) => Object.keys(t.parameters)))], tags: ["bbox/AP", "bbox/AP50"], labels: trials.map((t) => t.label)};
  const found = parseFilter(text, names);
  if (found.error) return found.error;
  const of = (trial) => trial.runs.map((id) => runs[id]);
  return {
    trials: trials.filter((trial) => found.trial(trial, of(trial))).map((trial) => trial.number),
    runs: trials.flatMap((trial) => trial.runs.filter((id) => found.run(trial, runs[id]))),
  };
}"""  # noqa: E501 - JavaScript

Filter = Callable[[str], dict[str, Any]]


@pytest.fixture
def filtered(pages: Pages, tmp_path: Path) -> Filter:
    """Applies a filter to the trials above."""
    make_run(tmp_path / "sweep")
    page = pages.show(tmp_path / "sweep")
    trials = [
        {"label": label, "number": number, "parameters": parameters, "runs": runs, "metrics": {"bbox/AP": {"mean": mean}}}
        for label, number, parameters, runs, mean in TRIALS
    ]
    return lambda text: page.evaluate(FILTER, [text, trials, RUNS])


def test_a_filter_finds_trials(filtered: Filter) -> None:
    """A trial is found if one of its runs is; a metric is that of the mean, of the newest evaluation where no seed is done."""
    expected = {
        "": [0, 1, 2],
        "lr": [1],
        "BASE": [0],
        "baseline-s1": [0],
        '"deep net"': [2],
        "deep net": [2],
        "/^lr=0\\.0+4$/": [1],
        "-/^lr/": [0, 2],
        "base_lr=0.002": [0, 2],
        "base_lr=2e-3": [0, 2],
        "LearningRate.base_lr!=0.002": [1],
        "base_lr>1e-3 base_lr<4e-3": [0, 2],
        "batch_size>=8": [0, 1],
        "backbone=resnet": [2],
        "milestones=[2,3]": [2],
        "AP>0.405": [0, 1],
        "bbox/AP<=0.41": [0, 2],
        "state:failed": [1],
        "-state:failed": [0, 2],
        "state:running or state:failed": [1, 2],
        "base_lr=0.002 state:done or deep": [0, 2],
        "seed:1": [0, 1],
        "trial:2": [2],
        "reason:memory": [1],
        "lr=0.004": [1],
        "nothing-has-this": [],
    }
    assert {text: filtered(text)["trials"] for text in expected} == expected


def test_a_filter_finds_single_runs(filtered: Filter) -> None:
    expected = {
        "state:done": ["r0", "r1", "r2"],
        "seed:1": ["r1", "r3"],
        "AP>=0.42": ["r1", "r2"],
        "base_lr=0.004 seed:0": ["r2"],
        "-state:done": ["r3", "r4"],
    }
    assert {text: filtered(text)["runs"] for text in expected} == expected


def test_a_wrong_filter_names_its_mistake(filtered: Filter) -> None:
    expected = {
        "/lr": {"id": "filter.unclosed-pattern", "term": "/lr"},
        '"deep': {"id": "filter.unclosed-quote", "term": '"deep'},
        "/(/": {"id": "filter.bad-pattern", "term": "("},
        "lr or": {"id": "filter.empty-or"},
        "or lr": {"id": "filter.empty-or"},
        "stat:failed": {"id": "filter.no-field", "name": "stat", "known": "state:, seed:, trial:, reason:"},
        "batchsize>8": {"id": "filter.no-key", "name": "batchsize", "nearest": "TrainReader.batch_size"},
        "zzz>8": {"id": "filter.no-key", "name": "zzz", "nearest": ""},
        "base_lr>": {"id": "filter.no-value", "name": "base_lr", "operator": ">"},
        "AP>high": {"id": "filter.not-a-number", "name": "AP", "value": "high"},
        "state:": {"id": "filter.no-value", "name": "state", "operator": ":"},
    }
    assert {text: filtered(text) for text in expected} == expected


def test_names_of_objects_are_names_like_others(filtered: Filter) -> None:
    assert filtered("__proto__")["trials"] == []
    assert filtered("constructor=1") == {"id": "filter.no-key", "name": "constructor", "nearest": filtered("constructor=1")["nearest"]}
