"""Faults made to happen to a small sweep on this machine: `runner drill`."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from runner.core.lock import holder
from runner.core.values import counted
from runner.store.events import RunEnded, RunReopened
from runner.store.run_dir import RunDir
from runner.sweep.fake_sweep import FakeSweep, results_of, steps_twice, wait_for
from runner.sweep.verify import verify

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

_TRIALS_A_MINUTE = 12
_SMALL_FILE_BYTES = 1500
_DRIVER_BEGINS_S = 60.0


@dataclass
class DrillFault:
    """One kind of fault.

    Args:
        name: for people; what: the action.
        times: how often it was caused; wrong: failures to cope with it, one text each.
        skipped: why it cannot be caused here; empty if it can.
    """

    name: str
    what: str
    times: int = 0
    wrong: list[str] = field(default_factory=list)
    skipped: str = ""


@dataclass
class DrillReport:
    """The result of a drill.

    Args:
        faults: one per kind; checks: invariant to how it is broken at the end, an empty text if it holds.
    """

    faults: list[DrillFault]
    checks: dict[str, str]

    @property
    def passed(self) -> bool:
        """True if every fault was survived and every invariant holds."""
        return not any(self.checks.values()) and not any(fault.wrong for fault in self.faults)


class Drill:
    """Two sweeps of the scripted trainer in `folder`: an undisturbed one, and one that is exposed to faults.

    Args:
        seed: of the order and the times of the faults.
        minutes: about how long faults are caused; the sweep then runs to its end.
        kills: only kill the driver, this many times, however long it takes; None: all faults, by time.
        say: called with each event, in words.
    """

    def __init__(self, folder: Path, *, minutes: float, seed: int, kills: int | None = None, say: Callable[[str], None]) -> None:
        self._random = random.Random(seed)
        self._minutes, self._kills, self._say = minutes, kills, say
        trials = max(4, kills // 2 if kills is not None else round(minutes * _TRIALS_A_MINUTE))
        vary = {"parameters.lr": [round(0.001 * number, 6) for number in range(1, trials)]}
        self._whole = FakeSweep(folder / "undisturbed")
        self._whole.write(vary=vary)
        self._stage = FakeSweep(folder / "disturbed")
        self._stage.write(vary=vary, config={"step_s": 0.06}, resources={"concurrency": 2, "stall": "4s", "retries": 1000})
        self._cut: set[str] = set()
        """Runs with a truncated file."""
        self._driver: subprocess.Popen[str] | None = None
        self._kill_driver_fault = DrillFault("driver killed", "SIGKILL to the driver")
        self._faults: list[tuple[DrillFault, Callable[[DrillFault], None]]] = [
            (DrillFault("worker killed", "SIGKILL to a worker"), self._kill_worker),
            (self._kill_driver_fault, self._kill_driver),
            (DrillFault("hang", "SIGSTOP to a worker"), self._stop_worker),
            (DrillFault("torn files", "the driver is killed, files are cut, verify --repair"), self._tear),
            (DrillFault("full disk", "no file may grow beyond 1.5 kB"), self._fill_disk),
            (DrillFault("second driver", "the same command again"), self._second_driver),
        ]
        self._clock = DrillFault("clock", "the clock is set", skipped="never set on this machine; tests/survival covers it")
        if not sys.platform.startswith("linux"):
            for fault, _ in self._faults:
                if fault.name in ("hang", "full disk"):
                    fault.skipped = "only on Linux"

    def run(self) -> DrillReport:
        """Run both sweeps; return how the disturbed one coped."""
        try:
            self._say("an undisturbed sweep")
            ended = self._whole.finish()
            if ended.code:
                raise RuntimeError(f"the undisturbed sweep failed: {ended.err}")
            self._disturb()
            self._say("no more faults: running to the end")
            code = self._to_the_end()
            return DrillReport([*(fault for fault, _ in self._faults), self._clock], self._check(code))
        finally:
            self._stage.close()
            self._whole.close()

    def _disturb(self) -> None:
        until = time.monotonic() + self._minutes * 60
        for fault, do in self._order():
            if (self._kills is None and time.monotonic() > until) or self._is_done():
                return
            driver = self._drive()
            time.sleep(self._random.uniform(0.1, 1.5))
            if driver.poll() is None:
                fault.times += 1
                self._say(f"{fault.name}: {fault.what}")
                do(fault)

    def _order(self) -> Iterator[tuple[DrillFault, Callable[[DrillFault], None]]]:
        """Yield faults without end, each kind before one is repeated; or only kills of the driver."""
        if self._kills is not None:
            for fault, _ in self._faults:
                fault.skipped = fault.skipped or ("" if fault is self._kill_driver_fault else "only kills were requested")
            while self._kill_driver_fault.times < self._kills:
                yield self._kill_driver_fault, self._kill_driver
            return
        while True:
            kinds = [(fault, do) for fault, do in self._faults if not fault.skipped]
            self._random.shuffle(kinds)
            yield from kinds

    def _is_done(self) -> bool:
        states = self._stage.states()
        return len(states) == len(self._whole.states()) and all(state == "done" for state in states.values())

    def _drive(self) -> subprocess.Popen[str]:
        """Return a driver that holds the sweep's lock; start one if there is none."""
        if self._driver is None or self._driver.poll() is not None:
            driver = self._driver = self._stage.start()

            def begun() -> bool:
                there = holder(self._stage.sweep.lock)
                return driver.poll() is not None or (there is not None and there.pid == driver.pid)

            wait_for(begun, "a driver begins", _DRIVER_BEGINS_S)
        return self._driver

    # ---------------------------------------------------------------------------------------------------------- faults
    def _working(self) -> tuple[RunDir, psutil.Process] | None:
        """Return an active run and its worker; None if there is none."""
        runs = [run for run in self._stage.sweep.run_dirs() if run.status().state == "running"]
        self._random.shuffle(runs)
        for run in runs:
            try:
                process = psutil.Process(run.status().pid)
                if str(run.name) in " ".join(process.cmdline()) or process.ppid() != 1:
                    return run, process
            except psutil.Error:
                continue
        return None

    def _kill_worker(self, fault: DrillFault) -> None:
        found = self._working()
        if found is not None:
            try:
                found[1].kill()
            except psutil.Error:
                return
            self._check_noticed(fault, found[0], 5.0)

    def _stop_worker(self, fault: DrillFault) -> None:
        found = self._working()
        if found is not None:
            try:
                found[1].suspend()
            except psutil.Error:
                return
            self._check_noticed(fault, found[0], 30.0)

    def _check_noticed(self, fault: DrillFault, run: RunDir, limit_s: float) -> None:
        """Check that the end of an attempt is noticed in time."""
        attempt, driver = run.status().attempt, self._driver

        def noticed() -> bool:
            status = run.status()
            return status.attempt > attempt or status.state != "running" or driver is None or driver.poll() is not None

        try:
            wait_for(noticed, f"the end of {run.name} is noticed", limit_s)
        except TimeoutError as error:
            fault.wrong.append(str(error))

    def _kill_driver(self, fault: DrillFault) -> None:
        driver = self._drive()
        try:
            children = psutil.Process(driver.pid).children(recursive=True)
        except psutil.Error:
            return
        driver.send_signal(signal.SIGKILL)
        driver.communicate()
        _, alive = psutil.wait_procs(children, timeout=10)
        if alive:
            fault.wrong.append(f"{counted(len(alive), 'process')} still there 10 s after the driver died")
            for process in alive:
                process.kill()

    def _tear(self, fault: DrillFault) -> None:
        """Simulate a power loss: the files written last are truncated."""
        self._kill_driver(fault)
        sweep = self._stage.sweep
        files = [
            path for path in sorted(sweep.path.rglob("*")) if path.is_file() and not path.name.startswith(".") and path.stat().st_size > 1
        ]
        for path in self._random.sample(files, min(3, len(files))):
            if path.name != "worker.log":
                self._cut.update(path.relative_to(sweep.path).parts[1:2])
                os.truncate(path, self._random.randrange(path.stat().st_size))
        self._repair(fault)

    def _repair(self, fault: DrillFault) -> None:
        ended = self._stage.finish(self._stage.command("verify", self._stage.sweep.path, "--repair"))
        if ended.code not in (0, 1) or "Traceback" in ended.err:
            fault.wrong.append(f"verify: {ended.err}")

    def _fill_disk(self, fault: DrillFault) -> None:
        driver = self._drive()
        self._limit_files(driver, _SMALL_FILE_BYTES)
        time.sleep(2.0)
        self._limit_files(driver, None)
        if driver.poll() not in (None, 0):
            fault.wrong.append(f"the driver ended: {self._stage.finish(driver).err}")

    def _limit_files(self, driver: subprocess.Popen[str], size: int | None) -> None:
        try:
            processes = [psutil.Process(driver.pid), *psutil.Process(driver.pid).children(recursive=True)]
        except psutil.Error:
            return
        for process in processes:
            try:
                _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (hard if size is None else size, hard))
            except (ProcessLookupError, PermissionError):
                continue

    def _second_driver(self, fault: DrillFault) -> None:
        driver = self._drive()
        ended = self._stage.finish(self._stage.start())
        if driver.poll() is None and (ended.code != 2 or f"process {driver.pid}" not in ended.err):
            fault.wrong.append(f"it ended with {ended.code}: {ended.err}")

    # ------------------------------------------------------------------------------------------------------------- end
    def _to_the_end(self) -> str:
        """Run drivers until nothing is left to do, as a user would; return why that failed, empty if it did not."""
        for _ in range(3):
            driver = self._drive()
            ended = self._stage.finish(driver, timeout_s=600)
            self._driver = None
            self._repair(DrillFault("the end", ""))
            if self._is_done():
                return ""
        return f"the last driver ended with {ended.code}: {ended.err[-500:]}"

    def _check(self, to_the_end: str) -> dict[str, str]:
        mine, theirs = self._stage.sweep, self._whole.sweep
        names = mine.run_names()
        ends = Counter(event.run for event in self._stage.events(RunEnded))
        again = {event.run for event in self._stage.events(RunReopened)}
        twice = [name for name, count in ends.items() if count > 1 and name not in again]
        doubled = [name for name in names if steps_twice(self._stage.run(name))]
        left = [str(finding) for finding in verify(mine) if finding.wrong and " lost" not in finding.what]
        got, wanted = results_of(mine), results_of(theirs)
        differing = [name for name in wanted if not _same(got.get(name), wanted[name], name in self._cut)]
        return {
            "every run ends": to_the_end,
            "run names equal those of the undisturbed sweep": ""
            if names == theirs.run_names()
            else f"{counted(len(names), 'run')}, not {len(theirs.run_names())}",
            "every run ends once": ", ".join(twice),
            "no step twice": ", ".join(doubled),
            "runner verify": "; ".join(left[:3]),
            "results bit-identical to the undisturbed sweep": ", ".join(differing[:5]),
        }


def _same(got: dict[str, Any] | None, wanted: dict[str, Any], cut: bool) -> bool:
    """Return whether two runs have equal results and records; of a run with truncated files, only the records that are left."""
    if got is None or got["key"] != wanted["key"] or got["result"] != wanted["result"]:
        return False
    if not cut:
        return got == wanted
    return all(wanted["records"].get(tag, {}).get(step) == value for tag, line in got["records"].items() for step, value in line.items())


def clear(folder: Path) -> None:
    """Delete the folder of a drill."""
    shutil.rmtree(folder, ignore_errors=True)
