"""The status report: the state of sweeps and runs, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from runner.core.lock import Holder
from runner.monitor.overview import Overview

FORMAT = 1
"""Version of the format of `StatusReport.data`: it changes when readers have to."""


@dataclass(frozen=True, slots=True)
class PlaceStatus:
    """State of one sweep, or of some runs without one.

    Args:
        driver: the process that runs the sweep; None if there is none.
    """

    overview: Overview
    driver: Holder | None = None

    def data(self) -> dict[str, Any]:
        """Return the state as mappings, lists and scalars that JSON knows."""
        driver = self.driver
        found = None if driver is None else {"pid": driver.pid, "host": driver.host, "since": driver.since}
        return {**self.overview.to_json(), "driver": found}


@dataclass(frozen=True, slots=True)
class StatusReport:
    """State of the sweeps and runs below a directory."""

    subject: ClassVar[str] = "status"
    views: ClassVar[tuple[str, ...]] = ()

    places: tuple[PlaceStatus, ...]

    def data(self) -> dict[str, Any]:
        """Return the report as mappings, lists and scalars that JSON knows."""
        return {"format": FORMAT, "places": [place.data() for place in self.places]}
