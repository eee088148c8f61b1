"""Checked reading of JSON values: what fits a type, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import pytest

from runner.core.typed import Count, Moment, Name, build, fits
from runner.store.run_dir import Identity, Override, Status


@dataclass(frozen=True, slots=True)
class Inner:
    name: Name


@dataclass(frozen=True, slots=True)
class Outer:
    number: int
    inner: Inner
    many: tuple[Inner, ...] = ()
    any: Mapping[str, Any] = field(default_factory=dict)
    other: float | None = None


def test_builds_nested_dataclasses_and_leaves_unknown_keys_out() -> None:
    data = {"number": 3, "inner": {"name": "a"}, "many": [{"name": "b"}], "any": {"x": [1]}, "other": 2, "newer": 1}
    assert build(Outer, data) == Outer(3, Inner("a"), (Inner("b"),), {"x": [1]}, 2)
    assert build(Outer, {"number": 3}) is None  # a field is missing


@pytest.mark.parametrize(
    ("hint", "good", "bad"),
    [
        (int, [0, -5], [True, 1.0, "1", None, [1]]),
        (float, [0, -1.5, 2**60, 1.7e308], [True, "1", None, float("inf"), float("nan"), 10**400]),
        (bool, [True], [1, 0, "true", None]),
        (str, ["", "é"], [1, None, ["a"]]),
        (Count, [0, 7], [-1, True, 2**63, 1.0]),
        (Moment, [0, 1.5e9], [-1.0, 1e300]),
        (Name, ["a b", "0003-x=8-s1", ".hidden", "a" * 255], ["", ".", "..", "a/b", "/", "a\0", "a" * 256, "é" * 128]),
        (Literal["a", "b"], ["a"], ["c", 1, None, ["a"]]),
        (list[Count], [[], [1, 2]], [[1, "2"], {"0": 1}, "12", None]),
        (Mapping[str, float | str], [{}, {"a": 1, "b": "NaN"}], [{"a": None}, [1], "a"]),
        (str | None, [None, "a"], [1]),
    ],
)
def test_what_fits(hint: Any, good: list[Any], bad: list[Any]) -> None:
    assert [value for value in good if not fits(value, hint)] == []
    assert [value for value in bad if fits(value, hint)] == []


WRONG: list[Any] = [None, True, -1, 1e999, 10**30, 1.5, "text", [], [[1]], {}, {"a": {"b": 1}}]
WHOLE = [
    Identity("0001-a=1-s0", "sweep", 1, 0, {"a": 1}, "k" * 20, {"host": "here"}, "a=1", {"params": {}}, trial_keys=["a"]),
    Status("running", "because", 2, 10, 20, 0.5, 123.0, 7, {"train/loss": "NaN"}, "training", "crash", "mark"),
    Override("interrupted", "killed", 1, 5.0, "hung", 1, True),
]


@pytest.mark.parametrize("whole", WHOLE, ids=lambda whole: type(whole).__name__)
def test_a_field_of_another_type_never_gets_through(whole: Any) -> None:
    data = json.loads(json.dumps(asdict(whole)))
    assert build(type(whole), data) == whole
    refused = 0
    for name, value in data.items():
        for wrong in WRONG:
            made = build(type(whole), {**data, name: wrong})
            refused += made is None
            if made is not None:
                kept = getattr(made, name)
                same = type(kept) is type(value) or kept is None or name in ("reason", "sweep")
                assert same or (isinstance(value, float) and kept == wrong), (name, wrong)
    assert refused > 6 * len(data)
