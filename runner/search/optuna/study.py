"""study.db: the sweep as Optuna's viewers read it. A copy, rebuilt from the run directories whenever it differs from them."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sqlalchemy.pool import NullPool

from runner.search.optuna.design import STUDY_DB
from runner.search.optuna.parts import optuna, quiet

FrozenTrial = optuna.trial.FrozenTrial
RDBStorage = optuna.storages.RDBStorage

_LOCKED_S: Final = 1.0
"""Time for which a viewer may keep the file locked before the write is postponed."""
_AGAIN_S: Final = 30.0
"""Time without writes after a write has failed."""
_SLICE_S: Final = 0.2
"""Time limit per call for writing the past: 2,000 trials take 40 s in all."""
_NOT_SHOWN: Final = ("cma:optimizer", "sepcma:optimizer", "cmawm:optimizer", "gp:relative_params", "tpe:relative_params")
"""System attributes that are long and mean nothing to a viewer."""
log = logging.getLogger("runner.search")


@dataclass
class _Row:
    """Trial as the database has it."""

    id: int
    finished: bool
    params: set[str]
    steps: dict[int, float]
    attributes: set[str]  # u:NAME of users, s:NAME of the system


@dataclass
class StudyMirror:
    """A database of one study beside a sweep's runs.

    Args:
        path: of the file.
        study: what it mirrors.
        metrics: names of the objectives.
        clock: seconds that only go up.
    """

    path: Path
    study: optuna.Study
    metrics: Sequence[str]
    clock: Callable[[], float] = time.monotonic
    _storage: RDBStorage | None = None
    _study_id: int = 0
    _inode: int = 0
    _rows: dict[int, _Row] = field(default_factory=dict)
    _changed: set[int] = field(default_factory=set)
    _not_before: float | None = None
    _warned: bool = False

    def update(self, numbers: Iterable[int], *, whole: bool = False) -> None:
        """Write trials that have changed. A long past is written piece by piece, a little at each call, or all of it with `whole`.

        Never raises: a database that cannot be written causes one warning and is tried again later; only viewers need it.
        """
        self._changed.update(numbers)
        if self._not_before is not None and self.clock() < self._not_before:
            return
        self._not_before = None
        try:
            with quiet():
                self._write(math.inf if whole else _SLICE_S)
        except Exception as error:  # noqa: BLE001 - whatever Optuna, SQLAlchemy or the disk raise: a copy never ends the sweep
            if self._storage is not None:
                with contextlib.suppress(Exception):
                    self._storage.remove_session()
                self._storage = None
            self._not_before = self.clock() + _AGAIN_S
            if not self._warned:
                self._warned = True
                reason = error.__cause__ or error
                log.warning(
                    "%s cannot be written (%s); the sweep continues, and the file is repaired as soon as possible", self.path, reason
                )

    def _write(self, longest_s: float) -> None:
        trials = self.study.get_trials(deepcopy=False)
        if self._storage is None or not self.path.exists() or self.path.stat().st_ino != self._inode:
            self._open(trials)
        until = self.clock() + longest_s
        for number in sorted(self._changed):
            self._write_trial(trials[number])
            self._changed.discard(number)
            if self.clock() > until:
                break

    def _open(self, trials: Sequence[FrozenTrial]) -> None:
        """Continue the file if it holds this very study, else replace it by a new one."""
        if not self._load(trials):
            partial = self.path.with_name(f"{STUDY_DB}.tmp")
            for file in (partial, partial.with_name(f"{partial.name}-journal")):
                file.unlink(missing_ok=True)
            self._connect(partial)
            self.path.with_name(f"{self.path.name}-journal").unlink(missing_ok=True)  # of the file that is replaced
            os.replace(partial, self.path)
            self._connect(self.path)
        self._inode = self.path.stat().st_ino
        self._changed.update(range(len(trials)))

    def _load(self, trials: Sequence[FrozenTrial]) -> bool:
        """Return whether the file holds a beginning of this study."""
        if not self.path.is_file():
            return False
        try:
            self._connect(self.path)
            assert self._storage is not None
            if len(self._storage.get_all_studies()) != 1:
                return False
            found = self._storage.get_all_trials(self._study_id, deepcopy=False)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, a new one is made
            if "locked" in str(error) or "locked" in str(error.__cause__):
                raise
            return False
        self._rows = {trial.number: _row(trial) for trial in found}
        return len(found) <= len(trials) and all(map(_goes_on_as, found, trials))

    def _connect(self, path: Path) -> None:
        self._rows = {}
        # by `creator`, since a path may hold what a URL may not
        self._storage = RDBStorage("sqlite://", engine_kwargs={"poolclass": NullPool, "creator": lambda: _open_file(path)})
        study = optuna.create_study(
            storage=self._storage, study_name=self.study.study_name, directions=self.study.directions, load_if_exists=True
        )
        if study.metric_names != list(self.metrics):
            study.set_metric_names(list(self.metrics))
        if study.directions != self.study.directions:
            raise ValueError("another study")
        self._study_id = self._storage.get_study_id_from_name(self.study.study_name)

    def _write_trial(self, trial: FrozenTrial) -> None:
        storage, row = self._storage, self._rows.get(trial.number)
        assert storage is not None
        if row is None:
            shown = _shown(trial)
            self._rows[trial.number] = _row(shown, storage.create_new_trial(self._study_id, template_trial=shown))
            return
        if row.finished:
            return
        for key, value in trial.params.items():
            if key not in row.params:
                distribution = trial.distributions[key]
                storage.set_trial_param(row.id, key, distribution.to_internal_repr(value), distribution)
                row.params.add(key)
        for step, number in trial.intermediate_values.items():
            if row.steps.get(step) != number:
                storage.set_trial_intermediate_value(row.id, step, number)
                row.steps[step] = number
        for kind, attributes, put in (
            ("u:", trial.user_attrs, storage.set_trial_user_attr),
            ("s:", _shown(trial).system_attrs, storage.set_trial_system_attr),
        ):
            for key, value in attributes.items():
                if kind + key not in row.attributes:
                    put(row.id, key, value)
                    row.attributes.add(kind + key)
        if trial.state.is_finished():
            storage.set_trial_state_values(row.id, trial.state, trial.values)
            row.finished = True


def _open_file(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_LOCKED_S)
    connection.execute("PRAGMA synchronous = OFF")  # a file that a power loss has torn is made anew
    return connection


def _shown(trial: FrozenTrial) -> FrozenTrial:
    attributes = {key: value for key, value in trial.system_attrs.items() if not key.startswith(_NOT_SHOWN)}
    return optuna.trial.FrozenTrial(
        number=trial.number,
        state=trial.state,
        value=None,
        values=trial.values,
        datetime_start=trial.datetime_start,
        datetime_complete=trial.datetime_complete,
        params=dict(trial.params),
        distributions=dict(trial.distributions),
        user_attrs=dict(trial.user_attrs),
        system_attrs=attributes,
        intermediate_values=dict(trial.intermediate_values),
        trial_id=trial.number,
    )


def _row(trial: FrozenTrial, trial_id: int | None = None) -> _Row:
    attributes = {f"u:{key}" for key in trial.user_attrs} | {f"s:{key}" for key in trial.system_attrs}
    number = trial._trial_id if trial_id is None else trial_id
    return _Row(number, trial.state.is_finished(), set(trial.params), dict(trial.intermediate_values), attributes)


def _goes_on_as(found: FrozenTrial, trial: FrozenTrial) -> bool:
    """Return whether the database's copy of a trial can be updated to the trial."""
    same = found.params.items() <= trial.params.items() and all(
        trial.distributions.get(key) == distribution for key, distribution in found.distributions.items()
    )
    if not same or (trial.state.is_finished() and not found.intermediate_values.keys() <= trial.intermediate_values.keys()):
        return False  # (the evaluations of one that runs again may still be to come)
    if found.state.is_finished():
        return found.state == trial.state and found.values == trial.values and found.intermediate_values == trial.intermediate_values
    return True
