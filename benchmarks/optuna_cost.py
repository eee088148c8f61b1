"""Cost of a trial in Optuna, by sampler, and the additional cost of study.db.

    python -m benchmarks.optuna_cost [--trials N] [--samplers NAME …] [--gp-trials N] [--no-db]

2,000 trials of 8 parameters (4 logarithmic, 2 linear, 1 of integers, 1 of choices), one after the other, with a made-up objective, through
`runner.search.optuna.search` as a sweep uses it: proposals kept, points drawn anew from (seed, number), study.db written after each change.
A trial is reported on three times. Numeric libraries use one thread. Prints a table; the bound is 100 ms a trial.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

from runner.search.base import IntermediateResult, Trial, TrialResult  # noqa: E402 - after the number of threads
from runner.search.optuna.search import OptunaSearch  # noqa: E402
from runner.search.spec import Budget, Choice, Component, Metric, Span, SweepSpec  # noqa: E402

METRIC = "bbox/AP"
SPACE: dict[str, Span | Choice | tuple[Any, ...]] = {
    **{f"rate{index}": Span(low=1e-5, high=1e-1, log=True) for index in range(4)},
    **{f"share{index}": Span(low=0.0, high=1.0) for index in range(2)},
    "width": Span(low=1, high=64),
    "optimizer": ("Momentum", "AdamW", "SGD"),
}
BASELINE = {**{f"rate{index}": 1e-3 for index in range(4)}, "share0": 0.5, "share1": 0.5, "width": 8, "optimizer": "Momentum"}
SAMPLERS = ("TPESampler", "NSGAIISampler", "CmaEsSampler", "QMCSampler", "RandomSampler", "GPSampler")
STEPS = (100, 200, 300)


def objective(trial: Trial) -> float:
    """Larger is better; smooth, with a preferred choice."""
    values = {**BASELINE, **trial.overrides}
    loss = sum((math.log10(values[f"rate{index}"]) + 2 + index / 2) ** 2 for index in range(4))
    value: float = 1 / (1 + loss + (values["share0"] - 0.3) ** 2 + abs(values["width"] - 20) / 64 + (values["optimizer"] != "AdamW"))
    return value


def measure(sampler: str, trials: int, folder: Path | None) -> dict[str, float]:
    """Milliseconds a trial: of the processor, since other work on the machine would count as well by the clock; that one beside it."""
    spec = SweepSpec(
        config="x.yml",
        design="optuna",
        space=SPACE,
        sampler=Component(name=sampler),
        pruner=Component(name="MedianPruner", arguments={"n_warmup_steps": STEPS[-1] + 1}),  # reads what is reported, and keeps all
        metric=Metric(name=METRIC),
        budget=Budget(runs=trials),
        confirm_seeds=0,
    )
    search = OptunaSearch(spec, BASELINE.__getitem__, folder)
    of_db = _Timed(search)
    clock = time.perf_counter()
    times: list[float] = []
    points = set()
    while isinstance(trial := _timed(times, search.ask), Trial):
        value = objective(trial)
        points.add(json.dumps(trial.overrides, sort_keys=True))
        reports = [IntermediateResult(0, step, 400, {METRIC: value * step / 400}) for step in STEPS]
        started = time.process_time()
        for report in reports:
            search.report(trial, report)
        search.tell(trial, TrialResult("done", {0: {METRIC: value}}, {0: [(report.step, report.values) for report in reports]}))
        times[-1] += 1e3 * (time.process_time() - started)
    del times[-1]  # there was no trial any more
    if not len(points) == len(times) == trials:
        raise SystemExit(f"{sampler}: {len(points)} different points in {len(times)} trials, of {trials}")
    last = times[-max(1, trials // 20) :]
    return {
        "trials": trials,
        "mean": statistics.fmean(times),
        "p95": statistics.quantiles(times, n=20)[-1],
        "end": statistics.fmean(last),
        "db": of_db.total_ms / trials,
        "clock": 1e3 * (time.perf_counter() - clock) / trials,
    }


class _Timed:
    """Adds up the time that a search spends on study.db."""

    def __init__(self, search: OptunaSearch) -> None:
        self.total_ms = 0.0
        mirror = search._live.mirror
        if mirror is not None:
            update = mirror.update

            def timed(numbers: tuple[int, ...], *, whole: bool = False) -> None:
                started = time.process_time()
                update(numbers, whole=whole)
                self.total_ms += 1e3 * (time.process_time() - started)

            mirror.update = timed  # type: ignore[method-assign, assignment]


def _timed(times: list[float], ask: object) -> object:
    started = time.process_time()
    trial = ask()  # type: ignore[operator]
    times.append(1e3 * (time.process_time() - started))
    return trial


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.optuna_cost", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--trials", type=int, default=2000, metavar="N", help="default 2000")
    parser.add_argument("--gp-trials", type=int, default=200, metavar="N", help="of GPSampler, which is slow; default 200")
    parser.add_argument("--samplers", nargs="+", default=SAMPLERS, metavar="NAME", help=f"default {' '.join(SAMPLERS)}")
    parser.add_argument("--no-db", action="store_true", help="without study.db")
    args = parser.parse_args()
    print("milliseconds a trial, of the processor; mean by the clock beside it")
    print("| sampler | trials | mean | p95 | the last 5 % | of the mean study.db | clock | under 100 ms at the end |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for sampler in args.samplers:
        with tempfile.TemporaryDirectory() as folder:
            trials = min(args.trials, args.gp_trials) if sampler == "GPSampler" else args.trials
            found = measure(sampler, trials, None if args.no_db else Path(folder))
        numbers = " | ".join(f"{found[name]:.1f}" for name in ("mean", "p95", "end", "db", "clock"))
        print(f"| {sampler} | {trials} | {numbers} | {'yes' if found['end'] < 100 else 'no'} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
