"""One run that is trained by itself: planned anew or taken from its directory, then driven with progress on the terminal."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.config.load import load_config
from runner.core.errors import InputError, Problem
from runner.core.text import say
from runner.core.values import shell_path
from runner.data.prepare import ensure_synthetic
from runner.data.spec import data_root
from runner.launch.base import DEFAULT_LAUNCHER, LAUNCHERS, Demand, TaskResources
from runner.resolve import Resolved, resolve, warnings_of
from runner.search.base import FixedSearch
from runner.search.load import meant_for_sweep
from runner.store.checkpoints import CheckpointFolder
from runner.store.lock import hold_run
from runner.store.run_dir import RunDir, not_a_run, trained_run
from runner.sweep.batch_size import measure_batch_size, recorded
from runner.sweep.loop import run_loop
from runner.sweep.plan import PlannedRun, claim_run_dir, plan_again, plan_single
from runner.sweep.policy import Policy
from runner.sweep.setup import LoopOptions, RunOutcome, Workload
from runner.views.counting import count_progress
from runner.views.progress import ProgressDisplay

if TYPE_CHECKING:
    from rich.console import Console


def plan_training(
    config: Path,
    overrides: Sequence[str] = (),
    *,
    named_for: Sequence[str] | None = None,
    run_dir: Path | None = None,
    facts: Mapping[str, Any] | None = None,
    launcher: str = DEFAULT_LAUNCHER,
) -> PlannedRun:
    """Plan a new run of a config; notes and warnings are printed.

    Args:
        overrides: ``KEY=VALUE``.
        named_for: those of `overrides` that the run is named for and records; default: all.
        run_dir: its directory; default: the next one in ``SAVE_DIR/CONFIG/``.
        facts: recorded in its identity beside those that every run records.
        launcher: measures the batch size, if that is auto.

    Raises:
        InputError: the config cannot be trained, is a sweep file, or the directory holds a run.
    """
    _refuse_sweep_file(config)
    try:
        resolved = resolve(config, overrides, make_dataset=make_dataset)
        measured: dict[str, Any] = {}
        if resolved.unmeasured:
            choice = measure_batch_size(resolved, launcher, _resources(resolved), near=Path(resolved.config.save_dir))
            resolved, measured = resolve(config, overrides, batch_size=choice), {"measured": recorded(choice)}
    except InputError as error:
        raise InputError(map(meant_for_sweep, error.problems)) from None
    for note in resolved.notes:
        say(f"note: {note}", error=True)
    for warning in warnings_of(resolved):
        say(f"warning: {warning}", error=True)
    named = overrides if named_for is None else named_for
    directory = RunDir(run_dir) if run_dir is not None else claim_run_dir(resolved, named)
    if run_dir is not None and directory.exists():
        text = f"already holds a run; continue it: runner resume {shell_path(run_dir)}, or give another --run-dir"
        raise InputError(Problem(text, where=str(run_dir)))
    run = plan_single(resolved, directory, named)
    return replace(run, identity=replace(run.identity, facts={**run.identity.facts, **measured, **(facts or {})}))


def plan_from(
    source: Path,
    config: Path | None = None,
    overrides: Sequence[str] = (),
    *,
    named_for: Sequence[str] = (),
    run_dir: Path | None = None,
    launcher: str = DEFAULT_LAUNCHER,
) -> PlannedRun:
    """Plan a new run that starts from the weights of the run in `source`: its last checkpoint, without the state of its optimiser.

    The new run has a schedule of its own, from step 0. Classes of both runs are matched by name. Its identity records the source.

    Args:
        config: default: the config of `source`.
        overrides, named_for, run_dir, launcher: see `plan_training`.

    Raises:
        InputError: `source` is no run directory or has no checkpoint, or see `plan_training`.
    """
    former = trained_run(source)
    identity = former.identity()
    if identity is None:
        raise InputError(not_a_run(source))
    checkpoint = CheckpointFolder(former.checkpoints).last()
    if checkpoint is None:
        raise InputError(Problem("has no checkpoint, so there are no weights to start from; finish it first", where=str(source)))
    weights = os.path.abspath(former.checkpoints / checkpoint.file)
    given = [text for text in overrides if text.partition("=")[0].strip() == "pretrain_weights"]
    if given:
        raise InputError(Problem(f"--from {source} sets it; remove one of them", where=f"-o {given[0]}", key="pretrain_weights"))
    return plan_training(
        config or former.config,
        [f"pretrain_weights={json.dumps(weights)}", *overrides],
        named_for=named_for,
        run_dir=run_dir,
        launcher=launcher,
        facts={"from": {"run": identity.id, "key": identity.key, "directory": os.path.abspath(source), "step": checkpoint.step}},
    )


def plan_resumed(path: Path, config: Path | None = None, overrides: Sequence[str] = ()) -> PlannedRun:
    """Plan the continuation of the run in a directory; notes are printed.

    Args:
        config, overrides: if given, they must resolve to the same run.

    Raises:
        InputError: it is no run directory, its files are damaged, or what was given is another run.
    """
    run = plan_again(trained_run(path), config, overrides)
    for note in run.resolved.notes if run.resolved is not None else ():
        say(f"note: {note}", error=True)
    return run


def run_one(run: PlannedRun, console: Console, *, launcher: str = DEFAULT_LAUNCHER, retry_failed: bool = False) -> RunOutcome | None:
    """Drive a single run with progress on `console`; None if it was interrupted before it began.

    Raises:
        RunHeld: another process is working on it.
        InputError: its directory holds something else, or cannot be written.
    """
    if os.path.lexists(run.run_dir.lock):  # also False for a name that is too long
        with suppress(OSError), hold_run(run.run_dir):  # before another process's progress is shown
            pass
    opened = LAUNCHERS.get(launcher).open(Demand())
    with closing(opened), ProgressDisplay([run.run_dir], console) as display:
        outcomes = run_loop(
            Workload(FixedSearch([run.trial]), lambda trial: [run]),
            opened,
            LoopOptions(Policy(resources=_resources(run.resolved)), retry_failed=retry_failed),
            watch=lambda situation: display.update(),
        )
    return outcomes[0] if outcomes else None


def _resources(resolved: Resolved | None) -> TaskResources:
    """Return what a single run needs of a launcher that manages several machines."""
    if resolved is None:
        return TaskResources()
    config, ranks = resolved.config, resolved.backend.ranks(resolved.config)
    return TaskResources(config.cpu_threads, float(ranks.count if ranks is not None else 1) if config.use_gpu else 0.0)


def make_dataset(name: str) -> None:
    """Make the generated data set and say so."""
    say(f"making the data set {name} in {data_root() / name} (generated, not downloaded)", error=True)
    with count_progress() as progress:
        ensure_synthetic(data_root(), progress)


def _refuse_sweep_file(path: Path) -> None:
    keys = load_config(path).mapping or {}
    if "config" in keys and "architecture" not in keys and any(key in keys for key in ("vary", "trials", "seeds")):
        raise InputError(Problem(f"is a sweep file; run: runner sweep {shell_path(path)}", where=str(path)))
