"""The report on what is running below a directory."""

from __future__ import annotations

from pathlib import Path

from runner.core.lock import holder
from runner.monitor.overview import read_runs, read_sweep
from runner.monitor.places import find_places
from runner.monitor.status_report import PlaceStatus, StatusReport
from runner.sweep.sweep_dir import SweepDir


def read_status(path: Path) -> StatusReport:
    """Read the state of the sweeps and runs at or below `path`.

    Raises:
        InputError: there is none.
    """
    places = []
    for folder, runs in find_places(path):
        sweep = SweepDir(folder)
        driver = None if runs else holder(sweep.lock)
        places.append(PlaceStatus(read_runs(folder, runs) if runs else read_sweep(sweep, driven=driver is not None), driver))
    return StatusReport(tuple(places))
