"""runner: say what to vary in a detector's YAML config, and learn which change made it better and how sure that is.

From Python (`docs/python-api.md`): ``runner.open_sweep``, ``runner.train``, ``runner.compare``. They are imported when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runner.core.errors import InputError, Interrupted, RunnerError, TrainingFailed
    from runner.results.comparison import Comparison
    from runner.sweep.session import Sweep, TrainedRun, compare, open_sweep, train
    from runner.sweep.session_run import SweepResult

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

_MODULES = {
    "runner.core.errors": ("InputError", "Interrupted", "RunnerError", "TrainingFailed"),
    "runner.results.comparison": ("Comparison",),
    "runner.sweep.session": ("Sweep", "TrainedRun", "compare", "open_sweep", "train"),
    "runner.sweep.session_run": ("SweepResult",),
}

if not TYPE_CHECKING:  # for a type checker the imports above are all there is

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module 'runner' has no attribute {name!r}")
        from importlib import import_module  # noqa: PLC0415 - `import runner` loads nothing

        value = getattr(import_module(next(module for module, names in _MODULES.items() if name in names)), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
