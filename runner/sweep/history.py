"""History of a sweep under earlier drivers: from its journal, and from the run directories for everything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from runner.core.errors import Cause
from runner.search.base import Trial
from runner.store.events import CommandReceived, RunEnded, RunReopened, RunStarted, TrialPruned, TrialQueued, TrialRefused
from runner.store.journal import read_journal, stopped_on_request
from runner.store.run_dir import FINISHED, RunDir, State
from runner.sweep.sweep_dir import SweepDir


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run that was started, in its current state.

    Args:
        name: the run's id.
        trial: number of its trial.
        key: see `runner.sweep.plan.run_key`.
        values: tag to number of the last checkpoint, where it is done and the journal says so.
    """

    name: str
    trial: int
    seed: int
    key: str
    state: State
    cause: Cause | None = None
    reason: str = ""
    values: Mapping[str, float] | None = None
    directory: str = ""
    """Name of its directory, where that is not the run's."""

    @property
    def folder(self) -> str:
        """Name of its directory."""
        return self.directory or self.name

    @property
    def finished(self) -> bool:
        """True if it has ended for good."""
        return self.state in FINISHED


@dataclass(slots=True)
class PastTrial:
    """A trial that the search proposed.

    Args:
        trial: the trial, with the seeds it was proposed with.
        runs: seed to run, of the runs that were started.
        pruned: why the whole trial was pruned; empty if it was not.
        refused: why none of its runs could start; empty if they could.
    """

    trial: Trial
    runs: dict[int, PastRun] = field(default_factory=dict)
    pruned: str = ""
    refused: str = ""


@dataclass(slots=True)
class History:
    """History of a sweep.

    Args:
        trials: in the order in which they were proposed; a trial appears again for each time it was proposed with further seeds.
        spent_s: seconds that the drivers have worked; gpu_s: seconds that the runs have used a GPU, by the number of GPUs.
        noted: names of the runs whose end is in the journal.
        pruned: numbers of the trials that were pruned.
        stopped: see `runner.store.journal.stopped_on_request`.
    """

    trials: list[PastTrial] = field(default_factory=list)
    spent_s: float = 0.0
    gpu_s: float = 0.0
    noted: frozenset[str] = frozenset()
    pruned: frozenset[int] = frozenset()
    stopped: frozenset[str] = frozenset()

    @property
    def runs(self) -> list[PastRun]:
        """Every run that was started."""
        return list({run.name: run for past in self.trials for run in past.runs.values()}.values())


def read_history(sweep: SweepDir) -> History:
    """Read the history. Never raises for the directory's contents. A run whose end is in the journal is not read: thousands cost little."""
    result, runs, pruned, refused, stopped = History(), dict[str, PastRun](), dict[int, str](), dict[int, str](), set[str]()
    for event in read_journal(sweep.journal):
        match event:
            case TrialQueued():
                trial = Trial(event.trial, event.overrides, event.label, event.seeds, event.proposal)
                if all(past.trial != trial for past in result.trials[-1:]):
                    result.trials.append(PastTrial(trial))
            case RunStarted():
                runs[event.run] = PastRun(event.run, event.trial, event.seed, event.key, "pending")
            case RunEnded():
                runs[event.run] = PastRun(
                    event.run, event.trial, event.seed, event.key, event.state, event.cause, event.reason or "", event.values
                )
                result.spent_s, result.gpu_s = event.spent_s, event.gpu_s
            case RunReopened():
                runs.pop(event.run, None)
            case TrialPruned():
                pruned[event.trial] = event.reason
            case TrialRefused():
                refused[event.trial] = event.reason
            case CommandReceived():
                stopped |= stopped_on_request([event])
    result.pruned, result.stopped = frozenset(pruned), frozenset(stopped)
    result.noted = frozenset(name for name, run in runs.items() if run.finished)
    found: dict[int, dict[int, PastRun]] = {}
    lost: dict[int, Trial] = {}
    handed_out = {past.trial.number for past in result.trials}
    for name, folder in sorted(sweep.identities().runs.items()):
        run = runs.get(name)
        if run is None or not run.finished or run.trial not in handed_out:
            run_dir = RunDir(sweep.runs / folder)
            identity, status = run_dir.identity(), run_dir.status()
            if identity is None:
                continue
            run = PastRun(name, identity.trial, identity.seed, identity.key, status.state, status.cause, status.reason or "")
            lost[run.trial] = Trial(run.trial, identity.overrides, identity.label or name, (), identity.proposal)
        found.setdefault(run.trial, {})[run.seed] = run if folder == name else replace(run, directory=folder)
    for number in sorted(set(lost) - handed_out):
        result.trials += [PastTrial(replace(lost[number], seeds=seeds)) for seeds in _handed_out(sorted(found[number]), sweep.plan())]
    later: dict[int, set[int]] = {}
    for past in result.trials:
        later.setdefault(past.trial.number, set()).update(past.trial.seeds or ())
    for past in result.trials:
        number, seeds = past.trial.number, past.trial.seeds
        past.runs = {seed: run for seed, run in found.get(number, {}).items() if seeds is None or seed in seeds}
        others = later.get(number, set()) if seeds is None else set()
        of_run = next((run for run in past.runs.values() if run.state == "pruned" and run.seed not in others), None)
        past.refused = refused.get(number, "") if not past.runs else ""
        past.pruned = pruned.get(number, "") or (of_run.reason or "pruned" if of_run else "")
    return result


def merged(trials: Sequence[PastTrial]) -> list[PastTrial]:
    """Each trial once, with all its runs: for a design that proposes a trial once, where an earlier design added seeds to it."""
    result: dict[int, PastTrial] = {}
    for past in trials:
        first = result.setdefault(past.trial.number, past)
        if first is not past:
            result[past.trial.number] = replace(first, runs={**past.runs, **first.runs}, pruned=first.pruned or past.pruned)
    return list(result.values())


def _handed_out(seeds: Sequence[int], plan: Mapping[str, Any]) -> list[tuple[int, ...] | None]:
    """Seeds a trial was proposed with, one tuple per proposal in order, from the seeds of its existing runs: some may not have been
    started."""
    spec = plan.get("spec") or {}
    own = [seed for seed in seeds if seed in (spec.get("seeds") or ())]
    if spec.get("racing") or not own:
        return [tuple(seeds)]
    others = tuple(seed for seed in seeds if seed not in own)
    return [None, others] if others else [None]
