"""Values as people and file systems meet them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.values import counted, format_value, natural, safe_name, same_value, short_keys


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1, 1.0, True),
        (True, 1, False),
        (False, 0, False),
        (None, None, True),
        ([1, 2], (1, 2.0), True),
        ({"a": [1]}, {"a": [1.0]}, True),
        ({"a": 1}, {"b": 1}, False),
        ("1", 1, False),
        ([1], [1, 2], False),
        ([True], [1], False),
    ],
)
def test_same_value(one: Any, other: Any, same: bool) -> None:
    assert same_value(one, other) is same and same_value(other, one) is same


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (0.00125, "0.00125"),
        (1e-5, "1e-05"),
        (1 / 3, "0.333333"),
        (8, "8"),
        ([2, [3.0, None]], "[2, [3, null]]"),
        ({"a": 1}, "{a: 1}"),
        ("a\nb", "a b"),
    ],
)
def test_format_value(value: Any, text: str) -> None:
    assert format_value(value) == text


def test_short_keys() -> None:
    assert short_keys(["TrainReader.batch_size", "max_iters"]) == {"TrainReader.batch_size": "batch_size", "max_iters": "max_iters"}
    assert short_keys(["A.size", "B.size"]) == {"A.size": "A.size", "B.size": "B.size"}
    assert short_keys(["s.milestones.0"]) == {"s.milestones.0": "milestones.0"}
    assert short_keys(["size", "A.size"]) == {"size": "size", "A.size": "A.size"}


@given(st.text(max_size=200))
def test_safe_names_are_safe_everywhere(text: str) -> None:
    name = safe_name(text)
    assert 0 < len(name) <= 60 and name.isascii() and not set(name) & set("/\\:*?\"<>|\0\n '") and not name.startswith((".", "-"))


def test_safe_names_stay_apart_and_readable() -> None:
    assert safe_name("batch_size=8, milestones=[2, 3]") == "batch_size=8,milestones=2,3"
    assert safe_name("x" * 100 + "a") != safe_name("x" * 100 + "b")
    assert safe_name("板") != safe_name("件")


def test_names_are_sorted_by_the_numbers_in_them() -> None:
    names = ["0000-b-s10", "0000-b-s2", "0000-b-s0", "0000-b-s011", "0000-b", "s9", f"s1{'0' * 5000}", "0010-a-s1", "0002-a-s1"]
    assert sorted(names, key=natural) == [
        *("0000-b", "0000-b-s0", "0000-b-s2", "0000-b-s10", "0000-b-s011", "0002-a-s1", "0010-a-s1", "s9", f"s1{'0' * 5000}")
    ]


@pytest.mark.parametrize(
    ("number", "word", "text"),
    [(1, "run", "1 run"), (0, "run", "0 runs"), (2, "failed run", "2 failed runs"), (1, "box", "1 box"), (3, "box", "3 boxes")]
    + [(2, "process", "2 processes"), (1, "process", "1 process")],
)
def test_a_number_of_things_has_its_plural(number: int, word: str, text: str) -> None:
    assert counted(number, word) == text
