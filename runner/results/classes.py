"""Differences between two trials in what an evaluation says besides its one number: by class, by size of the boxes, by kind of error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from runner.stats.effects import effects
from runner.stats.intervals import CONFIDENCE, Difference, Summary, summarize

Side = Literal["better", "worse", "open"]


@dataclass(frozen=True, slots=True)
class ClassDifference:
    """A number of two trials, and their difference.

    Args:
        a, b: over the seeds.
        effect: b − a with its interval among all `rows`; None where a side has no value.
        alone: with the interval it would have were it the only row.
        means: whether the interval excludes zero, and on which side; None without one.
    """

    a: Summary
    b: Summary
    effect: Difference | None
    alone: Difference | None
    means: Side | None


def differences(
    a: Mapping[str, Sequence[float]], b: Mapping[str, Sequence[float]], *, family: int | None = None, lower_is_better: bool = False
) -> dict[str, ClassDifference]:
    """Compare two trials in several numbers at once, each with its values by seed.

    The intervals are those of `runner.stats.effects` (seeds are not paired), and simultaneous over the numbers that have one: each at the
    level 1 − 0.05 / count (Bonferroni), since their dependence is not known.

    Args:
        a, b: name to values, one per seed.
        family: count of the numbers that are looked at, where it is more than these.
        lower_is_better: of every number.
    """
    one, two = ({name: summarize(values) for name, values in each.items()} for each in (a, b))
    empty = summarize([])
    names = list(dict.fromkeys([*one, *two]))
    known = [name for name in names if one.get(name, empty).n and two.get(name, empty).n]
    judged = [name for name in known if one[name].n > 1 and two[name].n > 1]
    count = max(1, family if family is not None else len(judged))
    result = {}
    for name in names:
        left, right = one.get(name, empty), two.get(name, empty)
        if name not in known:
            result[name] = ClassDifference(left, right, None, None, None)
            continue
        (alone,) = effects(left, [right])
        (together,) = effects(left, [right], 1 - (1 - CONFIDENCE) / count)
        found = together.together
        means: Side | None = None
        if name in judged and found.low is not None and found.high is not None:
            means = "open" if found.is_open else "better" if (found.delta > 0) is not lower_is_better else "worse"
        result[name] = ClassDifference(left, right, found, alone.together, means)
    return result
