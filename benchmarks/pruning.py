"""Savings of pruning, and its effect on the best trial, on a recorded table of learning curves.

    python -m benchmarks.pruning [--seeds 10] [--slots 4] [--no-sweep]
    python -m benchmarks.pruning --record      # makes the table anew (about 4 minutes on one core)

Every point of the table (see `benchmarks.pruning_table`) is a trial, in `--seeds` shuffled orders; what is counted is epochs. Optuna's own
pruners run plainly: `study.optimize`, one trial after the other. Ours goes through `runner.search.optuna.search` with the calls that the
driver makes, in simulated time on one and on several slots. At last a part of the table goes through `runner sweep` and the fake
backend, with real processes.

Required of ASHA and Hyperband, ours: the same best trial as all trials in full, in at most a third of their epochs (medians over the
seeds). Exit code 1 if not.
"""

from __future__ import annotations

import argparse
import heapq
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna

from benchmarks.pruning_sweep import run_sweep
from benchmarks.pruning_table import BASELINE, EPOCHS, GRID, TABLE, Point, Table, read_table, record
from runner.results.collect import RunResult
from runner.results.search.audit import FEW_FINISHED, audit_pruning
from runner.results.search.trials import search_results
from runner.search.base import IntermediateResult, Trial, TrialResult, Wait
from runner.search.optuna.search import OptunaSearch
from runner.search.spec import Component, Metric, SweepSpec

REQUIRED_SHARE = 1 / 3
METRIC = "accuracy"
PRUNERS: Mapping[str, Component] = {
    "ASHA by 4": Component(name="SuccessiveHalvingPruner"),
    "ASHA by 3": Component(name="SuccessiveHalvingPruner", arguments={"reduction_factor": 3}),
    "Hyperband": Component(name="HyperbandPruner"),
}


@dataclass(frozen=True, slots=True)
class Found:
    """Result of a search.

    Args:
        best: the point with the highest final accuracy among the trials that finished.
        epochs: of all trials.
        finished: how many trials came to their end.
        order: in which the trials started.
        lasted: epochs that each trial ran, by its point.
        clock: simulated time that it took, in the time of a quick epoch (see `_ticks`).
    """

    best: Point
    epochs: int
    finished: int
    order: Sequence[Point]
    lasted: Mapping[Point, int]
    clock: int = 0


def main() -> int:
    """Run the benchmark; 0 if it meets its requirement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--no-sweep", action="store_true", help="leave the real sweep out")
    arguments = parser.parse_args()
    if arguments.record:
        record(TABLE)
        return 0
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    table = read_table()
    in_full = len(table.curves) * EPOCHS
    print(
        f"{len(table.curves)} trials of {EPOCHS} epochs: {in_full} in full; {arguments.seeds} orders; load average {os.getloadavg()[0]:.1f}"
    )
    orders = [with_ours(table, Component(name="NopPruner"), seed, 1).order for seed in range(arguments.seeds)]
    met = True
    for name, pruner in PRUNERS.items():
        ways: dict[str, Callable[[int], Found]] = {
            "Optuna": lambda seed, pruner=pruner: with_optuna(table, pruner, orders[seed]),  # type: ignore[misc]
            "Optuna told the length": lambda seed, pruner=pruner: with_optuna(table, told(pruner), orders[seed]),  # type: ignore[misc]
            "ours, 1 slot": lambda seed, pruner=pruner: with_ours(table, pruner, seed, 1),  # type: ignore[misc]
            f"ours, {arguments.slots} slots": lambda seed, pruner=pruner: with_ours(table, pruner, seed, arguments.slots),  # type: ignore[misc]
        }
        for way, search in ways.items():
            start = time.perf_counter()
            found = [search(seed) for seed in range(arguments.seeds)]
            good = report(f"{name}, {way}", found, table, in_full)
            print(f"    {time.perf_counter() - start:.1f} s")
            if way.startswith("ours"):
                met = met and good
                report_audits(found, table)
    if not arguments.no_sweep:
        run_sweep(table)
    print("same best trial with at most a third of the epochs: " + ("reached" if met else "not reached"))
    return 0 if met else 1


def report(name: str, found: list[Found], table: Table, in_full: int) -> bool:
    """Print a line; whether the median search found the best trial in at most a third of the epochs."""
    shares = sorted(each.epochs / in_full for each in found)
    regrets = [table.curves[table.best][-1] - table.curves[each.best][-1] for each in found]
    hits = sum(each.best == table.best for each in found)
    one_slot_in_full = sum(EPOCHS * _ticks(point) for point in table.curves)
    clock = statistics.median(each.clock for each in found)
    faster = f", {one_slot_in_full / clock:.1f} times as fast as one slot in full" if clock else ""
    print(
        f"{name}: best trial found {hits} of {len(found)} times (largest regret {max(regrets):.4f}), "
        f"epochs {statistics.median(shares):.3f} of all ({shares[0]:.3f} to {shares[-1]:.3f}), "
        f"{statistics.median(each.finished for each in found):g} trials finished{faster}"
    )
    return statistics.median(shares) <= REQUIRED_SHARE and statistics.median(regrets) == 0


def report_audits(found: Sequence[Found], table: Table) -> None:
    """Print whether the harm audit names the best trial where it was given up, and how many others it names."""
    audits = [(each, audit_pruning(search_results(_as_runs(each, table), (Metric(name=METRIC),)))) for each in found]
    named = [{each.order[trial.number] for trial in audit.could_have_won} if audit else set() for each, audit in audits]
    lost = [each.best != table.best for each in found]
    caught = sum(table.best in points for points, is_lost in zip(named, lost, strict=True) if is_lost)
    unsure = sum(
        is_lost and not (audit and any(trial.rests_on >= 3 for trial in audit.pruned_trials))
        for (_, audit), is_lost in zip(audits, lost, strict=True)
    )
    judged = [len(audit.pruned_trials) for _, audit in audits if audit]
    few = sum(audit.finished < FEW_FINISHED for _, audit in audits if audit)
    print(
        f"    harm audit: where the best trial was lost ({sum(lost)} times) it named it {caught} times and could not tell {unsure} times; "
        f"it names {statistics.median(map(len, named)):g} of {statistics.median(judged):g} pruned trials (median), "
        f"and says {few} of {len(found)} times that few finished"
    )


def _as_runs(found: Found, table: Table) -> list[RunResult]:
    """Return what would be read from the run directories."""
    runs = []
    for number, point in enumerate(found.order):
        curve, epochs = table.curves[point], found.lasted[point]
        runs.append(
            RunResult(
                path=Path("runs") / str(number),
                id=str(number),
                sweep="table",
                trial=number,
                seed=0,
                overrides=dict(zip(GRID, point, strict=True)),
                label=str(point),
                state="done" if epochs == EPOCHS else "pruned",
                reason=None,
                metrics={METRIC: curve[-1]} if epochs == EPOCHS else {},
                evaluations=[(epoch, {METRIC: value}) for epoch, value in enumerate(curve[:epochs], start=1)],
                step=epochs,
                steps=EPOCHS,
            )
        )
    return runs


def told(pruner: Component) -> Component:
    """With the length of a run, which ours knows before the first trial has ended and Optuna's automatic setting does not."""
    given = {"min_resource": 1, **({"max_resource": EPOCHS} if pruner.name == "HyperbandPruner" else {})}
    return Component(name=pruner.name, arguments={**given, **pruner.arguments})


def with_optuna(table: Table, pruner: Component, order: Sequence[Point]) -> Found:
    """Optuna's own loop over the trials in this order."""
    lasted: dict[Point, int] = {}

    def objective(trial: optuna.Trial) -> float:
        point = tuple(trial.suggest_categorical(name, values) for name, values in GRID.items())
        curve = table.curves[point]
        for epoch, accuracy in enumerate(curve, start=1):
            lasted[point] = epoch
            trial.report(accuracy, epoch)
            if epoch < EPOCHS and trial.should_prune():
                raise optuna.TrialPruned
        return curve[-1]

    study = optuna.create_study(
        direction="maximize",
        pruner=getattr(optuna.pruners, pruner.name)(**pruner.arguments),
        study_name="sweep",  # Hyperband deals trials to its brackets by it
    )
    for point in order:
        study.enqueue_trial(dict(zip(GRID, point, strict=True)))
    study.optimize(objective, n_trials=len(order))
    finished = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    return Found(table.point(study.best_params), sum(lasted.values()), len(finished), order, lasted)


def with_ours(table: Table, pruner: Component, seed: int, slots: int) -> Found:
    """Our search, called as the driver does: a slot that is free asks, and every epoch of a running trial is reported when it ends."""
    spec = SweepSpec(
        config="table",
        design="optuna",
        space=dict(GRID),
        metric=Metric(name=METRIC),
        sampler=Component(name="GridSampler", arguments={"seed": seed}),
        pruner=pruner,
        confirm_seeds=0,
    )
    search = OptunaSearch(spec, BASELINE.__getitem__, None)
    running: list[tuple[int, int, Trial, int]] = []  # when its epoch ends, number, trial, epoch
    finals: dict[Point, float] = {}
    order: list[Point] = []
    lasted: dict[Point, int] = {}
    now = 0
    while True:
        while len(running) < slots:
            asked = search.ask()
            if asked is None or isinstance(asked, Wait):
                break
            order.append(table.point(asked.overrides))
            heapq.heappush(running, (now + _ticks(order[-1]), asked.number, asked, 1))
        if not running:
            break
        now, number, trial, epoch = heapq.heappop(running)
        point = table.point(trial.overrides)
        curve, lasted[point] = table.curves[point], epoch
        reason = search.report(trial, IntermediateResult(0, epoch, EPOCHS, {METRIC: curve[epoch - 1]}))
        if epoch < EPOCHS and not reason:
            heapq.heappush(running, (now + _ticks(point), number, trial, epoch + 1))
            continue
        reports = {0: [(done, {METRIC: value}) for done, value in enumerate(curve[:epoch], start=1)]}
        if epoch == EPOCHS:
            finals[point] = curve[-1]
            search.tell(trial, TrialResult("done", {0: {METRIC: curve[-1]}}, reports))
        else:
            search.tell(trial, TrialResult("pruned", {}, reports, reason or ""))
    return Found(max(finals, key=finals.__getitem__), sum(lasted.values()), len(finals), order, lasted, now)


def _ticks(point: Point) -> int:
    """Return the duration of an epoch: small batches take about half as long again."""
    return 3 if dict(zip(GRID, point, strict=True))["batch_size"] == 32 else 2


if __name__ == "__main__":
    sys.exit(main())
