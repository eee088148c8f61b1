"""Numbers of results as text: means, differences, intervals, durations, verdicts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from runner.stats.intervals import Difference, Summary
from runner.stats.power import MOST_SEEDS

if TYPE_CHECKING:
    from runner.results.comparison import ComparedTrial

MINUS = "\N{MINUS SIGN}"
_LEAST_GIB = 0.1


def show_summary(summary: Summary, digits: int = 3) -> str:
    """Format a summary: ``0.412 ± 0.008``; without ± for a single value; a dash for none."""
    if not summary.n:
        return "–"
    spread = "" if summary.std is None else f" ± {summary.std:.{digits}f}"
    return f"{summary.mean:.{digits}f}{spread}".replace("-", MINUS)


def show_delta(effect: Difference | None, digits: int = 3) -> str:
    """Format a difference: ``+0.019``; a dash for none."""
    return "–" if effect is None else show_signed(effect.delta, digits)


def show_interval(effect: Difference | None, digits: int = 3) -> str:
    """Format the interval of a difference: ``[−0.011, +0.049]``; empty where there is none."""
    return "" if effect is None else show_range(effect.low, effect.high, digits)


def show_range(low: float | None, high: float | None, digits: int = 3) -> str:
    """Format an interval: ``[−0.011, +0.049]``; empty where an end is missing."""
    return "" if low is None or high is None else f"[{show_signed(low, digits)}, {show_signed(high, digits)}]"


def show_signed(value: float, digits: int = 3) -> str:
    """Format a number with its sign, and 0 without."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", MINUS)  # no "−0.000"


def show_duration(seconds: float | None) -> str:
    """Format a duration: ``0:42``, ``12:05``, ``1:02:03``, ``2d 04h``; a dash for none."""
    if seconds is None or not math.isfinite(seconds):
        return "–"
    whole = round(max(0.0, seconds))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    if hours >= 48:
        return f"{hours // 24}d {hours % 24:02d}h"
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def show_memory(gib: float) -> str:
    """Format an amount of memory in GiB: ``0.7 GiB``; less than 0.1 as ``64 MiB``."""
    return f"{1024 * gib:.0f} MiB" if gib < _LEAST_GIB else f"{gib:.1f} GiB"


def show_verdict(trial: ComparedTrial, against: int | None = None) -> str:
    """Name the verdict on a trial; of the one that the others are compared with, what it is: the baseline, or (`against`) the reference."""
    if trial.is_baseline:
        return "baseline" if against is None else "reference"
    return trial.verdict or "no verdict"


def show_seeds(trial: ComparedTrial) -> str:
    """Format how many seeds per trial a clear verdict would take: ``≈ 12 seeds``; empty where there is one already."""
    if trial.verdict != "cannot tell" or trial.alone is None or trial.alone.low is None:
        return ""
    return f"> {MOST_SEEDS} seeds" if trial.seeds_to_tell is None else f"≈ {trial.seeds_to_tell} seeds"
