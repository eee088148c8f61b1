"""Plug-ins that load and then fail, each in its own way. They are those of `sundry`, which is installed beside this, with one fault."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from sundry_backend import TallyBackend, TallyConfig
from sundry_design import EndsDesign
from sundry_launcher import ShellLauncher
from sundry_renderer import LinesRenderer
from sundry_tracker import BoardTracker

from runner.config.schema import Doc
from runner.core.errors import Problem
from runner.launch.base import Capacity, Task
from runner.search.base import Baseline, FixedSearch, IntermediateResult, Search, Trial, TrialResult, Wait
from runner.search.spec import SweepSpec
from runner.store.records import Record
from runner.trackers.base import Target, TrackedRun

Name = Literal["metrics_fail", "metrics_odd", "check_fails", "demanding", "plain_config"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultyConfig(TallyConfig):
    """The config of a tally, for each of these backends."""

    backend: Annotated[Name, Doc("who trains")] = "metrics_fail"  # type: ignore[assignment]


class MetricsFail(TallyBackend):
    name: ClassVar[str] = "metrics_fail"
    config_class: ClassVar[type[Any]] = FaultyConfig

    def metrics(self, config: Any) -> Any:
        return {}["bbox/AP"]


class MetricsOdd(MetricsFail):
    name: ClassVar[str] = "metrics_odd"

    def metrics(self, config: Any) -> Any:
        return ["tally/reached"]


class CheckFails(MetricsFail):
    name: ClassVar[str] = "check_fails"

    def check(self, config: Any) -> Sequence[Problem]:
        raise AttributeError("no attribute 'goals'")


class Demanding(MetricsFail):
    name: ClassVar[str] = "demanding"

    def __init__(self, device: str) -> None:
        self.device = device


class PlainConfig(MetricsFail):
    name: ClassVar[str] = "plain_config"
    config_class: ClassVar[type[Any]] = dict


class SubmitFails(ShellLauncher):
    """It takes two tasks, and then no more."""

    accepted = 0

    def submit(self, task: Task) -> None:
        self.accepted += 1
        if self.accepted > 2:
            raise ConnectionError("the cluster does not answer")
        super().submit(task)


class NoRoom(ShellLauncher):
    def capacity(self) -> Capacity:
        return Capacity(0)


class OpenFails(BoardTracker):
    def open(self, target: Target, history: TrackedRun) -> None:
        raise ZeroDivisionError("division by zero")

    def write(self, record: Record) -> None:
        raise AssertionError("it is not open")


class OpenExits(OpenFails):
    def open(self, target: Target, history: TrackedRun) -> None:
        sys.exit("no licence")


class OddReport(EndsDesign):
    report: ClassVar[Any] = "newspaper"


class BrokenSearch(FixedSearch):
    """A search whose trials come one by one."""

    fails_in = "ask"

    def __init__(self, trials: Sequence[Trial]) -> None:
        super().__init__(trials)
        self.is_fixed = False

    def ask(self) -> Trial | Wait | None:
        if self.fails_in == "ask" and len(self._waiting) < len(self._trials):
            raise KeyError("best")
        return super().ask()

    def tell(self, trial: Trial, result: TrialResult) -> None:
        if self.fails_in == "tell":
            raise KeyError("best")

    def report(self, trial: Trial, report: IntermediateResult) -> str | None:
        return None


class AskFails(EndsDesign):
    def build(self, spec: SweepSpec, trials: Sequence[Trial], baseline: Baseline, folder: Path | None) -> Search:
        return BrokenSearch(trials)


class TellFails(EndsDesign):
    def build(self, spec: SweepSpec, trials: Sequence[Trial], baseline: Baseline, folder: Path | None) -> Search:
        search = BrokenSearch(trials)
        search.fails_in = "tell"
        return search


class NoSearch(EndsDesign):
    def build(self, spec: SweepSpec, trials: Sequence[Trial], baseline: Baseline, folder: Path | None) -> Any:
        return list(trials)


def load(source: Path, classes: tuple[str, ...]) -> Any:
    """Fail as a parser does."""
    return int("twelve")


class RenderFails(LinesRenderer):
    def render(self, report: Any, views: Sequence[str] = ()) -> str:
        return report.trials[99].name  # type: ignore[no-any-return]


class RenderOdd(LinesRenderer):
    def render(self, report: Any, views: Sequence[str] = ()) -> Any:
        return 42
