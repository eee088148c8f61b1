"""Calls of plug-ins of other distributions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar, Protocol

import pytest

from runner.core.errors import InputError, PluginError
from runner.core.guarded import Guard


class Voice(Protocol):
    """A product of a plug-in."""

    pitch: int

    def sound(self) -> str:
        """Sound."""


class Singer(Protocol):
    """A kind of plug-in."""

    loud: ClassVar[bool]

    def sing(self, times: int) -> Sequence[str]:
        """Sing."""

    def songs(self) -> Iterable[int]:
        """Name the songs."""

    @staticmethod
    def bow() -> None:
        """Bow."""

    def voice(self) -> Voice:
        """Make a voice."""


class Hoarse:
    """A voice with slots."""

    __slots__ = ("pitch",)

    def __init__(self) -> None:
        self.pitch = 3

    def sound(self) -> str:
        raise OSError("no breath")


class Bad:
    loud: ClassVar[bool] = True

    def __init__(self) -> None:
        self.sung = 0

    def sing(self, times: int) -> Any:
        if times < 0:
            raise InputError("times: expected 0 or more")
        self.sung += times
        return ["la"] * times if times < 3 else "lalala"

    def songs(self) -> Iterator[int]:
        yield 1
        raise LookupError

    @staticmethod
    def bow() -> None:
        raise SystemExit(3)

    def voice(self) -> Any:
        return Hoarse() if self.sung else object()

    def helper(self) -> str:
        return {}["a"]  # type: ignore[no-any-return]


GUARD = Guard("singer 'bad'", "choir 1.0, entry point bad = choir:Bad", passed=(StopIteration,))


def message(call: Any, *args: Any) -> str:
    with pytest.raises(PluginError) as failed:
        call(*args)
    return str(failed.value)


def test_its_methods_raise_nothing_but_our_errors() -> None:
    bad = GUARD.cls(Bad, Singer)()
    assert isinstance(bad, Bad) and type(bad).loud and type(bad).__name__ == "Bad"
    assert bad.sing(2) == ["la", "la"] and bad.sung == 2
    with pytest.raises(InputError, match="expected 0 or more"):
        bad.sing(-1)
    end = "choir 1.0, entry point bad = choir:Bad)"
    assert message(bad.sing, 3) == f"singer 'bad' failed in sing(): it returned 'lalala' (expected a sequence of str) ({end}"
    assert message(bad.sing).startswith("singer 'bad' failed in sing(): TypeError: Bad.sing() missing 1 required positional argument")
    assert message(bad.songs).startswith("singer 'bad' failed in songs(): LookupError (test_guarded.py:") and message(bad.songs).endswith(
        end
    )
    assert message(bad.bow).startswith("singer 'bad' failed in bow(): SystemExit: 3 (test_guarded.py:")
    with pytest.raises(KeyError):  # what no Protocol names is the plug-in's own business
        bad.helper()


def test_an_object_that_it_makes_is_guarded_too() -> None:
    bad = GUARD.cls(Bad, Singer)()
    assert "object, which it returned, cannot be used: pitch is missing (expected int); sound() is missing" in message(bad.voice)
    bad.sing(1)
    voice = bad.voice()
    assert isinstance(voice, Hoarse) and voice.pitch == 3
    assert message(voice.sound).startswith("singer 'bad' failed in sound(): OSError: no breath (test_guarded.py:")


def test_exceptions_that_callers_expect_pass() -> None:
    def stop() -> None:
        raise StopIteration

    with pytest.raises(StopIteration):
        GUARD.function(stop)()
    unguarded = Guard("singer 'bad'", "choir", unguarded=frozenset({"bow"})).cls(Bad, Singer)()
    with pytest.raises(SystemExit):
        unguarded.bow()
