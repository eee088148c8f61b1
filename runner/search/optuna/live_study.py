"""The study that decides, in memory, and its copy in study.db. Importing this imports Optuna."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from runner.search.optuna.design import STUDY_DB
from runner.search.optuna.parts import optuna
from runner.search.optuna.proposal import Proposal
from runner.search.optuna.sampler import PointSampler
from runner.search.optuna.study import StudyMirror
from runner.search.spec import SweepSpec

FrozenTrial = optuna.trial.FrozenTrial
TrialState = optuna.trial.TrialState


class _Storage(optuna.storages.InMemoryStorage):
    """A storage that can show the study as if it had one trial."""

    def __init__(self) -> None:
        super().__init__()
        self.alone: int | None = None

    def get_all_trials(self, study_id: int, deepcopy: bool = True, states: Any = None) -> list[FrozenTrial]:
        trials = super().get_all_trials(study_id, deepcopy, states)
        return trials if self.alone is None else [trial for trial in trials if trial.number == self.alone]


class LiveStudy:
    """A study whose trials have the numbers of the sweep's.

    Args:
        sampler: of the study.
        folder: where study.db is kept; None: nowhere.
    """

    def __init__(self, spec: SweepSpec, sampler: PointSampler, folder: Path | None) -> None:
        self._storage = _Storage()
        self.study = optuna.create_study(
            storage=self._storage,
            sampler=sampler,
            pruner=optuna.pruners.NopPruner(),
            study_name=folder.name if folder is not None and folder.name else "sweep",
            directions=[metric.goal for metric in spec.metrics],
        )
        self._study_id = self._storage.get_study_id_from_name(self.study.study_name)
        metrics = [metric.name for metric in spec.metrics]
        self.mirror = StudyMirror(folder / STUDY_DB, self.study, metrics) if folder is not None else None
        self._is_shown = False

    def count(self) -> int:
        """Return the number of trials."""
        return len(self._storage.get_all_trials(self._study_id, deepcopy=False))

    def trial(self, number: int) -> FrozenTrial:
        """Return a trial as it is now."""
        return self._storage.get_trial(self._id(number))

    def handle(self, number: int) -> optuna.Trial:
        """Return the handle by which a running trial is changed."""
        return optuna.trial.Trial(self.study, self._id(number))

    def add(self, proposal: Proposal, users: Mapping[str, Any] | None = None) -> None:
        """Add a running trial with the next number."""
        trial = optuna.trial.create_trial(
            state=TrialState.RUNNING,
            params=proposal.params,
            distributions=proposal.distributions,
            system_attrs=proposal.attributes,
            user_attrs=dict(users or {}),
        )
        self.study.add_trial(trial)

    def fill(self, number: int, proposal: Proposal) -> None:
        """Write a trial's proposal into the place reserved for it: results arrive nearly in the order of the numbers."""
        for key, value in proposal.params.items():
            distribution = proposal.distributions[key]
            self._storage.set_trial_param(self._id(number), key, distribution.to_internal_repr(value), distribution)
        for key, value in proposal.attributes.items():
            self._storage.set_trial_system_attr(self._id(number), key, value)

    def attributes(self) -> dict[str, Any]:
        """Return the system attributes of the study."""
        return self._storage.get_study_system_attrs(self._study_id)

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Set system attributes of the study."""
        for key, value in attributes.items():
            self._storage.set_study_system_attr(self._study_id, key, value)

    def set_intermediate(self, number: int, step: int, value: float) -> None:
        """Set a trial's value at a step."""
        self._storage.set_trial_intermediate_value(self._id(number), step, value)

    @contextmanager
    def alone(self, number: int) -> Iterator[None]:
        """Show the study as if it had this trial alone."""
        self._storage.alone = number
        try:
            yield
        finally:
            self._storage.alone = None

    def begin_to_show(self) -> None:
        """Write all trials to study.db, and from now on those that change: until then the past is replayed."""
        if not self._is_shown:
            self._is_shown = True
            self.show(*range(self.count()))

    def show(self, *numbers: int) -> None:
        """Write trials to study.db."""
        if self.mirror is not None and self._is_shown:
            self.mirror.update(numbers)

    def show_whole(self) -> None:
        """Write everything that has not been written to study.db."""
        if self.mirror is not None:
            self.mirror.update((), whole=True)

    def _id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)
