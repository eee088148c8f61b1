"""runner: say what to vary in a detector's YAML config, and learn which change made it better and how sure that is.

From Python (`docs/python-api.md`): ``runner.open_sweep``, ``runner.train``, ``runner.compare``. They are imported when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runner.core.errors import InputError, Interrupted, RunnerError, TrainingFailed
    from runner.sweep.session import Comparison, Sweep, SweepResult, TrainedRun, compare, open_sweep, train

__version__ = "0.1.0"
__all__ = [
    "Comparison",
    "InputError",
    "Interrupted",
    "RunnerError",
    "Sweep",
    "SweepResult",
    "TrainedRun",
    "TrainingFailed",
    "compare",
    "open_sweep",
    "train",
]

_ERRORS = frozenset({"InputError", "Interrupted", "RunnerError", "TrainingFailed"})

if not TYPE_CHECKING:  # for a type checker the imports above are all there is

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module 'runner' has no attribute {name!r}")
        from importlib import import_module  # noqa: PLC0415 - `import runner` loads nothing

        value = getattr(import_module("runner.core.errors" if name in _ERRORS else "runner.sweep.session"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
