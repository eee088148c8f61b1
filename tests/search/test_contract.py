"""Every built-in design keeps the contract of searches; so does one of another distribution, which a sweep file names."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from runner.search.base import BUILTIN_DESIGNS, DESIGNS
from runner.search.spec_rules import DESIGN_KEYS
from runner.sweep.fake_sweep import FakeSweep
from runner.testing.searches import SearchContract

VARY = {"lr": [0.2, 0.3], "width": [2, 3]}


class TestOneAtATime(SearchContract):
    design: ClassVar[str] = "one_at_a_time"
    sweep: ClassVar[Mapping[str, Any]] = {"vary": VARY, "seeds": [0, 1]}


class TestCombineBest(SearchContract):
    design: ClassVar[str] = "one_at_a_time"
    sweep: ClassVar[Mapping[str, Any]] = {"vary": VARY, "combine_best": True}


class TestGrid(SearchContract):
    design: ClassVar[str] = "grid"
    sweep: ClassVar[Mapping[str, Any]] = {"design": "grid", "vary": VARY}


class TestZip(SearchContract):
    design: ClassVar[str] = "zip"
    sweep: ClassVar[Mapping[str, Any]] = {"design": "zip", "vary": VARY}


class TestList(SearchContract):
    design: ClassVar[str] = "list"
    sweep: ClassVar[Mapping[str, Any]] = {"design": "list", "trials": [{"lr": 0.2}, {"lr": 0.3, "width": 2}]}


class TestRaced(SearchContract):
    design: ClassVar[str] = "grid"
    sweep: ClassVar[Mapping[str, Any]] = {"design": "grid", "vary": VARY, "seeds": [0, 1, 2], "racing": {"max_seeds": 6}}


class TestOptuna(SearchContract):
    design: ClassVar[str] = "optuna"
    sweep: ClassVar[Mapping[str, Any]] = {
        "design": "optuna",
        "space": {"lr": {"low": 0.1, "high": 0.5}, "width": [1, 2, 3]},
        "sampler": {"name": "TPESampler", "n_startup_trials": 3},
        "pruner": {"name": "MedianPruner", "n_startup_trials": 2},
        "budget": {"runs": 6},
        "confirm_seeds": 1,
    }

    @pytest.fixture(autouse=True)
    def optuna(self) -> None:
        pytest.importorskip("optuna")


def test_every_design_is_registered_with_valid_keys() -> None:
    assert set(BUILTIN_DESIGNS) <= set(DESIGNS.names()) and len(BUILTIN_DESIGNS) == 5
    for name in BUILTIN_DESIGNS:
        assert set(DESIGNS.get(name).keys) <= set(DESIGN_KEYS)


PLUGIN = '''
from runner.search.base import Design, FixedSearch, Trial
from runner.search.points import BASELINE_LABEL, derive_overrides, trial_label

class FirstChoices(Design):
    """The baseline, and the first choice of every key."""
    keys = ("space",)
    required = "space"
    adaptive = False
    report = "search"
    database = ""

    def trials(self, spec, baseline):
        point = {key: given.choices[0] for key, given in spec.dimensions().items()}
        return [Trial(0, {}, BASELINE_LABEL), Trial(1, derive_overrides(spec, point, baseline), trial_label(spec, point))]

    def build(self, spec, trials, baseline, folder):
        return FixedSearch(trials)

    def outlook(self, spec):
        return ["nothing else is tried"]

class Unfinished:
    keys = "space"
'''


@pytest.fixture
def installed(tmp_path: Path) -> FakeSweep:
    """A sweep beside a distribution with two designs."""
    site = tmp_path / "site"
    (site / "first-1.0.dist-info").mkdir(parents=True)
    (site / "first_choices.py").write_text(textwrap.dedent(PLUGIN), encoding="utf-8")
    (site / "first-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: first\nVersion: 1.0\n", encoding="utf-8")
    points = "[runner.designs]\nfirst = first_choices:FirstChoices\nunfinished = first_choices:Unfinished\n"
    (site / "first-1.0.dist-info" / "entry_points.txt").write_text(points, encoding="utf-8")
    return FakeSweep(tmp_path / "sweep", {"PYTHONPATH": str(site)})


def test_a_design_of_another_distribution_runs_a_sweep(installed: FakeSweep) -> None:
    installed.write(design="first", vary={}, space={"parameters.lr": [0.01, 0.04]}, seeds=[0])
    shown = installed.finish(installed.command("sweep", "sweep.yml", "--dry-run"))
    assert shown.code == 0 and "nothing else is tried" in shown.out and "lr 0.02 → 0.01" in " ".join(shown.out.split()), shown
    ended = installed.finish()
    assert ended.code == 0 and "2 of 2 runs done" in ended.out, ended
    report = installed.finish(installed.command("compare", "runs/sweep"))
    assert report.code == 0 and "2 trials: 2 done" in report.out, report
    again = installed.finish()
    assert again.code == 0 and "2 of 2 runs done" in again.out, again
    without = FakeSweep(installed.folder)
    gone = without.finish(without.command("compare", "runs/sweep"))
    assert gone.code == 0 and "verdict" in gone.out, gone  # its directory is compared where the design is not installed too
    refused = without.finish()
    assert refused.code == 2 and "unknown design 'first'" in refused.err and "Traceback" not in refused.err, refused


def test_keys_that_an_installed_design_does_not_use_are_refused(installed: FakeSweep) -> None:
    installed.write(design="first", space={"parameters.lr": [0.01]}, vary={"parameters.lr": [1]})
    ended = installed.finish()
    assert ended.code == 2 and "vary: is not used by `design: first`, only by" in ended.err, ended
    installed.write(design="unfinished", vary={"parameters.lr": [1]})
    ended = installed.finish()
    assert ended.code == 2 and "design 'unfinished' cannot be used" in ended.err and "Traceback" not in ended.err, ended
