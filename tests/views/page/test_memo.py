from __future__ import annotations

from runner.views.page.memo import Memo


def test_values_are_made_again_only_where_their_arguments_changed() -> None:
    memo, made = Memo(), []

    def add(first: int, second: int) -> int:
        made.append((first, second))
        return first + second

    assert memo.recall("sum", {"a": (1, 2), "b": (3, 4)}, add) == [3, 7]
    assert memo.recall("sum", {"b": (3, 5), "a": (1, 2)}, add) == [8, 3]
    assert made == [(1, 2), (3, 4), (3, 5)]


def test_what_is_no_longer_wanted_is_forgotten() -> None:
    memo, made = Memo(), []
    for wanted in ({"a": (1,)}, {}, {"a": (1,)}):
        memo.recall("number", wanted, lambda number: made.append(number))
    memo.recall("another kind", {"a": (1,)}, lambda number: made.append(number))
    assert made == [1, 1, 1]
