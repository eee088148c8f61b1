"""The claim of the answer: fresh seeds judged alone keep their 5 %, seeds that are added to those that were seen do not."""

from __future__ import annotations

import numpy as np

from benchmarks.fresh_seeds import best_first, proposed, simulate


def test_fresh_seeds_keep_the_level_and_added_ones_do_not() -> None:
    tally = simulate([1.0] * 3, sweeps=300)
    assert tally.first + tally.second == tally.sweeps == 300
    assert tally.alone / tally.second < 0.08
    assert (tally.first + tally.one_by_one) / tally.sweeps > 0.12
    assert tally.pairs <= tally.swapped


def test_what_is_proposed_and_which_trial_is_first() -> None:
    values = np.array([[0.0, 1.0, 2.0], [3.0, 4.0, 5.1], [1.0, 2.0, 3.0]])
    assert best_first(values).tolist() == [values[1].tolist(), values[0].tolist(), values[2].tolist()]
    assert proposed(values)[0] in ("settle", "try") and 3 <= proposed(values)[1] <= 20 and proposed(-values[[1, 0, 2]])[1] <= 20
