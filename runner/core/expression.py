"""Small expressions of a sweep file: ``base * TrainReader.batch_size / 4``, ``type == Momentum``, ``resource/memory_gib <= 8``.

    numbers, 'texts', true, false, null     names: max_iters, TrainReader.batch_size, milestones.0, bbox/AP, `bbox/AP/a class`
    + - * / // % **    == != < <= > >=    and or not    min max abs round sqrt log exp

A slash between letters without a space belongs to a name; to divide by a name, put spaces around it. A single word to the right of ``==``
or ``!=`` is a text. Nothing here can call, import or reach anything: names are looked up by the caller.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from runner.core.errors import nearest
from runner.core.values import format_value, same_value

Lookup = Callable[[str], Any]
_Compiled = Callable[[Lookup], Any]

_LONGEST: Final = 200
"""Most words and signs of an expression, so that none is nested deeper than Python can follow."""

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?![\w.])
    | (?P<text>'[^']*'|"[^"]*")
    | (?P<quoted>`[^`]+`)
    | (?P<word>[^\W\d]\w*(?:\.\w+|/[^\W\d]\w*|@\d+(?:\.\d+)?)*)
    | (?P<sign>\*\*|//|==|!=|<=|>=|[-+*/%<>(),])
    )""",
    re.VERBOSE,
)
_CONSTANTS: Final = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}
_COMPARISONS: Final = ("==", "!=", "<", "<=", ">", ">=")
_STRENGTH: Final = {"or": 1, "and": 2, **dict.fromkeys(_COMPARISONS, 4), "+": 5, "-": 5, "*": 6, "/": 6, "//": 6, "%": 6, "**": 8}
"""Precedence of each operator. `not` (3) is between `and` and the comparisons, the sign (7) between product and power."""


def _power(base: Any, exponent: Any) -> Any:
    if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * exponent > 1024:
        raise OverflowError
    result = base**exponent
    if isinstance(result, complex):
        raise ValueError(f"{format_value(base)} ** {format_value(exponent)} is not a number")
    return result


_ARITHMETIC: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": _power,
}
_ORDER: Final[dict[str, Callable[[Any, Any], Any]]] = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_FUNCTIONS: Final[dict[str, tuple[Callable[..., Any], int, int]]] = {  # with the fewest and the most arguments
    "min": (min, 1, _LONGEST),
    "max": (max, 1, _LONGEST),
    "abs": (abs, 1, 1),
    "round": (round, 1, 2),
    "sqrt": (math.sqrt, 1, 1),
    "log": (math.log, 1, 1),
    "exp": (math.exp, 1, 1),
}


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression.

    Args:
        text: as it was written.
        names: the names to look up when it is evaluated.
        condition: whether its value is always true or false.
    """

    text: str
    names: frozenset[str]
    condition: bool
    _compiled: _Compiled = field(repr=False, compare=False)
    _sides: tuple[str, _Compiled, _Compiled] | None = field(repr=False, compare=False)

    @classmethod
    def parse(cls, text: str) -> Expression:
        """Parse `text`.

        Raises:
            ValueError: it is not an expression; the message says what is wrong and where.
        """
        parser = _Parser(text)
        compiled = parser.whole()
        outermost = parser.outermost.get(compiled)
        return cls(text, frozenset(parser.names), compiled in parser.outermost, compiled, outermost)

    def evaluate(self, lookup: Lookup) -> Any:
        """Compute the value; `lookup` returns the value of a name. The right side of a decided ``and`` or ``or`` is not looked up.

        Raises:
            ValueError: it has no value: a division by zero, a text among numbers, a result without bounds. What `lookup` raises is
                passed on.
        """
        return self._compiled(lookup)

    def violation(self, lookup: Lookup) -> float:
        """Measure how far a condition is from being true, as samplers want it: at most 0 where it is true, else more than 0.

        For ``a <= b`` it is a - b; for anything but a comparison of two sizes it is 0 or 1. Raises ValueError as `evaluate` does.
        """
        if self._sides is None or self._sides[0] not in _ORDER:
            return 0.0 if self.evaluate(lookup) else 1.0
        name, left, right = self._sides
        distance = float(_call(name, operator.sub, [left, right] if name in ("<", "<=") else [right, left])(lookup))
        # a strict comparison is false at the bound itself
        return max(distance, math.ulp(0.0)) if not self.evaluate(lookup) else distance


class _Parser:
    """Precedence climbing (Richards 1979): each operator takes what binds more strongly than itself as its right side.

    Python's `ast` would not make this shorter. The names are not Python's, so a text has to be split into words and put together again
    before; the lone word right of ``==`` and the refused chain of comparisons have to be found in its tree, whose walk is as long as the
    climbing; and its messages about a slip name the changed text, without the place that is meant, in words of each Python version.
    """

    def __init__(self, text: str) -> None:
        self._tokens = list(_split(text))  # (kind, text, place)
        if len(self._tokens) > _LONGEST:
            raise ValueError(f"too long: more than {_LONGEST} words and signs")
        self._next = 0
        self.names: set[str] = set()
        self.outermost: dict[_Compiled, tuple[str, _Compiled, _Compiled] | None] = {}
        """A condition, which is always true or false; with operator and sides where it is a comparison."""

    def whole(self) -> _Compiled:
        """Parse the whole text into one function."""
        found = self._expression(0)
        if self._next < len(self._tokens):
            raise ValueError(f"unexpected {self._here()}; expected an operator or the end")
        return found

    def _expression(self, weakest: int) -> _Compiled:
        left = self._operand()
        while (strength := _STRENGTH.get(self._peek(), 0)) > weakest:
            name = self._advance()
            # a power is grouped from the right, all else from the left
            right = self._operand_of_equality() if name in ("==", "!=") else None
            right = right or self._expression(strength - 1 if name == "**" else strength)
            if name in _COMPARISONS and self._peek() in _COMPARISONS:
                raise ValueError(f"{self._here()} follows another comparison: join the two with `and`")
            sides = (name, left, right)
            left = _binary(name, left, right)
            if name in _COMPARISONS or name in ("and", "or"):
                self.outermost[left] = sides
        return left

    def _operand_of_equality(self) -> _Compiled | None:
        """Parse the single word to the right of an equality: a string, which needs no quotes. None for anything else."""
        if self._next >= len(self._tokens):
            return None
        kind, word, _ = self._tokens[self._next]
        after = self._tokens[self._next + 1][1] if self._next + 1 < len(self._tokens) else ""
        plain = kind == "word" and not set(word) & set("./") and word not in (*_CONSTANTS, *_STRENGTH, "not")
        if not plain or after not in ("", ")", "and", "or", ",", *_COMPARISONS):
            return None
        self._next += 1
        return lambda _: word

    def _operand(self) -> _Compiled:
        if self._next >= len(self._tokens):
            raise ValueError("ends where a value is expected" if self._tokens else "empty text")
        here = self._here()
        kind, text, _ = self._tokens[self._next]
        self._next += 1
        if kind in ("number", "text"):
            value = _number(text) if kind == "number" else text[1:-1]
            return lambda _: value
        if kind == "quoted":
            return self._name(text[1:-1])
        if text in ("-", "+"):
            inner = self._expression(6)
            return _call("the sign", operator.neg if text == "-" else operator.pos, [inner])
        if text == "not":
            inner = self._expression(3)

            def negated(lookup: Lookup) -> bool:
                return not inner(lookup)

            self.outermost[negated] = None
            return negated
        if text == "(":
            inner = self._expression(0)
            self._close()
            return inner
        if kind != "word" or text in _STRENGTH:
            raise ValueError(f"unexpected {here}; expected a value")
        if self._peek() == "(":
            return self._function(text, here)
        if text in _CONSTANTS:
            constant = _CONSTANTS[text]
            return lambda _: constant
        return self._name(text)

    def _name(self, name: str) -> _Compiled:
        self.names.add(name)
        return lambda lookup: lookup(name)

    def _function(self, name: str, here: str) -> _Compiled:
        if name not in _FUNCTIONS:
            hint = nearest(name, list(_FUNCTIONS))
            raise ValueError(f"unknown function {here}; {hint}")
        self._next += 1
        arguments = [self._expression(0)]
        while self._peek() == ",":
            self._next += 1
            arguments.append(self._expression(0))
        self._close()
        function, fewest, most = _FUNCTIONS[name]
        if not fewest <= len(arguments) <= most:
            raise ValueError(f"{here} takes {'one argument' if most == 1 else f'{fewest} or {most} arguments'}, not {len(arguments)}")
        return _call(name, function, arguments)

    def _close(self) -> None:
        if self._peek() != ")":
            place = self._here() if self._next < len(self._tokens) else "the end"
            raise ValueError(f"missing ')' before {place}")
        self._next += 1

    def _peek(self) -> str:
        """Return the next word or sign without consuming it; empty at the end and before a quoted string."""
        return self._tokens[self._next][1] if self._next < len(self._tokens) else ""

    def _advance(self) -> str:
        self._next += 1
        return self._tokens[self._next - 1][1]

    def _here(self) -> str:
        _, text, place = self._tokens[self._next]
        return f"{text!r} (character {place + 1})"


def _split(text: str) -> list[tuple[str, str, int]]:
    tokens, place, end = [], 0, len(text.rstrip())
    while place < end:
        found = _TOKEN.match(text, place)
        if found is None or found.lastgroup is None:
            place += len(text[place:]) - len(text[place:].lstrip())
            raise ValueError(f"{text[place : place + 10]!r} (character {place + 1}) is not part of an expression")
        tokens.append((found.lastgroup, found[found.lastgroup], found.start(found.lastgroup)))
        place = found.end()
    return tokens


def _number(text: str) -> int | float:
    return int(text) if text.isdecimal() else float(text)


def _binary(name: str, left: _Compiled, right: _Compiled) -> _Compiled:
    if name == "and":
        return lambda lookup: bool(left(lookup)) and bool(right(lookup))
    if name == "or":
        return lambda lookup: bool(left(lookup)) or bool(right(lookup))
    if name == "==":
        return lambda lookup: same_value(left(lookup), right(lookup))
    if name == "!=":
        return lambda lookup: not same_value(left(lookup), right(lookup))
    return _call(name, (_ORDER.get(name) or _ARITHMETIC[name]), [left, right])


def _call(name: str, function: Callable[..., Any], arguments: list[_Compiled]) -> _Compiled:
    """Return code that calls `function` with numbers and turns its failures into readable errors."""

    def compute(lookup: Lookup) -> Any:
        values = [argument(lookup) for argument in arguments]
        for value in values:
            if not isinstance(value, int | float):  # true and false count as 1 and 0
                raise ValueError(f"{format_value(value)!r} is not a number; {name} needs one")
        try:
            return function(*values)
        except ZeroDivisionError:
            raise ValueError(f"division of {format_value(values[0])} by zero") from None
        except OverflowError:
            raise ValueError(f"the result of {name} is too large") from None
        except (ValueError, TypeError):
            shown = ", ".join(map(format_value, values))
            raise ValueError(f"{name} has no value for {shown}") from None

    return compute
