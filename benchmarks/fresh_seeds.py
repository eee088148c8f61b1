"""False verdicts of a second judgement: by seeds added after a look, and by fresh seeds judged alone, as `runner compare` proposes.

    python -m benchmarks.fresh_seeds                  # 2,000 sweeps a line, some minutes
    python -m benchmarks.fresh_seeds --sweeps 200     # a look

No trial differs from the baseline. A first look at 3 seeds per trial is judged; where it gives no verdict, as many seeds follow as
`runner compare` would propose. Seeds of the simulation are fixed, so the same command prints the same figures.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runner.results.answer import FEWEST_SEEDS, enough_seeds
from runner.stats.effects import effects
from runner.stats.intervals import CONFIDENCE, summarize
from runner.stats.power import seeds_to_tell

_ONE_BY_ONE = 10
Floats = NDArray[np.float64]


@dataclass(slots=True)
class Tally:
    """Numbers of sweeps: all; with a false verdict at the first look; those that went on; of these, with a false verdict by each way, also
    of those that went on with hope, with a best guess so good that 20 seeds or fewer seem enough."""

    sweeps: int = 0
    first: int = 0
    second: int = 0
    added: int = 0
    one_by_one: int = 0
    alone: int = 0
    hopeful: int = 0
    hopeful_added: int = 0
    hopeful_alone: int = 0
    swapped: int = 0
    pairs: int = 0


def is_false(values: Floats) -> bool:
    """Return whether `values` (a row per trial, the baseline first, without true differences) give any trial a verdict."""
    base, *others = (summarize(row.tolist()) for row in values)
    return any(not effect.together.is_open for effect in effects(base, others))


def proposed(values: Floats) -> tuple[str, int]:
    """Return what `runner compare` proposes fresh seeds for after these results, and how many per trial."""
    base, *others = (summarize(row.tolist()) for row in values)
    best = max(effects(base, others), key=lambda effect: effect.together.delta)
    return enough_seeds(seeds_to_tell(best)) if best.together.delta > 0 else ("less", 10)


def best_first(values: Floats) -> Floats:
    """Return the rows with the best trial, by its mean, in the place of the baseline."""
    best = int(values.mean(axis=1).argmax())
    return np.concatenate([values[[best]], np.delete(values, best, axis=0)])


def is_told_apart(values: Floats) -> bool:
    """Return whether the best trial has a verdict against any other at the level that allows for all pairs."""
    best, *others = (summarize(row.tolist()) for row in best_first(values))
    count = len(values)
    found = effects(best, others, 1 - (1 - CONFIDENCE) / (count * (count - 1) / 2), joint=False)
    return any(not effect.alone.is_open for effect in found)


def simulate(spreads: Sequence[float], sweeps: int, seed: int = 0) -> Tally:
    """Simulate sweeps of a baseline and other trials with these standard deviations."""
    rng, tally, scale = np.random.default_rng(seed), Tally(sweeps), np.array(spreads)[:, None]
    for _ in range(sweeps):
        first = rng.normal(size=(len(spreads), FEWEST_SEEDS)) * scale
        tally.swapped += is_false(best_first(first))
        tally.pairs += is_told_apart(first)
        if is_false(first):
            tally.first += 1
            continue
        tally.second += 1
        purpose, seeds = proposed(first)
        fresh = rng.normal(size=(len(spreads), max(_ONE_BY_ONE, seeds))) * scale
        joined = np.concatenate([first, fresh], axis=1)
        added, alone = is_false(joined[:, : FEWEST_SEEDS + seeds]), is_false(fresh[:, :seeds])
        tally.added += added
        tally.alone += alone
        tally.one_by_one += any(is_false(joined[:, :n]) for n in range(FEWEST_SEEDS + 1, _ONE_BY_ONE + 1))
        if purpose == "settle":
            tally.hopeful += 1
            tally.hopeful_added += added
            tally.hopeful_alone += alone
    return tally


def main() -> int:
    """Print the tables of docs/statistics.md."""
    parser = argparse.ArgumentParser(description="Measure false verdicts of a second judgement.")
    parser.add_argument("--sweeps", type=int, default=2000, help="simulated sweeps a line (default: 2,000)")
    sweeps = parser.parse_args().sweeps
    lines = {
        "one trial": [1.0] * 2,
        "four trials": [1.0] * 5,
        "eight trials": [1.0] * 9,
        "four trials, one with three times the spread": [1.0, 3.0, 1.0, 1.0, 1.0],
        "four trials, the baseline with three times the spread": [3.0, 1.0, 1.0, 1.0, 1.0],
    }
    found = {name: simulate(spreads, sweeps) for name, spreads in lines.items()}
    print("| | first look, 3 seeds | added one by one to 10 | added as proposed | fresh, alone | first look or fresh |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, tally in found.items():
        either = [(tally.first + tally.one_by_one) / sweeps, (tally.first + tally.added) / sweeps, tally.alone / tally.second]
        shares = [tally.first / sweeps, *either, (tally.first + tally.alone) / sweeps]
        print(f"| {name} | " + " | ".join(f"{100 * share:.1f} %" for share in shares) + " |", flush=True)
    print("\n| where the first look is hopeful | how many | added as proposed | fresh, alone |")
    print("| --- | --- | --- | --- |")
    for name, tally in found.items():
        counts = (tally.hopeful / tally.second, tally.hopeful_added / max(1, tally.hopeful), tally.hopeful_alone / max(1, tally.hopeful))
        print(f"| {name} | " + " | ".join(f"{100 * share:.1f} %" for share in counts) + " |")
    print("\n| | the best as the reference, chosen after the look | best against the others, level for all pairs |")
    print("| --- | --- | --- |")
    for name, tally in found.items():
        print(f"| {name} | {100 * tally.swapped / sweeps:.1f} % | {100 * tally.pairs / sweeps:.1f} % |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
