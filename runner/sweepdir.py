"""The sweep directory: what a sweep was asked to do, beside the runs that do it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from runner.core.errors import InputError, Problem
from runner.core.files import atomic_write_json, read_json
from runner.plan import PlannedRun
from runner.search.spec import Metric, SweepSpec


def write_plan(folder: Path, sweep_file: Path, spec: SweepSpec, runs: Sequence[PlannedRun]) -> None:
    """Write ``sweep.yml`` (the file as given) and ``plan.json`` (the spec with its changes, and the runs it comes to).

    Raises:
        InputError: the directory cannot be written.
    """
    plan = {
        "spec": asdict(spec),
        "runs": [
            {
                "id": run.run_dir.name,
                "trial": run.trial.number,
                "label": run.trial.label,
                "seed": run.seed,
                "key": run.identity.key,
                "overrides": dict(run.trial.overrides),
            }
            for run in runs
        ],
    }
    try:
        (folder / "runs").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(sweep_file, folder / "sweep.yml")
        atomic_write_json(folder / "plan.json", plan, indent=2)
    except OSError as error:
        raise InputError(Problem(f"the sweep directory cannot be written: {error.strerror}", where=str(folder))) from error


def metric_of(paths: Sequence[Path]) -> Metric:
    """What decides in the sweeps at `paths`, as their plans say; the default where there is no plan, or where they differ."""
    found: list[Metric] = []
    for path in paths:
        plan = read_json(path / "plan.json")
        try:
            found.append(Metric(**plan["spec"]["metric"]))
        except (KeyError, TypeError):
            continue  # a run directory, or a plan that a newer version wrote
    return found[0] if found and all(metric == found[0] for metric in found) else Metric()
