"""A comparison as JSON (everything), CSV (a row a run) and Markdown (the table)."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from runner.core.text import json_text, printable
from runner.core.values import is_number
from runner.results.comparison import Comparison, TrialResult, followers, uncounted_lines
from runner.results.params import ABSENT
from runner.stats.intervals import Difference, Summary
from runner.stats.power import MOST_SEEDS
from runner.store.records import encode_number

FORMAT = 1
MINUS = "\N{MINUS SIGN}"


def to_json(comparison: Comparison) -> str:
    """Everything the comparison knows, as JSON. Its form is described by `format`, which changes when a reader would
    have to."""
    data = {
        "format": FORMAT,
        "metric": comparison.metric,
        "goal": comparison.goal,
        "parameters": list(comparison.parameters),
        "varied": list(comparison.parameters[: comparison.varied]),
        "trials": [_trial_data(trial) for trial in comparison.trials],
        "noise": None if comparison.noise is None else asdict(comparison.noise),
        "looks": list(comparison.looks),
        "uncounted": [{"run": str(run.path), "state": run.state, "reason": why} for run, why in comparison.uncounted],
        "warnings": list(comparison.warnings),
        "notes": list(comparison.notes),
    }
    return json_text(data, allow_nan=False) + "\n"


def to_csv(comparison: Comparison) -> str:
    """A row a run, done or not: what it is, its differing parameters, its metrics (empty where it has none), time
    and memory."""
    tags = list(dict.fromkeys([*comparison.metrics, *(tag for trial in comparison.trials for tag in trial.metrics)]))
    reasons = {run.path: why for run, why in comparison.uncounted}
    head = ["run", "trial", "label", "seed", "state", "counted", "why_not_counted", "hardly_learned", *comparison.parameters, *tags]
    head += [f"best {comparison.metric}", "time_s", "images_per_s", "memory_gb", "gpu_memory_gb", "path"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(_csv, head))
    for trial in comparison.trials:
        parameters = [_cell(trial.parameters[key]) for key in comparison.parameters]
        for run in trial.runs:
            best = run.best(comparison.metric, comparison.goal)
            row: list[Any] = [
                run.id,
                _number(trial),
                trial.label,
                run.seed,
                run.state,
                str(run in trial.counted).lower(),
                reasons.get(run.path, ""),
                ", ".join(map(str, run.flat)),
            ]
            row += [*parameters, *(run.metrics.get(tag, "") for tag in tags), best[1] if best else ""]
            rest = (run.time_s, run.images_per_s, run.memory_gb, run.gpu_memory_gb)
            writer.writerow(map(_csv, [*row, *("" if value is None else value for value in rest), str(run.path)]))
    return text.getvalue()


def to_markdown(comparison: Comparison) -> str:
    """The table for a README or an issue, with its warnings, what it leaves out, and how to read it."""
    head = [
        "trial",
        *(comparison.short[key] for key in comparison.parameters[: comparison.varied]),
        "n",
        *comparison.metrics,
    ]
    head += [f"Δ {comparison.metric} (95 %)", "verdict", "time"]
    rows = [_markdown_row(comparison, trial) for trial in comparison.trials]
    lines = [f"> **Warning:** {_escape(warning)}\n" for warning in comparison.warnings]
    lines += ["| " + " | ".join(map(_escape, row)) + " |" for row in (head, ["---"] * len(head), *rows)]
    also = followers(comparison)
    lines += [""] if comparison.uncounted or comparison.notes or also else []
    lines += [f"- {_escape(text)}" for text in also]
    lines += [f"- not counted: `{_code(run)}`: {_escape(why)}" for run, why in uncounted_lines(comparison)]
    lines += [f"- {_escape(note)}" for note in comparison.notes]
    return "\n".join(lines) + "\n"


def show_summary(summary: Summary, digits: int = 3) -> str:
    """``0.412 ± 0.008``; without ± for a single value; a dash for none."""
    if not summary.n:
        return "–"
    spread = "" if summary.std is None else f" ± {summary.std:.{digits}f}"
    return f"{summary.mean:.{digits}f}{spread}".replace("-", MINUS)


def show_delta(effect: Difference | None, digits: int = 3) -> str:
    """``+0.019``; a dash for none."""
    return "–" if effect is None else _signed(effect.delta, digits)


def show_interval(effect: Difference | None, digits: int = 3) -> str:
    """``[−0.011, +0.049]``; empty where there is none."""
    if effect is None or effect.low is None or effect.high is None:
        return ""
    return f"[{_signed(effect.low, digits)}, {_signed(effect.high, digits)}]"


def show_duration(seconds: float | None) -> str:
    """``0:42``, ``12:05``, ``1:02:03``, ``2d 04h``; a dash for none."""
    if seconds is None or not math.isfinite(seconds):
        return "–"
    whole = round(max(0.0, seconds))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    if hours >= 48:
        return f"{hours // 24}d {hours % 24:02d}h"
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def show_verdict(trial: TrialResult) -> str:
    """The verdict in words; for the baseline that it is one."""
    return "baseline" if trial.is_baseline else trial.verdict or "no verdict"


def show_seeds(trial: TrialResult) -> str:
    """How many seeds a trial would tell, where these cannot; else empty."""
    if trial.verdict != "cannot tell" or trial.alone is None or trial.alone.low is None:
        return ""
    return f"> {MOST_SEEDS} seeds" if trial.seeds_to_tell is None else f"≈ {trial.seeds_to_tell} seeds"


def _signed(value: float, digits: int) -> str:
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", MINUS)  # no "−0.000"


def _markdown_row(comparison: Comparison, trial: TrialResult) -> list[str]:
    effect = trial.effects.get(comparison.metric)
    delta = f"{show_delta(effect)} {show_interval(effect)}".strip()
    metrics = [show_summary(trial.metrics[tag]) for tag in comparison.metrics]
    parameters = [comparison.shown(key, trial) for key in comparison.parameters[: comparison.varied]]
    name = f"{trial.number} {trial.label}" if trial.number >= 0 else trial.label
    return [
        name,
        *parameters,
        str(len(trial.counted)),
        *metrics,
        delta,
        f"{show_verdict(trial)} {show_seeds(trial)}".strip(),
        show_duration(_mean(trial.time_s)),
    ]


def _mean(summary: Summary) -> float | None:
    return summary.mean if summary.n else None


def _escape(text: str) -> str:
    """Return `text` as Markdown that says just this: no cell, HTML, code, link or emphasis of its own."""
    escaped = re.sub(r"[\\|`*]|(?<=\])\(", r"\\\g<0>", printable(text.replace("\n", " ")))
    return escaped.replace("&", "&amp;").replace("<", "&lt;")


def _code(text: str) -> str:
    """Return `text` as it may stand between backticks."""
    return printable(text).replace("`", "'")


def _number(trial: TrialResult) -> int | str:
    return trial.number if trial.number >= 0 else ""


def _csv(value: Any) -> Any:
    """Return a cell in one line that a spreadsheet shows and does not calculate: a text that begins like a formula gets an apostrophe."""
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) and not is_number(text) else text


def _cell(value: Any) -> Any:
    """A scalar as it is, anything else as JSON; empty where there is no such key."""
    if value is ABSENT:
        return ""
    return value if isinstance(value, str | int | float) and not isinstance(value, bool) else json.dumps(value, ensure_ascii=False)


def _trial_data(trial: TrialResult) -> dict[str, Any]:
    return {
        "number": trial.number if trial.number >= 0 else None,
        "label": trial.label,
        "baseline": trial.is_baseline,
        "parameters": {key: value for key, value in trial.parameters.items() if value is not ABSENT},
        "seeds": [run.seed for run in trial.counted],
        "runs": [str(run.path) for run in trial.runs],
        "hardly_learned": [str(run.path) for run in trial.counted if run.flat],
        "metrics": {tag: _summary_data(summary) for tag, summary in trial.metrics.items() if summary.n},
        "effects": {tag: {"delta": e.delta, "low": e.low, "high": e.high} for tag, e in trial.effects.items()},
        "verdict": trial.verdict,
        "alone": None if trial.alone is None else asdict(trial.alone),
        "seeds_to_tell": trial.seeds_to_tell,
        "permutation_p": trial.permutation_p,
        "images": None if trial.images is None else asdict(trial.images),
        "best_optimistic": _summary_data(trial.best),
        "time_s": _summary_data(trial.time_s),
        "images_per_s": _summary_data(trial.images_per_s),
        "memory_gb": _summary_data(trial.memory_gb),
    }


def _summary_data(summary: Summary) -> dict[str, Any]:
    mean = encode_number(summary.mean) if summary.n else None
    return {"n": summary.n, "mean": mean, "std": summary.std, "values": _finite(summary.values)}


def _finite(values: Iterable[float]) -> Sequence[float | int | str]:
    return [encode_number(value) for value in values]
