"""Run directories renamed or copied within a sweep: a run's identity is in its run.json."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from itertools import pairwise

import pytest

from runner.cli.main import main
from runner.results.collect import collect
from runner.results.compare import compare
from runner.store.identities import identify
from runner.sweep.fake_sweep import FakeSweep, steps_twice
from runner.sweep.verify import verify

FIRST, SECOND = "0000-baseline-s0", "0001-lr=0.01-s0"
Shown = Callable[..., str]


@pytest.fixture
def shown(copied: FakeSweep, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shown:
    """What a command prints, seen from the sweep's folder; it must end with `code`."""
    monkeypatch.chdir(copied.folder)
    monkeypatch.setenv("COLUMNS", "200")

    def show(*arguments: str, code: int = 0) -> str:
        capsys.readouterr()
        assert main(list(arguments)) == code
        captured = capsys.readouterr()
        return captured.out + captured.err

    return show


def test_a_copy_does_not_count(copied: FakeSweep, shown: Shown) -> None:
    name = f"{FIRST} (copy) ü"
    shutil.copytree(copied.sweep.runs / FIRST, copied.sweep.runs / name)
    ended = copied.finish()
    assert ended.code == 0 and "6 of 6 runs done" in ended.out and f"note: {name} is a copy of {FIRST} and does not count" in ended.err
    assert "6 runs: 6 done" in (text := shown("status", "runs/sweep")) and f"{name} is a copy of {FIRST} and does not count" in text
    assert [str(finding) for finding in verify(copied.sweep)] == [f"runs/{name}: is a copy of {FIRST}; it does not count"]
    comparison = compare(collect([copied.sweep.path]))
    assert [len(trial.counted) for trial in comparison.trials] == [2, 2, 2]
    assert [(run.path.name, reason.id) for run, reason in comparison.uncounted] == [(name, "uncounted-copy")]
    assert "a copy of" in shown("ls", "runs/sweep")
    assert "no run has failed" in shown("retry", "runs/sweep", "--failed")


def test_a_copy_that_sorts_first_does_not_count_either(copied: FakeSweep) -> None:
    shutil.copytree(copied.sweep.runs / FIRST, copied.sweep.runs / "0000-a copy")
    comparison = compare(collect([copied.sweep.path]))
    assert [run.path.name for run, _ in comparison.uncounted] == ["0000-a copy"]


def test_a_renamed_directory_counts_as_its_run(copied: FakeSweep, shown: Shown) -> None:
    (copied.sweep.runs / FIRST).rename(copied.sweep.runs / "my baseline")
    ended = copied.finish()
    assert ended.code == 0 and "6 of 6 runs done" in ended.out, ended
    assert f"note: my baseline is the run {FIRST} under another name, and counts as it" in ended.err
    assert not (copied.sweep.runs / FIRST).exists()
    assert "6 runs: 6 done" in (text := shown("status", "runs/sweep")) and "my baseline is the run" in text
    assert json.loads(shown("status", "runs/sweep", "--json"))["places"][0]["remarks"] != []
    assert [finding.wrong for finding in verify(copied.sweep)] == [False]
    assert [trial.label for trial in compare(collect([copied.sweep.path])).trials] == ["baseline", "lr=0.01", "lr=0.04"]


def test_swapped_names_change_nothing(copied: FakeSweep, shown: Shown) -> None:
    before = compare(collect([copied.sweep.path]))
    one, other = copied.sweep.runs / FIRST, copied.sweep.runs / SECOND
    one.rename(copied.sweep.runs / "x")
    other.rename(one)
    (copied.sweep.runs / "x").rename(other)
    after = compare(collect([copied.sweep.path]))
    assert [(trial.label, trial.metrics["bbox/AP"].mean) for trial in after.trials] == [
        (trial.label, trial.metrics["bbox/AP"].mean) for trial in before.trials
    ]
    ended = copied.finish()
    assert ended.code == 0 and "6 of 6 runs done" in ended.out and ended.err.count("under another name") == 2, ended
    copied.sweep.journal.unlink()
    ended = copied.finish()
    assert ended.code == 0 and "6 of 6 runs done" in ended.out and len(copied.sweep.run_names()) == 6, ended


def test_of_several_copies_none_is_guessed(copied: FakeSweep, shown: Shown) -> None:
    for name in ("one", "two"):
        shutil.copytree(copied.sweep.runs / FIRST, copied.sweep.runs / name)
    shutil.rmtree(copied.sweep.runs / FIRST)
    places = f"runs/sweep/runs/one, runs/sweep/runs/two: all of them are copies of the run {FIRST}; keep one, named {FIRST}"
    ended = copied.finish()
    assert ended.code == 2 and places in ended.err and ended.out == "", ended
    for command in (["compare", "runs/sweep"], ["retry", "runs/sweep", "--failed"], ["stop", "runs/sweep"]):
        assert places in shown(*command, code=2)
    assert "6 runs: 5 done, 1 waiting" in (text := shown("status", "runs/sweep")) and places in text
    assert "keep one" in shown("verify", "runs/sweep", code=1)
    assert "one of several copies: keep one" in shown("ls", "runs/sweep")


def test_a_renamed_run_goes_on_where_it_is(stage: FakeSweep) -> None:
    config, keys = {"max_iters": 60, "step_s": 0.03}, {"vary": {"parameters.lr": [0.01]}, "seeds": [0]}
    stage.write(config=config, **keys)
    driver = stage.start()
    stage.worker(step=7)
    driver.send_signal(signal.SIGTERM)
    assert stage.finish(driver).code == 130
    (stage.sweep.runs / FIRST).rename(stage.sweep.runs / "renamed ü")
    stage.write(config={**config, "step_s": 0.0}, **keys)
    ended = stage.finish()
    assert ended.code == 0 and "2 of 2 runs done" in ended.out, ended
    run = stage.run("renamed ü")
    assert run.status().state == "done" and run.status().attempt == 2 and steps_twice(run) == []
    assert sorted(stage.states()) == [SECOND, "renamed ü"]
    assert "2 of 2 runs done" in (ended := stage.finish()).out and ended.code == 0
    (stage.sweep.runs / "renamed ü").rename(stage.sweep.runs / FIRST)
    assert "2 of 2 runs done" in (ended := stage.finish()).out and "another name" not in ended.err
    assert [str(finding) for finding in verify(stage.sweep) if finding.wrong] == []


def test_a_directory_without_identity_is_what_it_is_called(copied: FakeSweep) -> None:
    (copied.sweep.runs / FIRST / "run.json").write_text("{")
    (copied.sweep.runs / "stray").mkdir()
    found = copied.sweep.identities()
    assert found.runs[FIRST] == FIRST and found.runs["stray"] == "stray" and found.remarks() == []
    assert identify(copied.folder / "nothing", []).runs == {}


def test_a_copy_in_the_place_of_another_run_is_refused_and_repaired(copied: FakeSweep, shown: Shown) -> None:
    shutil.rmtree(copied.sweep.runs / FIRST)
    shutil.copytree(copied.sweep.runs / SECOND, copied.sweep.runs / FIRST)
    for arguments in ((), ("--dry-run",)):
        ended = copied.finish(copied.command("sweep", "sweep.yml", *arguments))
        assert ended.code == 2 and ended.out == "" and "done" not in ended.err, ended
        assert f"{FIRST}: holds the run {SECOND} in the place of the run {FIRST}, which is gone; move it away" in ended.err
        assert "--run-dir" not in ended.err and "train -r" not in ended.err
    found = shown("verify", "runs/sweep", code=1)
    assert f"holds the run {SECOND} in the place of the run {FIRST}, which is gone; move it away" in found and "6 runs: 1 problem," in found
    assert "1 problem, 1 repaired" in shown("verify", "runs/sweep", "--repair")
    assert not (copied.sweep.runs / FIRST).exists() and (copied.sweep.runs / SECOND).is_dir()
    ended = copied.finish()
    assert ended.code == 0 and "6 of 6 runs done" in ended.out, ended
    assert [str(finding) for finding in verify(copied.sweep)] == []


def test_runs_moved_each_into_the_place_of_the_next_are_moved_back(copied: FakeSweep, shown: Shown) -> None:
    names = copied.sweep.run_names()[:3]
    metrics = [(copied.sweep.runs / name / "metrics.jsonl").read_bytes() for name in names]
    shutil.rmtree(copied.sweep.runs / names[0])
    for to, name in pairwise(names):
        (copied.sweep.runs / name).rename(copied.sweep.runs / to)
    assert f"holds the run {names[1]} in the place of" in copied.finish().err
    shown("verify", "runs/sweep", "--repair")
    assert [(copied.sweep.runs / name / "metrics.jsonl").read_bytes() for name in names[1:]] == metrics[1:]
    ended = copied.finish()
    assert ended.code == 0 and "6 of 6 runs done" in ended.out and "another name" not in ended.err, ended
