"""Coverage of the intervals of `runner compare` in simulated sweeps, and the failures of methods that it does not use.

    python -m benchmarks.coverage                  # 2,000 sweeps a line, some minutes
    python -m benchmarks.coverage --sweeps 200     # a look
    python -m benchmarks.coverage --images 300     # also the bootstrap over images, with so many pairs of checkpoints

What is simulated goes through the code that judges real sweeps: `effects`, `RacingSearch` with its rule, and the `bootstrap`. Seeds are
fixed, so the same command prints the same figures.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.results.images import IOUS, bootstrap
from runner.search.base import Trial, TrialResult
from runner.search.racing import RacingSearch, significance_rule
from runner.stats.effects import effects, t_quantile
from runner.stats.intervals import summarize
from runner.stats.permutation import permutation_p
from runner.stats.sequential import looks, raced_effects

TAG = "bbox/AP"
Floats = NDArray[np.float64]
Row = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Arms:
    """Standard deviations and seeds of the baseline (first) and the trials, and what the seeds have in common.

    Args:
        correlation: of two trials' values with the same seed.
    """

    spreads: tuple[float, ...]
    seeds: tuple[int, ...]
    correlation: float = 0.0

    def draw(self, rng: np.random.Generator) -> list[Floats]:
        """Values of each, of mean 0."""
        most = max(self.seeds)
        if self.correlation >= 0:
            common = rng.normal(size=most)
            own = rng.normal(size=(len(self.seeds), most))
            values = math.sqrt(self.correlation) * common + math.sqrt(1 - self.correlation) * own
        else:  # two arms only
            first, second = rng.normal(size=(2, most))
            values = np.stack([first, self.correlation * first + math.sqrt(1 - self.correlation**2) * second])
        return [spread * row[:n] for spread, row, n in zip(self.spreads, values, self.seeds, strict=True)]


def coverage(arms: Arms, sweeps: int, seed: int = 0) -> tuple[float, float]:
    """(share of sweeps whose intervals all hold, share of single intervals that hold for the worst trial)."""
    rng = np.random.default_rng(seed)
    together, alone = 0, np.zeros(len(arms.seeds) - 1)
    for _ in range(sweeps):
        base, *others = (summarize(values.tolist()) for values in arms.draw(rng))
        found = effects(base, others)
        together += all(effect.together.is_open for effect in found)  # the truth is 0
        alone += [effect.alone.is_open for effect in found]
    return together / sweeps, float(alone.min()) / sweeps


@dataclass(frozen=True, slots=True)
class Raced:
    """Shares of raced sweeps: with a false verdict, with all intervals right; seeds spent, of those without racing; trials told."""

    false: float
    covered: float
    spent: float
    told: float


def race(truth: Sequence[float], sweeps: int, *, first: int = 3, most: int = 10, seed: int = 0, spreads: Sequence[float] = ()) -> Raced:
    """Race trials whose true differences are `truth`, in standard deviations of the baseline."""
    rng = np.random.default_rng(seed)
    rule, planned = significance_rule(TAG, first, most), looks(first, most)
    trials = [Trial(number, {}, str(number)) for number in range(len(truth) + 1)]
    scale = np.array(spreads or [1.0] * len(trials))
    false = covered = told = spent = 0
    for _ in range(sweeps):
        values = rng.normal(size=(len(trials), most)) * scale[:, None] + np.array([0.0, *truth])[:, None]
        search = RacingSearch(trials, range(first), most, rule)
        known: dict[int, dict[int, float]] = {trial.number: {} for trial in trials}
        while isinstance(trial := search.ask(), Trial):
            new = {seed: float(values[trial.number, seed]) for seed in trial.seeds or ()}
            known[trial.number].update(new)
            search.tell(trial, TrialResult("done", {seed: {TAG: value} for seed, value in new.items()}))
        found = raced_effects(known, planned)
        differences = [(found[number].together, true) for number, true in enumerate(truth, start=1)]
        told += sum(not difference.is_open for difference, true in differences if true)
        false += any(not difference.is_open and difference.delta * true <= 0 for difference, true in differences)
        covered += all((difference.low or 0) <= true <= (difference.high or 0) for difference, true in differences)
        spent += sum(len(seeds) for seeds in known.values())
    real = sum(bool(true) for true in truth)
    runs = sweeps * len(trials) * most
    return Raced(false / sweeps, covered / sweeps, spent / runs, told / (sweeps * real) if real else math.nan)


# ---------------------------------------------------------------------------------------------------- what is not used
def bca(n: int, sweeps: int, draws: int = 1000, seed: int = 0) -> float:
    """Coverage of the BCa bootstrap interval (Efron 1987) for a mean of `n` normal values."""
    rng, normal, hits = np.random.default_rng(seed), statistics.NormalDist(), 0
    for _ in range(sweeps):
        values = rng.normal(size=n)
        means = np.sort(values[rng.integers(0, n, (draws, n))].mean(axis=1))
        ties = np.isclose(means, values.mean(), rtol=0, atol=1e-9)  # many, of few values: each counts half
        below = float(np.clip(((means < values.mean()) & ~ties).mean() + ties.mean() / 2, 0.5 / draws, 1 - 0.5 / draws))
        bias = normal.inv_cdf(below)
        left_out = (values.sum() - values) / (n - 1)
        deviations = left_out.mean() - left_out
        acceleration = float((deviations**3).sum() / (6 * (deviations**2).sum() ** 1.5))
        ends = []
        for z in (normal.inv_cdf(0.025), normal.inv_cdf(0.975)):
            level = normal.cdf(bias + (bias + z) / (1 - acceleration * (bias + z)))
            ends.append(means[min(draws - 1, max(0, round(level * draws)))])
        hits += bool(ends[0] <= 0 <= ends[1])
    return hits / sweeps


def optional_stopping(sweeps: int, first: int = 3, most: int = 10, seed: int = 0) -> tuple[float, float]:
    """Simulate false verdicts if a seed per trial is added until a plain t decides: the pooled one, the paired one."""
    rng, pooled, paired = np.random.default_rng(seed), 0, 0
    for _ in range(sweeps):
        one, other = rng.normal(size=(2, most))
        looks_at = range(first, most + 1)
        pooled += any(_pooled_t(one[:n], other[:n]) > t_quantile(2 * n - 2) for n in looks_at)
        paired += any(_paired_t((one - other)[:n]) > t_quantile(n - 1) for n in looks_at)
    return pooled / sweeps, paired / sweeps


def _pooled_t(one: Floats, other: Floats) -> float:
    """Student's t of two sides with as many values."""
    variance = (one.var(ddof=1) + other.var(ddof=1)) / 2
    return float(abs(one.mean() - other.mean()) / math.sqrt(variance * 2 / len(one)))


def _paired_t(pairs: Floats) -> float:
    return float(abs(pairs.mean()) / pairs.std(ddof=1) * math.sqrt(len(pairs)))


def plain_pooled(arms: Arms, sweeps: int, seed: int = 0) -> float:
    """Coverage of the interval that always pools, of the baseline and all trials together, simultaneous or not as there are trials."""
    rng, hits = np.random.default_rng(seed), 0
    for _ in range(sweeps):
        base, one, *rest = arms.draw(rng)
        freedom = sum(len(values) - 1 for values in (base, one, *rest))
        variance = sum(float(((values - values.mean()) ** 2).sum()) for values in (base, one, *rest)) / freedom
        half = t_quantile(freedom) * math.sqrt(variance * (1 / len(base) + 1 / len(one)))
        hits += bool(abs(one.mean() - base.mean()) <= half)
    return hits / sweeps


def t_power(effect: float, n: int, sweeps: int, trials: int = 4, seed: int = 0) -> tuple[float, float, float]:
    """Power of t for a difference of `effect` standard deviations: spread of all trials, of the two sides, paired; seeds uncorrelated."""
    rng, told = np.random.default_rng(seed), np.zeros(3)
    for _ in range(sweeps):
        values = rng.normal(size=(trials + 1, n))
        values[1] += effect
        half = t_quantile((trials + 1) * (n - 1)) * math.sqrt(2 / n * values.var(axis=1, ddof=1).mean())
        base, one = values[:2]
        told += [
            abs(one.mean() - base.mean()) > half,
            _pooled_t(one, base) > t_quantile(2 * n - 2),
            _paired_t(one - base) > t_quantile(n - 1),
        ]
    return tuple((told / sweeps).tolist())


def best_of(evaluations: int, sweeps: int, seed: int = 0) -> float:
    """By how many standard deviations the best of some evaluations of the same model is too good."""
    return float(np.random.default_rng(seed).normal(size=(sweeps, evaluations)).max(axis=1).mean())


def permutation_errors(n: int, sweeps: int, seed: int = 0) -> float:
    """Simulate how often the permutation test has p ≤ 0.05 without a difference."""
    rng = np.random.default_rng(seed)
    return statistics.fmean(permutation_p(*rng.normal(size=(2, n)).tolist()) <= 0.05 for _ in range(sweeps))


# --------------------------------------------------------------------------------------------------------------- images
def image_coverage(
    pairs: int, images: int, noise_px: tuple[float, float], draws: int = 300, metric: str = "bbox/AP", seed: int = 0
) -> tuple[float, float]:
    """(coverage, share of intervals without zero) of the bootstrap over images for two detectors that place boxes with this noise.

    The true difference is that of 10,000 images, or none where both place alike. Each pair of checkpoints is compared on images of its own.
    """
    rng = np.random.default_rng(seed)
    truth = bootstrap(*_detectors(rng, 10_000, noise_px), IOUS[metric], 1).delta if noise_px[0] != noise_px[1] else 0.0
    inside = told = 0
    for _ in range(pairs):
        found = bootstrap(*_detectors(rng, images, noise_px), IOUS[metric], draws)
        inside += (found.low or 0) <= truth <= (found.high or 0)
        told += not found.is_open
    return inside / pairs, told / pairs


def _detectors(rng: np.random.Generator, images: int, noise_px: Sequence[float]) -> tuple[Any, Any, Any]:
    """Boxes of three classes, and two detectors that find nine of ten, some that are none, with noise in place."""
    import hotcoco  # noqa: PLC0415

    boxes = [
        (image, *rng.uniform(0, 250, 2), *rng.uniform(20, 60, 2), int(rng.integers(1, 4))) for image in range(images) for _ in range(3)
    ]
    truth = hotcoco.COCO(
        {
            "images": [{"id": image, "width": 320, "height": 320, "file_name": f"{image}.png"} for image in range(images)],
            "categories": [{"id": number, "name": str(number)} for number in (1, 2, 3)],
            "annotations": [
                {"id": number, "image_id": image, "category_id": kind, "bbox": [x, y, w, h], "area": w * h, "iscrowd": 0}
                for number, (image, x, y, w, h, kind) in enumerate(boxes, start=1)
            ],
        }
    )
    result = []
    for noise in noise_px:
        shifts = rng.normal(0, noise, (len(boxes), 2))
        scores = rng.uniform(size=len(boxes))
        found = [
            {"image_id": image, "category_id": kind, "bbox": [x + dx, y + dy, w, h], "score": float(score)}
            for (image, x, y, w, h, kind), (dx, dy), score in zip(boxes, shifts, scores, strict=True)
            if rng.uniform() < 0.9
        ]
        wrong = [(image, *rng.uniform(0, 250, 2), float(rng.uniform(0, 0.7))) for image in range(images)]
        found += [{"image_id": image, "category_id": 1, "bbox": [x, y, 30.0, 30.0], "score": score} for image, x, y, score in wrong]
        result.append(truth.load_res(found))
    return truth, result[0], result[1]


# ---------------------------------------------------------------------------------------------------------------- tables
def intervals_table(sweeps: int) -> Iterator[Row]:
    """Yield the coverage of the intervals behind the verdicts of a sweep without racing."""
    cases: list[tuple[str, Callable[[int], Arms]]] = [
        ("one trial, equal spreads", lambda n: Arms((1, 1), (n, n))),
        ("one trial, its spread three times the baseline's", lambda n: Arms((1, 3), (n, n))),
        ("four trials, equal spreads", lambda n: Arms((1,) * 5, (n,) * 5)),
        ("four trials, one with three times the spread", lambda n: Arms((1, 3, 1, 1, 1), (n,) * 5)),
        ("four trials, the baseline with three times the spread", lambda n: Arms((3, 1, 1, 1, 1), (n,) * 5)),
        ("one trial, seeds correlated by 0.5", lambda n: Arms((1, 1), (n, n), 0.5)),
        ("one trial, seeds correlated by 0.9", lambda n: Arms((1, 1), (n, n), 0.9)),
        ("one trial, seeds correlated by −0.3", lambda n: Arms((1, 1), (n, n), -0.3)),
        ("four trials, seeds correlated by 0.5", lambda n: Arms((1,) * 5, (n,) * 5, 0.5)),
    ]
    for text, arms in cases:
        yield text, " | ".join(f"{coverage(arms(n), sweeps)[0]:.1%}" for n in (3, 5, 10))


def odd_table(sweeps: int) -> Iterator[Row]:
    """Other numbers of seeds on each side."""
    cases = [
        ("5 seeds against a baseline's 3", Arms((1, 1), (3, 5))),
        ("3 seeds against a baseline's 10", Arms((1, 1), (10, 3))),
        ("3 seeds against a baseline's 10, three times the spread", Arms((1, 3), (10, 3))),
        ("2 seeds against a baseline's 3, three times the spread", Arms((1, 3), (3, 2))),
        ("four trials with 3 seeds, one of which lost one", Arms((1,) * 5, (3, 3, 2, 3, 3))),
        ("the same, that one with three times the spread", Arms((1, 1, 3, 1, 1), (3, 3, 2, 3, 3))),
    ]
    for text, arms in cases:
        yield text, f"{coverage(arms, sweeps)[0]:.1%}"


def racing_table(sweeps: int) -> Iterator[Row]:
    """Seeds raced from 3 to 10."""
    cases: list[tuple[str, tuple[float, ...], tuple[float, ...]]] = [
        ("one trial, no difference", (0.0,), ()),
        ("four trials, no difference", (0.0,) * 4, ()),
        ("eight trials, no difference", (0.0,) * 8, ()),
        ("one trial, no difference, three times the spread", (0.0,), (1, 3)),
        ("four trials, no difference, the baseline with three times the spread", (0.0,) * 4, (3, 1, 1, 1, 1)),
        ("one trial 2 sd better", (2.0,), ()),
        ("four trials: 3, 2, −2 sd and none", (3.0, 2.0, -2.0, 0.0), ()),
    ]
    for text, truth, spreads in cases:
        found = race(truth, sweeps, spreads=spreads)
        told = "–" if math.isnan(found.told) else f"{found.told:.0%}"
        yield text, f"{found.false:.1%} | {found.covered:.1%} | {found.spent:.0%} | {told}"


def failing_table(sweeps: int) -> Iterator[Row]:
    """Yield the error rates of methods that are not used."""
    for n in (3, 5, 10, 30):
        yield f"coverage of a nominal 95 % BCa bootstrap over {n} seeds", f"{bca(n, sweeps):.1%}"
    for text, arms in (
        ("one of four trials with three times the spread, n = 3", Arms((1, 3, 1, 1, 1), (3,) * 5)),
        ("the baseline with three times the spread of its four trials, n = 3", Arms((3, 1, 1, 1, 1), (3,) * 5)),
        ("3 seeds of three times the spread against 10", Arms((1, 3), (10, 3))),
    ):
        yield f"coverage of an interval that always pools: {text}", f"{plain_pooled(arms, sweeps):.1%}"
    powers = ", ".join(f"{power:.2f}" for power in t_power(3.0, 3, sweeps))
    yield "power for 3 sd at n = 3: spread of a baseline and four trials, of the two alone, paired t", powers
    yield "the smallest p of a sign-flip test at n = 3", f"{2 / 2**3:.2f}"
    stopped = ", ".join(f"{share:.1%}" for share in optional_stopping(sweeps))
    yield "false verdicts where seeds are added from 3 to 10 until a plain t decides: pooled, paired", stopped
    yield "the best of 12 evaluations of one model is too good by", f"{best_of(12, 10 * sweeps):.2f} sd"
    yield "for comparison, used: the permutation test at n = 8 errs in", f"{permutation_errors(8, min(sweeps, 1000)):.1%}"


def print_table(title: str, head: str, rows: Iterable[Row]) -> None:
    """As Markdown, each row when it is known."""
    columns = head.count("|") + 1
    print(f"\n**{title}**\n\n| | {head} |\n| --- |{' --- |' * columns}", flush=True)
    for text, figures in rows:
        print(f"| {text} | {figures} |", flush=True)


def main() -> None:
    """Print the tables of docs/statistics.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sweeps", type=int, default=2000, help="simulated sweeps a line")
    parser.add_argument("--images", type=int, default=0, help="pairs of checkpoints for the bootstrap over images")
    args = parser.parse_args()
    print_table("Intervals: share of sweeps in which all of them are correct", "n = 3 | n = 5 | n = 10", intervals_table(args.sweeps))
    print_table("Other numbers of seeds", "all intervals correct", odd_table(args.sweeps))
    print_table(
        "Racing, 3 to 10 seeds", "false verdicts | all intervals correct | seeds, of 10 everywhere | detected", racing_table(args.sweeps)
    )
    print_table("Methods that are not used", "measured", failing_table(args.sweeps))
    if args.images:
        same, other = image_coverage(args.images, 200, (4.0, 4.0)), image_coverage(args.images, 200, (4.0, 4.5))
        rows = [("two detectors that are equally good", same), ("one places its boxes worse (4.5 px for 4 px)", other)]
        print_table("Bootstrap over 200 images", "covers | significant difference", [(text, f"{a:.1%} | {b:.1%}") for text, (a, b) in rows])


if __name__ == "__main__":
    main()
