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

from runner.config.load import find_file
from runner.core.errors import InputError
from runner.core.files import read_bytes
from runner.core.lock import holder
from runner.core.values import shell_path
from runner.monitor.overview import read_sweep
from runner.results.answer import SweepFacts
from runner.results.collect import RunResult
from runner.search.spec import SweepSpec
from runner.sweep.session_plan import SweepRequest
from runner.sweep.sweep_dir import SweepDir

_FRESH_NAME: Final = re.compile(r"(?P<stem>.+)-confirm(?:-(?P<number>\d+))?")
_UNUSED: Final = {"space": "{}", "derive": "{}", "sampler": "TPESampler", "pruner": "null", "constraints": "[]", "confirm_seeds": "3"}
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
    counts = read_sweep(sweep, driven=driven).counts
    folder = fresh_folder(sweep.path)
    return SweepFacts(
        folder=str(sweep.path),
        runs=sum(counts.values()),
        left=sum(counts.get(each, 0) for each in _LEFT),
        proceed=f"runner {'status' if driven else 'resume'} {shell_path(sweep.path)}",
        first_fresh=1 + max(_used_seeds(runs, plan), default=-1),
        fresh_folder=str(folder),
        is_made=os.path.lexists(SweepDir(folder).plan_file),
        with_seeds=_with_seeds(plan, folder),
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


def _with_seeds(plan: Mapping[str, Any], folder: Path) -> partial[str] | None:
    """Return `_command` for the recorded command of a sweep; None where it is not known, or its sweep file is not the same any more."""
    cwd = str(plan.get("cwd") or os.getcwd())
    try:
        request = SweepRequest.of_command(plan.get("command") or ())
        file = Path(cwd, request.file)
        given = read_bytes(file if os.path.lexists(file) else find_file(request.file))
    except (ValueError, OSError, InputError):
        return None
    if hashlib.sha256(given).hexdigest() != plan.get("given"):
        return None
    return partial(_command, request, plan.get("spec") or {}, cwd, folder)


def _command(
    request: SweepRequest,
    spec: Mapping[str, Any],
    cwd: str,
    folder: Path,
    seeds: Sequence[int],
    runs: int,
    trial: Mapping[str, Any] | None = None,
) -> str:
    """Return the command line of a sweep with other seeds, all of them from the start, in another directory.

    Args:
        trial: overrides of the only trial beside the baseline; None: all trials as they were.
    """
    changed = [f"seeds=[{','.join(map(str, seeds))}]"]
    changed += ["racing=null"] if spec.get("racing") else []
    if trial is not None:
        changed += ["design=list", f"trials=[{json.dumps(dict(trial), ensure_ascii=False)}]"]
        default = json.loads(json.dumps(asdict(SweepSpec(config=""))))
        changed += [f"{key}={value}" for key, value in _UNUSED.items() if spec.get(key, default[key]) != default[key]]
    budget = spec.get("budget") or {}
    changed += [f"budget.runs={runs}"] if budget.get("runs") is not None and budget["runs"] < runs else []
    keys = tuple(setting.partition("=")[0] for setting in changed)
    kept = [setting for setting in request.settings if not re.match(rf"({'|'.join(map(re.escape, keys))})[.=]", setting)]
    elsewhere = os.path.realpath(cwd) != os.path.realpath(os.curdir)
    where = Path(os.path.relpath(folder.absolute(), cwd)) if elsewhere else folder
    words = replace(request, settings=(*kept, *changed), folder=where).command()
    return f"{f'cd {shell_path(cwd)} && ' if elsewhere else ''}runner {shlex.join(words)}"
