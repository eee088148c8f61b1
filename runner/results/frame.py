"""A comparison as a table of pandas, where that is installed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from runner.core.errors import RunnerError
from runner.core.values import ABSENT

if TYPE_CHECKING:
    import pandas

    from runner.results.comparison import Comparison


def to_frame(comparison: Comparison) -> pandas.DataFrame:
    """Return one row per trial, the baseline first.

    Columns: ``trial``, ``label``, ``is_baseline``, each varied key, ``seeds`` (how many count), each metric's mean and its ``_std``, and of
    the deciding metric ``delta`` to the baseline, the interval ``low`` and ``high``, and ``verdict``. Missing numbers are NaN.

    Raises:
        RunnerError: pandas is not installed.
    """
    try:
        import pandas  # noqa: PLC0415 - optional
    except ImportError:
        raise RunnerError("a table of pandas needs pandas, which is not installed here: pip install pandas") from None
    rows: list[dict[str, Any]] = []
    for trial in comparison.trials:
        row: dict[str, Any] = {"trial": trial.number, "label": trial.label, "is_baseline": trial.is_baseline}
        row |= {key: None if (value := trial.parameters[key]) is ABSENT else value for key in comparison.parameters}
        row["seeds"] = len(trial.counted)
        for tag in comparison.metrics:
            summary = trial.metrics.get(tag)
            row[tag] = summary.mean if summary is not None else math.nan
            row[f"{tag}_std"] = summary.std if summary is not None and summary.std is not None else math.nan
        effect = trial.effects.get(comparison.metric)
        for name in ("delta", "low", "high"):
            value = getattr(effect, name, None)
            row[name] = math.nan if value is None else value
        row["verdict"] = trial.verdict
        rows.append(row)
    return pandas.DataFrame(rows)
