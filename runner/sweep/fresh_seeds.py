"""The command that judges the trials of a sweep anew: with seeds that none of its runs has, in a directory of its own."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from runner.config.load import find_file, find_named
from runner.core.files import read_bytes
from runner.core.lock import holder
from runner.core.values import shell_path
from runner.monitor.overview import count_standings
from runner.results.answer import SweepFacts
from runner.results.collect import RunResult
from runner.search.spec import SweepSpec
from runner.sweep.session_plan import SweepRequest
from runner.sweep.sweep_dir import SweepDir

_FRESH_NAME: Final = re.compile(r"(?P<stem>.+)-confirm(?:-(?P<number>\d+))?")
_UNUSED: Final = {
    "vary": "{}",
    "combine_best": "false",
    "space": "{}",
    "derive": "{}",
    "sampler": "TPESampler",
    "pruner": "null",
    "constraints": "[]",
    "confirm_seeds": "3",
}
"""Keys of a sweep file that listed trials do without, each with its default."""
_LEFT: Final = ("running", "waiting", "interrupted")


def sweep_facts(sweep: SweepDir, runs: Iterable[RunResult]) -> SweepFacts | None:
    """Return what the answer of a report has to know of a sweep; None where `sweep` is the directory of none.

    Args:
        runs: all runs that are in its directory.
    """
    plan = sweep.plan()
    if not plan:
        return None
    driven = holder(sweep.lock) is not None
    counts = count_standings(sweep, driven=driven)
    folder = fresh_folder(sweep.path)
    return SweepFacts(
        folder=str(sweep.path),
        runs=sum(counts.values()),
        left=sum(counts.get(each, 0) for each in _LEFT),
        proceed=f"runner {'status' if driven else 'resume'} {shell_path(sweep.path)}",
        first_fresh=1 + max(_used_seeds(runs, plan), default=-1),
        fresh_folder=str(folder),
        is_made=os.path.lexists(SweepDir(folder).plan_file),
        with_seeds=_with_seeds(sweep, plan, folder),
    )


def fresh_folder(path: Path) -> Path:
    """Return the directory for new seeds beside a sweep's: ``runs/lr-confirm`` of ``runs/lr``, then ``runs/lr-confirm-2``, …"""
    found = _FRESH_NAME.fullmatch(path.name)
    name = f"{found['stem']}-confirm-{int(found['number'] or 1) + 1}" if found else f"{path.name or path.resolve().name}-confirm"
    return path.parent / name if path.name else path.resolve().with_name(name)


def joined_warnings(paths: Sequence[Path]) -> list[str]:
    """Warn where a sweep is compared together with its new seeds: that is adding seeds after a look at the results."""
    every = {path.absolute() for path in paths}
    return [
        f"{path.name} has new seeds for a question that the results of {other.name} left open: judged together they give more than 5 % "
        "of false verdicts; compare it alone"
        for path in sorted(every)
        for other in sorted(every)
        if (stem := _FRESH_NAME.fullmatch(path.name)) and path != other and other.name in (stem["stem"], f"{stem['stem']}-confirm")
    ]


def _used_seeds(runs: Iterable[RunResult], plan: Mapping[str, Any]) -> set[int]:
    """Return the seeds of the runs that are there, planned, or still to come by racing."""
    spec = plan.get("spec") or {}
    used = {
        *spec.get("seeds", ()),
        *(run.seed for run in runs),
        *(run.get("seed", 0) for run in plan.get("runs", ())),
    }
    if racing := spec.get("racing"):
        used.add(int(racing["max_seeds"]) - 1)
    return used


def _with_seeds(sweep: SweepDir, plan: Mapping[str, Any], folder: Path) -> partial[str] | None:
    """Return `_command` for the recorded command of a sweep, with the sweep file that was given: itself, or where it is missing or has
    changed its copy in the sweep directory. None where the command is not known, or its files are gone."""
    cwd = str(plan.get("cwd") or os.getcwd())
    spec = plan.get("spec") or {}
    try:
        request = SweepRequest.of_command(plan.get("command") or ())
    except ValueError:
        return None
    own = next((path for path in (Path(cwd, request.file), find_file(request.file)) if os.path.lexists(path)), Path(cwd, request.file))
    config = find_named(str(spec.get("config", "")), own)
    if not config.is_file():
        return None
    if _digest(own) == plan.get("given"):
        return partial(_command, request, (), spec, cwd, folder)
    if _digest(sweep.given) != plan.get("given"):
        return None
    request = replace(request, file=_seen_from(cwd, sweep.given))
    beside = os.path.relpath(config, sweep.given.parent) if not Path(spec["config"]).is_absolute() else spec["config"]
    return partial(_command, request, (f"config={json.dumps(beside, ensure_ascii=False)}",), spec, cwd, folder)


def _digest(file: Path) -> str | None:
    try:
        return hashlib.sha256(read_bytes(file)).hexdigest()
    except OSError:
        return None


def _seen_from(cwd: str, path: Path) -> Path:
    """Return a path as it has to be written in the folder `cwd`: there, or absolute."""
    if os.path.realpath(cwd) == os.path.realpath(os.curdir):
        return path
    absolute = Path(os.path.abspath(path))
    return absolute.relative_to(cwd) if absolute.is_relative_to(cwd) else absolute


def _command(
    request: SweepRequest,
    changes: Sequence[str],
    spec: Mapping[str, Any],
    cwd: str,
    folder: Path,
    seeds: Sequence[int],
    runs: int,
    trials: Sequence[Mapping[str, Any]] | None = None,
) -> str:
    """Return the command line of a sweep with other seeds, all of them from the start, in another directory; it works in this folder.

    Args:
        changes: further settings.
        trials: overrides of the only trials beside the baseline; None: all trials as they were.
    """
    changed = [*changes, f"seeds=[{','.join(map(str, seeds))}]"]
    changed += ["racing=null"] if spec.get("racing") else []
    if trials is not None:
        changed += ["design=list", f"trials={json.dumps([dict(trial) for trial in trials], ensure_ascii=False)}"]
        default = json.loads(json.dumps(asdict(SweepSpec(config=""))))
        changed += [f"{key}={value}" for key, value in _UNUSED.items() if spec.get(key, default[key]) != default[key]]
    budget = spec.get("budget") or {}
    changed += [f"budget.runs={runs}"] if budget.get("runs") is not None and budget["runs"] < runs else []
    keys = tuple(setting.partition("=")[0] for setting in changed)
    kept = [setting for setting in request.settings if not re.match(rf"({'|'.join(map(re.escape, keys))})[.=]", setting)]
    elsewhere = os.path.realpath(cwd) != os.path.realpath(os.curdir)
    words = replace(request, settings=(*kept, *changed), folder=_seen_from(cwd, folder)).command()
    command = f"runner {shlex.join(words)}"
    return f"(cd {shell_path(cwd)} && {command})" if elsewhere else command  # in a shell of its own: the next command is for this folder
