"""Report on initial weights that were loaded: what fitted the model, and what did not. Every backend writes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from runner.weights.names import KEY


@dataclass(frozen=True, slots=True)
class LoadReport:
    """Result of loading: the model's and the file's tensors.

    Args:
        loaded: names of the model's tensors that were set.
        missing: names of the model's tensors that the file does not hold; they keep their random values.
        misfit: of the model's tensors that the file holds in another shape: name, shape in the file, shape in the
            model; they keep their random values.
        unused: names in the file, as written there, that the model has no place for.
    """

    loaded: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    misfit: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...] = ()
    unused: tuple[str, ...] = ()


def lines_of(report: LoadReport) -> list[str]:
    """Write what did not fit, for the log; nothing where everything did."""
    lines = []
    for name, there, here in report.misfit:
        lines.append(f"{KEY}: {name} starts anew: its shape is {list(there)} in the file and {list(here)} in the model")
    if report.missing:
        lines.append(f"{KEY}: not in the file, start anew: {_grouped(report.missing)}")
    if report.unused:
        lines.append(f"{KEY}: in the file but not in the model, left out: {_grouped(report.unused)}")
    return lines


def few(names: Sequence[str]) -> str:
    """List the first three of some names."""
    return ", ".join(names[:3]) + (f", … ({len(names)} in all)" if len(names) > 3 else "")


def _grouped(names: tuple[str, ...]) -> str:
    """Group names as ``fcos_head.fcos_feat (32 tensors), …``: by the first two parts of the names; a name that is alone, whole."""
    groups = Counter(".".join(name.split(".")[:2]) for name in names)
    alone = {".".join(name.split(".")[:2]): name for name in names}
    return ", ".join(f"{group} ({count} tensors)" if count > 1 else alone[group] for group, count in groups.items())
