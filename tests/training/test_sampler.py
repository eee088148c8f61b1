"""The order of images is one for all backends, and stays what it is."""

from __future__ import annotations

import pytest

from runner.training.sampler import epoch_order


def test_it_depends_on_seed_and_epoch_alone() -> None:
    order = epoch_order(1, 2, 50, shuffle=True)
    assert sorted(order.tolist()) == list(range(50))
    assert order.tolist() == epoch_order(1, 2, 50, shuffle=True).tolist()
    assert order.tolist() not in (epoch_order(1, 3, 50, shuffle=True).tolist(), epoch_order(2, 2, 50, shuffle=True).tolist())
    assert epoch_order(1, 2, 5, shuffle=False).tolist() == [0, 1, 2, 3, 4]


def test_it_cannot_be_changed_by_accident() -> None:
    with pytest.raises(ValueError, match="read-only"):
        epoch_order(1, 2, 5, shuffle=True)[0] = 3
