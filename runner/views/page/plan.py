"""Planned runs of a sweep, as its plan.json names them before they begin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.core.files import read_json
from runner.core.typed import Count, Name, build
from runner.search.spec import Metric
from runner.store import legacy
from runner.store.run_dir import PrimaryMetric

PLAN_FILE = "plan.json"


@dataclass(frozen=True, slots=True)
class PendingRun:
    """A run in plan.json."""

    id: Name
    trial: Count = 0
    seed: Count = 0
    label: str = ""
    overrides: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlanSpec:
    """The keys of the sweep file that the page shows (see `runner.search.spec.SweepSpec`)."""

    seeds: tuple[Count, ...] = ()
    metric: Metric | tuple[Metric, ...] | None = None
    design: str = ""
    vary: Mapping[str, Any] = field(default_factory=dict)
    space: Mapping[str, Any] = field(default_factory=dict)
    derive: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PagePlan:
    """The part of a plan.json that the page shows.

    Args:
        runs: those that are known in advance; none of a search.
        spec: what the sweep file says.
    """

    runs: tuple[PendingRun, ...] = ()
    spec: PlanSpec = PlanSpec()

    @property
    def metric(self) -> PrimaryMetric | None:
        """The deciding metric, with the others beside it; None where the plan names none."""
        found = self.spec.metric
        metrics = found if isinstance(found, tuple) else (found,) if found else ()
        return PrimaryMetric(metrics[0].name, metrics[0].goal, tuple(other.name for other in metrics[1:])) if metrics else None


def read_plan(sweep: Path) -> PagePlan:
    """Read a sweep's plan.json. A missing or damaged one is an empty plan."""
    return build(PagePlan, _read(sweep)) or PagePlan()


def read_spec(sweep: Path) -> PlanSpec:
    """Read what a sweep's plan.json has of the sweep file, and not its thousands of runs."""
    return build(PlanSpec, _read(sweep).get("spec")) or PlanSpec()


def _read(sweep: Path) -> dict[str, Any]:
    try:
        found = read_json(sweep / PLAN_FILE)
    except OSError:
        return {}
    return legacy.upgrade_plan(found) if isinstance(found, dict) else {}
