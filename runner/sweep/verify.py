"""Checks of a sweep directory's invariants, and their repairs: `runner verify`.

The run directories are authoritative (`runner.sweep.verify_run`); plan, journal and study database are checked against them.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path

from runner.core.files import move_aside, read_bytes
from runner.core.lock import holder, last_holder
from runner.core.values import counted, listed
from runner.search.base import find_design
from runner.store.events import Event, RecordsLost, RunEnded, RunReopened, RunStarted, TrialQueued
from runner.store.identities import Identities
from runner.store.journal import Journal, read_journal
from runner.store.run_dir import FINISHED, Identity, RunDir
from runner.sweep.findings import Findings, VerifyFinding
from runner.sweep.sweep_dir import SweepDir
from runner.sweep.verify_run import Past, check_lines, is_object, set_aside_no_file, verify_run

_SHOWN = 8
"""Items that a finding names at most."""
_LITTER = (".*.tmp", ".link-*", ".probe-*")
"""Names of temporary files, which a killed process leaves behind."""


def verify(sweep: SweepDir, *, repair: bool = False) -> list[VerifyFinding]:
    """Return the errors and notes about a sweep directory, in the order of its files.

    Args:
        repair: repair what can be repaired; the caller holds the sweep's lock. A finding says whether it was repaired.
    """
    findings = Findings(sweep.path, repair)
    driven = not repair and holder(sweep.lock) is not None
    if driven:
        findings.note(sweep.lock, f"{holder(sweep.lock)} is working on this sweep", "files being written now may look damaged")
    for path in (sweep.plan_file, sweep.given, sweep.journal, sweep.control, sweep.study):
        set_aside_no_file(path, findings)
    _check_plan(sweep, findings)
    check_lines(sweep.journal, findings, driven, is_object)
    past = read_past(sweep)
    identities: dict[str, Identity] = {}
    sorted_out = sweep.identities()
    in_the_way = sorted_out.in_the_way(past)
    _check_names(sweep, sorted_out, past.keys(), in_the_way, findings)
    if repair and in_the_way:
        sorted_out = sweep.identities()
    own = {name: run for run, name in sorted_out.runs.items()}
    for name in sweep.run_names():
        path = sweep.runs / name
        if name in sorted_out.copies or name in in_the_way:
            continue
        if not path.is_dir():
            findings.wrong(path, "is not the directory of a run", "move it away")
        elif (identity := verify_run(RunDir(path), past.get(own.get(name, name), Past()), sweep, findings, driven=driven)) is not None:
            identities[own.get(name, name)] = identity
    _check_together(sweep, identities, findings)
    _check_journal(sweep, identities, in_the_way, findings, driven)
    _check_study(sweep, identities, findings)
    if not driven:
        _check_litter(sweep, findings)
    return findings.found


def read_past(sweep: SweepDir) -> dict[str, Past]:
    """Return the record of each run in the plan and the journal, by the run's name."""
    past: dict[str, Past] = defaultdict(Past)
    for entry in sweep.plan().get("runs") or ():
        if isinstance(entry, dict) and isinstance(entry.get("id"), str):
            past[entry["id"]].planned = entry
    trials: dict[int, TrialQueued] = {}
    for event in read_journal(sweep.journal):
        match event:
            case TrialQueued():
                trials[event.trial] = event
            case RunStarted():
                past[event.run].started, past[event.run].ended = event, None
            case RunEnded():
                past[event.run].started = past[event.run].ended = event
            case RunReopened() if event.run in past:
                past[event.run].ended = None
            case RecordsLost():
                past[event.run].lost.add(event.reason)
    for each in past.values():
        each.trial = trials.get(each.started.trial) if each.started is not None else None
    return past


def _check_plan(sweep: SweepDir, findings: Findings) -> None:
    plan = sweep.plan()
    again = "the same `runner sweep` rewrites it"
    if not plan:
        findings.wrong(sweep.plan_file, "is incomplete or damaged" if sweep.plan_file.exists() else "is missing", again)
    elif not all(isinstance(plan.get(key), kind) for key, kind in (("spec", dict), ("runs", list))):
        findings.wrong(sweep.plan_file, "lacks the sweep file's settings or the planned runs", again)
    if not sweep.given.is_file():
        findings.wrong(sweep.given, "is missing", again)
    elif "given" in plan and plan["given"] != hashlib.sha256(read_bytes(sweep.given)).hexdigest():
        findings.wrong(sweep.given, "differs from the sweep file that was given: it was truncated or changed", again)


def _check_names(sweep: SweepDir, sorted_out: Identities, known: Iterable[str], in_the_way: Mapping[str, str], findings: Findings) -> None:
    """Report directories that are not named after their run.

    A repair renames those `in_the_way` to their run's name, or moves them aside if they are copies or none of the `known` runs.
    """
    counted = {name: run for run, name in sorted_out.runs.items() if run in known}

    def clear(name: str) -> None:
        if name not in counted:
            move_aside(sweep.runs / name)
            return
        own = counted[name]
        if os.path.lexists(sweep.runs / own):  # a third run, or a copy
            clear(own)
        (sweep.runs / name).rename(sweep.runs / own)

    for run, name in sorted_out.renamed.items():
        if name not in in_the_way:
            findings.note(sweep.runs / name, f"is the run {run} under another name", "it counts as that run")
    for name, run in sorted_out.copies.items():
        if name not in in_the_way:
            findings.note(sweep.runs / name, f"is a copy of {sorted_out.runs.get(run, run)}", "it does not count")
    for name, run in in_the_way.items():
        text = f"holds the run {run} in the place of the run {name}, which is gone"
        findings.wrong(
            sweep.runs / name, text, "move it away or use --repair; `runner sweep` then makes that run again", partial(clear, name)
        )
    for line in sorted_out.problems():
        what, advice = line.split("; ", 1)
        findings.wrong(sweep.runs, what, advice)


def _check_together(sweep: SweepDir, identities: Mapping[str, Identity], findings: Findings) -> None:
    """Check that no (trial, seed) occurs twice and no trial number is missing."""
    names: dict[tuple[int, int], list[str]] = defaultdict(list)
    for name, identity in identities.items():
        names[identity.trial, identity.seed].append(name)
    for (trial, seed), same in names.items():
        if len(same) > 1:
            text = f"several runs of trial {trial} with seed {seed}: {', '.join(same)}"
            findings.wrong(sweep.runs, text, "keep one of them and move the others away")
    queued = {event.trial for event in read_journal(sweep.journal, TrialQueued)}
    known = {identity.trial for identity in identities.values()} | queued
    count = max(known, default=-1) + 1 - len(known)
    if count:  # a number in a damaged file may be enormous
        gaps = ", ".join(map(str, islice((number for number in range(max(known)) if number not in known), _SHOWN)))
        more = f" and {count - _SHOWN} more" if count > _SHOWN else ""
        findings.note(sweep.runs, f"trials {gaps}{more} have no run: they were never started, or have left the plan")


def _check_journal(sweep: SweepDir, identities: Mapping[str, Identity], cleared: Iterable[str], findings: Findings, driven: bool) -> None:
    """Return whether the journal has every trial and every end that the run directories have.

    Args:
        cleared: runs already reported as having no directory.
    """
    if driven:
        return
    events = list(read_journal(sweep.journal))
    trials = {event.trial for event in events if isinstance(event, TrialQueued)}
    past = read_past(sweep)
    last = next((event for event in reversed(events) if isinstance(event, RunEnded)), None)
    spent_s, gpu_s = (last.spent_s, last.gpu_s) if last is not None else (0.0, 0.0)
    known = sweep.identities()
    missing: list[tuple[str, Event]] = []
    for name, identity in identities.items():
        status = known.run_dir(name).status()
        if identity.trial not in trials:
            trials.add(identity.trial)
            queued = TrialQueued(identity.trial, identity.label or name, identity.overrides, None, identity.proposal)
            missing.append((f"trial {identity.trial}", queued))
        if status.state in FINISHED and past[name].ended is None:
            end = (status.state, status.cause, status.reason, None, 0.0, spent_s, gpu_s)
            missing.append((name, RunEnded(name, identity.trial, identity.seed, identity.key, *end)))
    there = {*known.runs, *known.unclear, *cleared}
    began = {event.run for event in events if isinstance(event, RunStarted)}
    never_began = {name for name, each in past.items() if each.ended is not None and each.ended.state == "pruned" and name not in began}
    gone = [name for name, each in past.items() if each.started is not None and name not in there and name not in never_began]
    if gone:
        findings.wrong(sweep.runs, f"the directories of runs that were started are gone: {_some(gone)}", "`runner sweep` runs them again")

    def write() -> None:
        journal = Journal(sweep.journal)
        for _, event in missing:
            journal.append(event)
        journal.close()

    if missing:
        what = sorted({name for name, _ in missing})
        findings.note(sweep.journal, f"lacks events that the run directories show: {_some(what)}", "they are read from there", write)


def _check_study(sweep: SweepDir, identities: Mapping[str, Identity], findings: Findings) -> None:
    """Check that the search's database is readable and contains the trials that have ended."""
    design = find_design(sweep.plan())
    again = "`runner sweep` rebuilds it from the runs"
    if not sweep.study.exists():
        if design is not None and design.database == sweep.study.name and identities:
            findings.note(sweep.study, "is missing", again)
        return

    def remove() -> None:
        for path in sweep.path.glob(f"{sweep.study.name}*"):
            path.unlink()

    try:
        with closing(sqlite3.connect(f"{sweep.study.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as database:
            (answer,) = database.execute("PRAGMA quick_check").fetchone()
            numbers = {number for (number,) in database.execute("SELECT number FROM trials")}
    except sqlite3.Error as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_READONLY:  # its writer was killed; reading would have to roll back first
            findings.note(sweep.study, "its last write was interrupted; the next program that opens it for writing rolls it back")
        else:
            findings.wrong(sweep.study, f"cannot be read: {error}", again, remove)
        return
    lacking = sorted({identity.trial for identity in identities.values()} - numbers)
    if answer != "ok":
        findings.wrong(sweep.study, f"is damaged: {answer}", again, remove)
    elif lacking:
        findings.note(sweep.study, f"lacks trials {_some(lacking)}", again)


def _check_litter(sweep: SweepDir, findings: Findings) -> None:
    """Report files that killed processes left behind."""
    litter = sorted({path for pattern in _LITTER for path in sweep.path.rglob(pattern)})
    if litter:

        def remove() -> None:
            for path in litter:
                if path.is_dir():
                    for folder, _, files in os.walk(path, topdown=False):
                        for file in files:
                            os.unlink(Path(folder) / file)
                        os.rmdir(folder)
                else:
                    path.unlink(missing_ok=True)

        findings.note(sweep.path, f"{counted(len(litter), 'file')} left by killed processes: {litter[0].name}", "they are harmless", remove)
    if not findings.repair and last_holder(sweep.lock) is not None:  # a repair holds it itself
        findings.note(sweep.lock, "the last driver was killed, which released its lock")


def _some(items: Iterable[object]) -> str:
    return listed(items, _SHOWN)
