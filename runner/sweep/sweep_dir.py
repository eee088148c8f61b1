"""Layout of the sweep directory: the request, the plan, the drivers' files and the runs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from runner.core.errors import InputError, Problem
from runner.core.files import NO_FILE_THERE, atomic_open, atomic_write_json, read_bytes, read_json
from runner.core.lock import holder
from runner.core.typed import Count, Name, build, fits
from runner.core.values import natural, shell_path
from runner.search.spec import Metric, SweepSpec
from runner.store import legacy
from runner.store.identities import Identities, identify
from runner.store.run_dir import RunDir, not_a_directory
from runner.sweep.plan import PlannedRun


@dataclass(frozen=True, slots=True)
class _Racing:
    max_seeds: Count


@dataclass(frozen=True, slots=True)
class _Spec:
    """The part of the spec in plan.json that is read."""

    design: str = ""
    seeds: tuple[Count, ...] = ()
    metric: Metric | tuple[Metric, ...] | None = None
    racing: _Racing | None = None
    constraints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _PlanEntry:
    """The part of a run in plan.json that is read."""

    id: Name
    trial: Count = 0
    seed: Count = 0
    key: str = ""
    label: str = ""
    overrides: Mapping[str, Any] = field(default_factory=dict)


_PLAN: dict[str, Any] = {
    "digest": str,
    "command": list[str],
    "cwd": str,
    "given": str,
    "spec": _Spec,
    "warnings": list[str],
    "measured": Mapping[str, Any],
    "runs": list[_PlanEntry],
}
"""Types of the values in plan.json."""


class SweepDir:
    """Paths of one sweep directory. Nothing is created or touched by making this object."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.runs = self.path / "runs"
        self.given = self.path / "sweep.yml"
        self.plan_file = self.path / "plan.json"
        self.journal = self.path / "journal.jsonl"
        self.control = self.path / "control.jsonl"
        self.lock = self.path / "sweep.lock"
        self.study = self.path / "study.db"

    def files(self) -> tuple[Path, ...]:
        """Return the paths of a sweep's own files, whether they exist or not."""
        return (self.given, self.plan_file, self.journal, self.control, self.lock, self.study)

    def plan(self) -> dict[str, Any]:
        """Return what plan.json holds; empty if it is missing, incomplete, or has values of the wrong types."""
        plan = read_json(self.plan_file)
        plan = legacy.upgrade_plan(plan) if isinstance(plan, dict) else {}
        return plan if all(fits(plan[key], hint) for key, hint in _PLAN.items() if key in plan) else {}

    def identities(self) -> Identities:
        """Identify which directory in ``runs/`` counts as which run."""
        return identify(self.runs, self.run_names())

    def run_dirs(self) -> list[RunDir]:
        """Return the runs that exist, by name, without copies."""
        return [run for run in self.identities().run_dirs() if run.exists()]

    def run_names(self) -> list[str]:
        """Return the names in ``runs/``."""
        try:
            return sorted((entry.name for entry in os.scandir(self.runs) if not entry.name.startswith(".")), key=natural)
        except OSError as error:
            if error.errno in NO_FILE_THERE:
                return []
            raise InputError(Problem(f"cannot be read: {error.strerror}", where=str(self.runs))) from error

    def metrics(self) -> tuple[Metric, ...]:
        """Return the metrics of the plan, the deciding one first; empty where there is no plan."""
        spec = build(_Spec, self.plan().get("spec"))
        if spec is None or spec.metric is None:
            return ()  # a run directory, or a plan that a newer version wrote
        return spec.metric if isinstance(spec.metric, tuple) else (spec.metric,)


def write_plan(
    sweep: SweepDir,
    sweep_file: Path,
    spec: SweepSpec,
    runs: Sequence[Mapping[str, Any]],
    *,
    digest: str,
    command: Sequence[str],
    warnings: Sequence[str] = (),
    measured: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Write ``sweep.yml`` (the file as given) and ``plan.json``: the spec with its changes, the runs known in advance (see
    `plan_entry`), the command and the folder where it was given, the hash of the file, warnings, and the measured values of keys that are
    ``auto`` in the config (see `runner.sweep.batch_size.recorded`).

    Raises:
        InputError: the directory cannot be written.
    """
    try:
        given = read_bytes(sweep_file)
        plan: dict[str, Any] = {"digest": digest, "command": list(command), "cwd": os.getcwd(), "given": hashlib.sha256(given).hexdigest()}
        plan |= {"spec": asdict(spec), "warnings": list(warnings), "runs": list(runs)}
        plan |= {"measured": dict(measured)} if measured else {}
        sweep.runs.mkdir(parents=True, exist_ok=True)
        with atomic_open(sweep.given) as file:
            file.write(given)
        atomic_write_json(sweep.plan_file, plan, indent=2 if len(runs) <= 1000 else None)
    except OSError as error:
        raise InputError(Problem(f"the sweep directory cannot be written: {error.strerror}", where=str(sweep.path))) from error


def plan_entry(run: PlannedRun) -> dict[str, Any]:
    """Return a run as plan.json has it."""
    trial = run.trial
    return {
        "id": run.identity.id,
        "trial": trial.number,
        "label": trial.label,
        "seed": run.seed,
        "key": run.identity.key,
        "overrides": dict(trial.overrides),
    }


def metric_of(paths: Sequence[Path]) -> Metric | None:
    """Return the deciding metric of the sweeps at `paths`; None where there is no plan, or where they differ."""
    found = [metrics[0] for path in paths if (metrics := SweepDir(path).metrics())]
    return found[0] if found and all(metric == found[0] for metric in found) else None


def sweep_at(path: Path) -> SweepDir:
    """Return the sweep in `path`. Raises InputError if there is none."""
    sweep = SweepDir(path)
    if not path.is_dir():
        raise InputError(not_a_directory(path))
    if not os.path.lexists(sweep.plan_file) and not os.path.lexists(sweep.journal):
        raise InputError(Problem("is not a sweep directory (it has no plan.json); `runner sweep` creates one", where=str(path)))
    return sweep


def clear_sweep(path: Path) -> SweepDir:
    """Return the sweep in `path`. Raises InputError if there is none, or if several directories are the same run of it."""
    sweep = sweep_at(path)
    if problems := sweep.identities().problems():
        raise InputError([Problem(line) for line in problems])
    return sweep


def driven_sweep(path: Path) -> SweepDir:
    """Return the sweep in `path`, which a driver is working on. Raises InputError if there is none, or no driver."""
    sweep = clear_sweep(path)
    if holder(sweep.lock) is None:
        raise InputError(Problem(f"no driver is working on this sweep; start one: runner resume {shell_path(path)}", where=str(path)))
    return sweep
