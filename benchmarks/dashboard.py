"""Speed of the page against its targets, in a headless Chromium, beside TensorBoard and VisualDL on the same runs.

    python -m benchmarks.dashboard [--quick] [--repeats 5] [--large] [--only WORD …] [--dir DIR]

Each figure is the median of `--repeats` measurements; times to the screen end two animation frames after what was drawn. "Cold": our cache
is empty; the runs' files are still in the system's memory. `--quick` takes a tenth of the trials: its times prove nothing.
`--large` adds 1,000 runs of 10,000 records (2 GB). The browser is ``RUNNER_CHROMIUM``, else `chromium` on the PATH. Exit code 1 if a target
is missed.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import dashboard_measures as measures
from benchmarks.dashboard_peers import peer_versions, peers
from benchmarks.dashboard_server import Browser, Row
from tests.support.browser import launched
from tests.support.many_runs import make_sweep

SIZES = {"many": (1000, 5, 192), "long": (10, 5, 10_000), "large": (200, 5, 10_000), "frozen": (100, 3, 1000)}
"""Sweep to its trials, seeds per trial and records per run."""


@dataclass(frozen=True, slots=True)
class Sweeps:
    """Folders of runs that are made once: `make(name)` returns one."""

    folder: Path
    scale: int
    """What the number of trials is divided by."""

    def make(self, name: str) -> Path:
        """Return the sweep of a name, which is made if it is not there yet.

        Args:
            name: one of `SIZES`.
        """
        trials, seeds, records = SIZES[name]
        trials, sweep = max(2, trials // self.scale), self.folder / name
        if not sweep.is_dir():
            print(f"making {trials * seeds:,} runs: {name}", file=sys.stderr, flush=True)
            made = make_sweep(self.folder / "new", trials, seeds, records=records, name=name)
            made.rename(sweep)
        return sweep


def main() -> int:
    """Measure and print a table; 0 if every target is met, else 1."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dashboard", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="a tenth of the runs, each measured twice")
    parser.add_argument("--repeats", type=int, metavar="N", help="measurements per figure; default 5, with --quick 2")
    parser.add_argument("--large", action="store_true", help="1,000 runs of 10,000 records too: 2 GB")
    parser.add_argument("--only", nargs="+", metavar="WORD", help=f"only these: {', '.join(MEASURES)}")
    parser.add_argument("--dir", type=Path, metavar="DIR", help="where the runs are kept; default: a folder that goes afterwards")
    args = parser.parse_args()
    if wrong := sorted(set(args.only or ()) - set(MEASURES)):
        parser.error(f"unknown {wrong[0]!r}; expected {', '.join(MEASURES)}")
    executable = os.environ.get("RUNNER_CHROMIUM") or shutil.which("chromium")
    if executable is None:
        parser.error("no Chromium here: `make system` installs it, or RUNNER_CHROMIUM names one")
    repeats = args.repeats or (2 if args.quick else 5)
    with tempfile.TemporaryDirectory(prefix="runner-dashboard-") as scratch, launched(executable) as chromium:
        sweeps = Sweeps(args.dir or Path(scratch), 10 if args.quick else 1)
        browser = Browser(chromium, Path(scratch))
        print(f"Python {platform.python_version()}, Chromium {chromium.version}, {peer_versions()}, {os.cpu_count()} cores")
        missed = 0
        print(f"{'what':68} {'median':>10} {'least':>10} {'most':>10}   {'target':<10} result   load", flush=True)
        for row in _rows(browser, sweeps, repeats, args.only or list(MEASURES), large=args.large):
            print(f"{row}   {os.getloadavg()[0]:.1f}", flush=True)
            missed += row.is_missed
    return int(missed > 0)


MEASURES: dict[str, Callable[[Browser, Sweeps, int], Iterator[Row]]] = {
    "start": lambda browser, sweeps, repeats: measures.starts(browser, sweeps.make("many"), repeats),
    "reading": lambda browser, sweeps, repeats: measures.reading(browser, sweeps.make("many"), repeats),
    "chart": lambda browser, sweeps, repeats: measures.first_chart(browser, sweeps.make("long"), repeats),
    "table": lambda browser, sweeps, repeats: measures.table(browser, sweeps.make("many"), repeats),
    "curves": lambda browser, sweeps, repeats: measures.curves(browser, sweeps.make("long"), repeats),
    "live": lambda browser, sweeps, repeats: measures.live(browser, sweeps.make("many"), repeats),
    "load": lambda browser, sweeps, repeats: measures.first_load(browser, sweeps.make("long")),
    "frozen": lambda browser, sweeps, repeats: measures.frozen(browser, sweeps.make("frozen"), repeats),
    "peers": lambda browser, sweeps, repeats: peers(browser, sweeps.make("long"), repeats),
}


def _rows(browser: Browser, sweeps: Sweeps, repeats: int, names: Sequence[str], *, large: bool) -> Iterator[Row]:
    for name in names:
        yield from MEASURES[name](browser, sweeps, repeats)
    if large:
        yield from measures.starts(browser, sweeps.make("large"), repeats)
        yield from measures.reading(browser, sweeps.make("large"), 1, limit_s=60.0)


if __name__ == "__main__":
    raise SystemExit(main())
