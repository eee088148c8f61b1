"""Importances of searched parameters by PED-ANOVA (Watanabe, Bansal and Hutter 2023, arXiv 2304.10255).

A parameter is important if its values in the best quarter of the trials differ from those in all trials; the measure is the Pearson
divergence of the two densities. It is measured against all trials, so an adaptive sampler's preference does not appear as importance.
Numbers are replaced by their ranks among the trials, which changes nothing in the divergence and makes a logarithmic and a linear range
the same; a density is a Gaussian kernel's over ranks (Scott's bandwidth, reflected at the ends), of choices their counts. Where a
parameter does not apply to every trial, its part is weighted as in conditional PED-ANOVA (arXiv 2601.20800).

Few trials differ by chance too. So the mean divergence of random quarters is subtracted, a parameter that does not exceed 95 % of these is
marked as not beyond chance, and shares have an interval over trials resampled with replacement.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.core.values import format_value, is_number
from runner.results.notes import ReportNote, note
from runner.results.search.trials import SearchResults, SearchTrial
from runner.search.spec import FEWEST_FOR_IMPORTANCES

METHOD = "PED-ANOVA on ranks"
FEWEST_FINISHED = 3
TOP_SHARE = 0.25
RESAMPLES = 400
_GRID = 50
_FEW_VALUES = 5
_PRIOR = 1.0  # trials' worth of an even density, as the paper has it

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Importance:
    """Importance of one parameter.

    Args:
        key: dotted.
        share: of all parameters' divergence beyond chance, 0–1.
        low, high: 95 % percentile interval of the share.
        beyond_chance: whether its divergence exceeds that of 95 % of random quarters.
        trials: how many trials it applied to.
        best: the middle 80 % of the numbers among the best trials, or their most frequent choice with its share.
    """

    key: str
    share: float
    low: float
    high: float
    beyond_chance: bool
    trials: int
    best: str


@dataclass(frozen=True, slots=True)
class Importances:
    """Importances of all searched parameters for one metric.

    Args:
        metric: its tag.
        method: the method's name; top_share: what "among the best" means.
        trials: how many trials it rests on: the finished ones and, behind them, the pruned ones.
        top: how many of these are the best.
        parameters: the most important first; empty where it is refused.
        refused: why there are none; None if there are.
    """

    metric: str
    method: str
    top_share: float
    trials: int
    top: int
    parameters: tuple[Importance, ...]
    refused: ReportNote | None = None


def importances(results: SearchResults, metric: int = 0, *, resamples: int = RESAMPLES) -> Importances:
    """Compute the importances for `results.metrics[metric]`.

    Pruned trials count as worse than the finished ones, in the order of how far they came: that is how the pruner judged them.
    The same results give the same numbers.
    """
    name, goal = results.metrics[metric].name, results.metrics[metric].goal
    finished = [(value, trial) for trial in results.trials if (value := trial.value(name)) is not None]
    finished.sort(key=lambda item: (-item[0] if goal == "maximize" else item[0], item[1].number))
    pruned = sorted((trial for trial in results.trials if trial.state == "pruned"), key=lambda trial: -trial.step)
    ordered = [*(trial for _, trial in finished), *pruned]
    top = min(round(TOP_SHARE * len(ordered) + 0.5), len(finished))

    def refuse(id: str, **arguments: int) -> Importances:
        return Importances(name, METHOD, TOP_SHARE, len(ordered), top, (), note(id, metric=name, **arguments))

    if len(ordered) < FEWEST_FOR_IMPORTANCES:
        return refuse("importances-few", trials=len(ordered), least=FEWEST_FOR_IMPORTANCES)
    if top < FEWEST_FINISHED:
        return refuse("importances-few-finished", trials=len(finished), least=FEWEST_FINISHED)
    if finished[0][0] == finished[-1][0]:
        return refuse("importances-equal")
    kernels = {
        key: kernel for key in results.parameters if (kernel := _kernel([trial.parameters for trial in ordered], key, top)) is not None
    }
    if not kernels:
        return refuse("importances-unvaried")
    return Importances(name, METHOD, TOP_SHARE, len(ordered), top, _measure(kernels, ordered, top, resamples))


def _measure(kernels: Mapping[str, Floats], ordered: Sequence[SearchTrial], top: int, resamples: int) -> tuple[Importance, ...]:
    random = np.random.default_rng(0)
    n = len(ordered)
    once = np.ones((1, n))
    drawn = random.multinomial(n, np.full(n, 1 / n), size=resamples).astype(float)
    by_chance = np.argsort(random.random((resamples, n)), axis=1) < top
    raw, low, high, beyond_chance = {}, {}, {}, {}
    for key, kernel in kernels.items():
        chance = _divergence(kernel, once, by_chance.astype(float))
        found = _divergence(kernel, once, _best(once, top))
        raw[key] = max(0.0, float(found[0] - chance.mean()))
        beyond_chance[key] = bool(found[0] > np.quantile(chance, 0.95))
        low[key] = np.maximum(0.0, _divergence(kernel, drawn, _best(drawn, top)) - chance.mean())
    total, totals = sum(raw.values()), np.sum(list(low.values()), axis=0)
    for key, samples in low.items():
        shares = np.divide(samples, totals, out=np.zeros_like(samples), where=totals > 0)
        low[key], high[key] = np.quantile(shares, 0.025), np.quantile(shares, 0.975)
    result = [
        Importance(
            key=key,
            share=raw[key] / total if total else 0.0,
            low=float(low[key]),
            high=float(high[key]),
            beyond_chance=beyond_chance[key],
            trials=sum(key in trial.parameters for trial in ordered),
            best=_best_values([trial.parameters[key] for trial in ordered[:top] if key in trial.parameters]),
        )
        for key in kernels
    ]
    return tuple(sorted(result, key=lambda item: -item.share))


def _best(weights: Floats, top: int) -> Floats:
    """Compute Float[R, N]: how much of each trial, the best first, is among the best `top`, in each of R draws with these weights."""
    before = np.cumsum(weights, axis=1) - weights
    return np.clip(top - before, 0, weights)


def _divergence(kernel: Floats, every: Floats, best: Floats) -> Floats:
    """Compute the Pearson divergence of the best trials' density from that of all trials.

    Args:
        kernel: Float[N, G], each trial's part of a density over G cells; a row of zeros where the parameter did not apply.
        every, best: Float[R, N] (R may be 1 in one of them), weights of the trials.

    Returns:
        Float[R]
    """
    cells = kernel.shape[1]
    applies = kernel.sum(axis=1)
    all_count, best_count = every @ applies, best @ applies
    all_density = (every @ kernel + _PRIOR / cells) / (all_count + _PRIOR)[:, None]
    best_density = (best @ kernel + _PRIOR / cells) / (best_count + _PRIOR)[:, None]
    divergence = np.sum((best_density - all_density) ** 2 / all_density, axis=1)
    all_share, best_share = all_count / every.sum(axis=1), best_count / best.sum(axis=1)
    return np.asarray(divergence * best_share**2 / np.maximum(all_share, 1e-12))


def _kernel(parameters: Sequence[Mapping[str, Any]], key: str, top: int) -> Floats | None:
    """Make Float[N, G] for `_divergence`; None where all trials have one value."""
    values = [point.get(key) for point in parameters]
    present = [index for index, point in enumerate(parameters) if key in point]
    different = list(dict.fromkeys(format_value(values[index]) for index in present))
    if len(different) < 2:
        return None
    if len(different) <= _FEW_VALUES or not all(is_number(values[index]) for index in present):
        kernel = np.zeros((len(values), len(different)))
        for index in present:
            kernel[index, different.index(format_value(values[index]))] = 1.0
        return kernel
    ranks = _middle_ranks(np.array([float(values[index] or 0) for index in present]))
    best = ranks[: max(2, sum(index < top for index in present))]
    width = 1.059 * float(np.std(best, ddof=1)) * len(best) ** -0.2
    grid = (np.arange(_GRID) + 0.5) / _GRID
    distances = [grid[None, :] - place[:, None] for place in (ranks, -ranks, 2 - ranks)]  # reflected at both ends
    rows = sum(np.exp(-0.5 * (distance / max(width, 1 / _GRID)) ** 2) for distance in distances)
    kernel = np.zeros((len(values), _GRID))
    kernel[present] = rows / np.sum(rows, axis=1, keepdims=True)
    return kernel


def _middle_ranks(values: Floats) -> Floats:
    """Return ranks between 0 and 1, equal values sharing the middle of theirs."""
    ordered = np.sort(values)
    below, up_to = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    return np.asarray((below + up_to) / 2 / len(values))


def short_number(value: Any) -> str:
    """Format a parameter's value: floats with three significant digits."""
    return f"{value:.3g}" if isinstance(value, float) else format_value(value)


def _best_values(values: Sequence[Any]) -> str:
    if not values:
        return "–"
    if all(map(is_number, values)) and len(set(values)) > 1:
        low, high = np.quantile(np.array(values, dtype=float), (0.1, 0.9), method="nearest")
        return f"{short_number(float(low))} to {short_number(float(high))}"
    [(text, count)] = Counter(map(format_value, values)).most_common(1)
    return f"{text} ({count} of {len(values)})"
