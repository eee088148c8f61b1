"""Calls of plug-ins of other distributions: whatever one raises or returns wrongly becomes one message that names it."""

from __future__ import annotations

import functools
import inspect
import traceback
import types
import typing
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

from runner.core.conformance import fits, in_words, member_faults, method_names
from runner.core.errors import PluginError, RunnerError


@dataclass(frozen=True, slots=True)
class Guard:
    """Wrapper of one plug-in's code.

    Args:
        title: kind and name of the plug-in.
        origin: its distribution and entry point.
        passed: exceptions that callers of this kind expect, besides `RunnerError`.
        unguarded: methods whose callers handle every exception themselves.
    """

    title: str
    origin: str
    passed: tuple[type[Exception], ...] = ()
    unguarded: frozenset[str] = frozenset()

    def cls(self, plugin: type[Any], protocol: type[Any]) -> type[Any]:
        """Return a subclass of `plugin` in which the constructor and the methods of `protocol` are guarded."""
        members: dict[str, Any] = {"__slots__": (), "__module__": plugin.__module__, "__doc__": plugin.__doc__}
        members["__qualname__"] = plugin.__qualname__
        for name in ("__init__", *method_names(protocol)):
            member = inspect.getattr_static(plugin, name)
            hint = _return_hint(inspect.getattr_static(protocol, name)) if name != "__init__" else Any
            if name in self.unguarded or member is object.__init__:
                continue
            if isinstance(member, classmethod | staticmethod):
                members[name] = type(member)(self.function(member.__func__, hint))
            elif inspect.isfunction(member):
                members[name] = self.function(member, hint)
        return types.new_class(plugin.__name__, (plugin,), exec_body=lambda body: body.update(members))

    def function(self, call: Callable[..., Any], hint: Any = Any) -> Callable[..., Any]:
        """Return `call` guarded; its result has to fit `hint`, and is guarded too where that is a Protocol.

        Raises:
            PluginError: it raised anything but `RunnerError` and what callers expect, or returned something else.
        """

        @functools.wraps(call)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            try:
                result = call(*args, **kwargs)
                if isinstance(result, Iterator) and get_origin(hint) in (Iterable, Iterator):
                    result = list(result)  # here, where what it raises is noticed
                faults = _result_faults(result, hint)
                return self._instance(result, hint) if not faults else self._refuse(call, faults)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - another distribution's code may raise anything
                if isinstance(error, (RunnerError, *self.passed)):
                    raise
                text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
                raise self._failure(call, text, _place(error)) from error

        return guarded

    def _instance(self, value: Any, hint: Any) -> Any:
        """Guard the methods of an object that a plug-in has made."""
        protocol = _protocol_in(hint)
        if protocol is not None and value is not None:
            object.__setattr__(value, "__class__", self.cls(type(value), protocol))
        return value

    def _refuse(self, call: Callable[..., Any], faults: str) -> Any:
        raise self._failure(call, faults, "")

    def _failure(self, call: Callable[..., Any], text: str, place: str) -> PluginError:
        where = "its constructor" if call.__name__ == "__init__" else f"{call.__name__}()"
        return PluginError(f"{self.title} failed in {where}: {text} ({'; '.join(filter(None, (place, self.origin)))})")


def _return_hint(call: Any) -> Any:
    """Return the type that a function is declared to return; Any where it is not declared, or is known to type checkers alone."""
    function = getattr(call, "__func__", call)
    holder = types.SimpleNamespace(__annotations__={"return": getattr(function, "__annotations__", {}).get("return", Any)})
    try:
        hint = typing.get_type_hints(holder, getattr(function, "__globals__", {}))["return"]
    except NameError:
        return Any
    return Any if hint is types.NoneType else hint


def _result_faults(result: Any, hint: Any) -> str:
    """Return why `result` is not what `hint` declares; empty if it is."""
    if fits(result, hint):
        return ""
    protocol = _protocol_in(hint)
    if protocol is not None and result is not None:
        return f"{type(result).__name__}, which it returned, cannot be used: {'; '.join(member_faults(result, protocol))}"
    return f"it returned {result!r:.60} (expected {in_words(hint)})"


def _protocol_in(hint: Any) -> type[Any] | None:
    """Return the Protocol among the members of a hint whose methods are known; None if there is none."""
    for member in (hint, *get_args(hint)):
        if getattr(member, "_is_protocol", False) and not getattr(member, "_is_runtime_protocol", False):
            return typing.cast(type[Any], member)
    return None


def _place(error: BaseException) -> str:
    """Return the file and line where it was raised; empty if that is the call itself."""
    frames = traceback.extract_tb(error.__traceback__)[1:]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
