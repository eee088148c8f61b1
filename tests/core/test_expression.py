"""Expressions: what Python computes, nothing that Python could do besides, and every slip said with its place."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.core.expression import Expression

VALUES: dict[str, Any] = {
    "base": 0.01,
    "TrainReader.batch_size": 8,
    "LearningRate.schedulers.0.milestones.1": 300,
    "type": "Momentum",
    "OptimizerBuilder.optimizer.type": "AdamW",
    "bbox/AP": 0.4,
    "bbox/AP@0.33": 0.6,
    "resource/memory_gib": 7.5,
    "bbox/AP/open circuit": 0.2,
    "use_ema": True,
    "clip": None,
    "x": 3,
    "y": 0,
}


def value(text: str) -> Any:
    return Expression.parse(text).evaluate(VALUES.__getitem__)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("base * TrainReader.batch_size / 4", 0.02),
        ("base*TrainReader.batch_size/4", 0.02),
        ("2 + 3 * 4 - 5 - 6", 3),
        ("2 ** 3 ** 2", 512),
        ("-2 ** 2", -4),
        ("2 ** -1", 0.5),
        ("7 // 2 % 2", 1),
        ("(1 + 2) * -3", -9),
        ("1e-3 + .5", 0.501),
        ("min(x, 2, 5) + max(1, x) + abs(-2)", 7),
        ("round(2.567, 1) + round(2.4)", 4.6),
        ("sqrt(16) + log(exp(2))", 6.0),
        ("LearningRate.schedulers.0.milestones.1 / 3", 100.0),
        ("type == Momentum", True),
        ("type == 'Momentum'", True),
        ("OptimizerBuilder.optimizer.type != Momentum and x > 2", True),
        ("(type == AdamW or type == SGD) or x == 3", True),
        ("type == 3", False),
        ("use_ema == true", True),
        ("x == true", False),
        ("clip == null", True),
        ("not use_ema or x < 3", False),
        ("not x == 4", True),
        ("resource/memory_gib <= 8", True),
        ("bbox/AP@0.33 - bbox/AP > 0.1", True),
        ("`bbox/AP/open circuit` * 2", 0.4),
        ("(x > 2) * 10", 10),
        ("y == 0 or 1 / y > 1", True),
        ("y != 0 and 1 / y > 1", False),
    ],
)
def test_values(text: str, expected: Any) -> None:
    result = value(text)
    assert result == pytest.approx(expected) and type(result) is type(expected)


def test_names_are_those_that_have_to_be_looked_up() -> None:
    names = Expression.parse("base * TrainReader.batch_size / x.0 + (type == Momentum) + max(bbox/AP, 1) + (a == a.b)").names
    assert names == {"base", "TrainReader.batch_size", "x.0", "type", "bbox/AP", "a", "a.b"}
    assert Expression.parse("type == Momentum").names == {"type"}
    assert Expression.parse("x == base * 2").names == {"x", "base"}


def test_what_was_decided_is_not_looked_up() -> None:
    assert Expression.parse("x == 3 or missing > 2").evaluate(VALUES.__getitem__) is True
    with pytest.raises(KeyError, match="missing"):
        value("x == 4 or missing > 2")


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("x < 3", True),
        ("(x == 3)", True),
        ("not x", True),
        ("x > 1 and y", True),
        ("x", False),
        ("-(x < 3)", False),
        ("max(x < 3, 1)", False),
    ],
)
def test_what_is_true_or_false(text: str, condition: bool) -> None:
    assert Expression.parse(text).condition is condition


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("resource/memory_gib <= 8", -0.5),
        ("resource/memory_gib <= 7", 0.5),
        ("(x >= 5)", 2.0),
        ("x > 2", -1.0),
        ("x < 4", -1.0),
        ("x < 3", 5e-324),
        ("x <= 3", 0.0),
        ("x == 3", 0.0),
        ("x == 4", 1.0),
        ("x > 2 and y > 1", 1.0),
        ("not x > 2", 1.0),
    ],
)
def test_how_far_a_condition_is_from_holding(text: str, expected: float) -> None:
    assert Expression.parse(text).violation(VALUES.__getitem__) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "empty text"),
        ("  ", "empty text"),
        ("1 +", "ends where a value is expected"),
        ("* 2", "unexpected '*' (character 1); expected a value"),
        ("1 2", "unexpected '2' (character 3); expected an operator or the end"),
        ("a b", "unexpected 'b' (character 3)"),
        ("(1 + 2", "missing ')' before the end"),
        ("(1 + 2 3)", "missing ')' before '3' (character 8)"),
        ("1 < x < 3", "'<' (character 7) follows another comparison: join the two with `and`"),
        ("maxx(1, 2)", "unknown function 'maxx' (character 1); did you mean 'max'?"),
        ("open('f')", "unknown function"),
        ("sqrt(1, 2)", "'sqrt' (character 1) takes one argument, not 2"),
        ("sqrt()", "unexpected ')' (character 6); expected a value"),
        ("x = 3", "'= 3' (character 3) is not part of an expression"),
        ("x; y", "'; y' (character 2) is not part of an expression"),
        ("x[0]", "'[0]' (character 2) is not part of an expression"),
        ("x.__class__.__mro__[1]", "is not part of an expression"),
        ("3max", "is not part of an expression"),
        ("'open", "is not part of an expression"),
        ("1 " + "+ 1 " * 100, "too long: more than 200"),
        ("(" * 150, "ends where a value is expected"),
        ("x and", "ends where a value is expected"),
        ("x == and", "unexpected 'and' (character 6)"),
    ],
)
def test_what_is_no_expression_is_told_with_its_place(text: str, expected: str) -> None:
    with pytest.raises(ValueError) as caught:
        Expression.parse(text)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 / y", "division of 1 by zero"),
        ("1 % y", "division of 1 by zero"),
        ("type * 2", "'Momentum' is not a number; * needs one"),
        ("clip < 3", "'null' is not a number; < needs one"),
        ("9 ** 9 ** 9", "the result of ** is too large"),
        ("exp(1000)", "the result of exp is too large"),
        ("10.0 ** 400", "the result of ** is too large"),
        ("(-8) ** 0.5", "** has no value for -8, 0.5"),
        ("log(y)", "log has no value for 0"),
        ("round(1.5, 0.5)", "round has no value for 1.5, 0.5"),
        ("-type", "is not a number; the sign needs one"),
    ],
)
def test_what_has_no_value_is_told(text: str, expected: str) -> None:
    with pytest.raises(ValueError) as caught:
        value(text)
    assert expected in str(caught.value)


def test_the_deepest_one_that_is_read_is_computed() -> None:
    assert value("(" * 99 + "x" + ")" * 99) == 3
    assert value("x" + " + 1" * 99) == 102
    assert value("-" * 199 + "x") == -3
    assert value("not " * 199 + "x") is False


def arithmetic() -> st.SearchStrategy[str]:
    numbers = st.integers(0, 20).map(str) | st.sampled_from(["0.5", "2.25", "x", "base"])
    signs = st.sampled_from(["+", "-", "*", "/", "//", "%", "<", ">="])
    exponents = st.integers(-3, 4).map(str) | st.sampled_from(
        ["0.5", "x", "base"]
    )  # Python computes for hours what we refuse: 20 ** 20 ** 20
    return st.recursive(
        numbers,
        lambda inner: st.one_of(
            st.tuples(inner, signs, inner).map(lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"),
            st.tuples(inner, exponents).map(lambda parts: f"({parts[0]} ** {parts[1]})"),
            st.tuples(inner, st.sampled_from(["+", "-", "*", "/"]), inner).map(" ".join),
            inner.map(lambda part: f"-{part}"),
            inner.map(lambda part: f"max({part}, 1)"),
        ),
        max_leaves=8,
    )


@settings(max_examples=300)
@given(arithmetic())
def test_it_computes_what_python_computes(text: str) -> None:
    try:
        expected = eval(text, {"__builtins__": {}, "max": max}, {"x": 3, "base": 0.01})
        if isinstance(expected, complex) or not math.isfinite(abs(expected)):  # an integer may be too large to ask
            return
    except (ArithmeticError, TypeError, MemoryError):
        return
    try:
        result = Expression.parse(text).evaluate(VALUES.__getitem__)
    except ValueError as error:
        assert "too large" in str(error)
        return
    assert result == expected


@settings(max_examples=200)
@given(st.text(alphabet="xy.0123/*+-<>=!()`'\" andormx,@", max_size=40))
def test_any_text_is_an_expression_or_a_value_error(text: str) -> None:
    try:
        expression = Expression.parse(text)
    except ValueError:
        return
    try:
        expression.evaluate(lambda name: 2)
    except ValueError:
        pass
