"""The fake backend: what the worker calls. Imports no NumPy and no framework."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runner.backends.base import Predictor, Probe
from runner.backends.fake.schema import FakeConfig
from runner.backends.fake.script import Script
from runner.backends.fake.training import FakeTrainer
from runner.core.errors import InputError, Problem
from runner.evaluation import MetricSet
from runner.store.run_dir import PrimaryMetric
from runner.training.context import RunContext


class FakeBackend:
    """See `runner.backends.base.Backend`."""

    name = "fake"
    config_class: type[Any] = FakeConfig
    numerics_version = 1
    packages: tuple[str, ...] = ()
    preload = "runner.backends.fake.preload"
    open_gpu_on_import: tuple[str, ...] = ()
    checkpoint_suffix = ".json"
    export_formats: tuple[str, ...] = ()

    def check(self, config: FakeConfig) -> Sequence[Problem]:
        """Find the problems of the formulas and the table."""
        try:
            Script(config)
        except InputError as error:
            return error.problems
        return ()

    def metrics(self, config: FakeConfig) -> MetricSet:
        """Return the tags of the config's formulas; the first one decides."""
        tags = tuple(config.metrics)
        return MetricSet(PrimaryMetric("".join(tags[:1]), config.goal, tags[1:3]), tags)

    def probe(self) -> Probe:
        """Return no versions: only this program decides its numbers."""
        return Probe({}, gpu_problem="the fake backend uses none")

    def ranks(self, config: FakeConfig) -> None:
        """Return None: one process trains."""

    def train(self, config: FakeConfig, run: RunContext) -> None:
        """One attempt, see `runner.backends.fake.training`."""
        FakeTrainer(config, run).run()

    def class_names(self, weights: Path) -> tuple[str, ...]:
        """Return nothing: the fake backend has no classes."""
        return ()

    def export(self, config: FakeConfig, weights: Path, to: str, file: Path, facts: Mapping[str, Any]) -> None:
        """Raise InputError: the fake backend has no model."""
        raise InputError("the fake backend has no model, and exports nothing")

    def predictor(self, config: FakeConfig, weights: Path, *, reader: str = "EvalReader", batch_size: int | None = None) -> Predictor:
        """Raise InputError: the fake backend has no model."""
        raise InputError("the fake backend has no model, and predicts nothing")
