"""Sweeps, runs and data sets of an older version: they compare, verify and resume as they did with that version."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from conftest import Cli
from legacy.conftest import HERE, Unpack, rename_keys

from runner.core.values import GIB
from runner.search.load import load_sweep
from runner.store.events import CommandReceived, RunEnded, TrialPruned
from runner.store.journal import read_journal
from runner.store.run_dir import RunDir
from runner.sweep.session_plan import SweepRequest, plan_sweep
from runner.sweep.sweep_dir import SweepDir

SWEEPS = ("finished", "interrupted", "optuna", "racing")
_MEASURED = ("time_s", "images_per_s", "memory_gb", "memory_gib", "runs")
_ADDED = ("format", "n", "derived", "notes", "warnings", "audit", "constraints", "importances")
_VOLATILE = frozenset((*_MEASURED, *_ADDED))


def expected(name: str) -> Any:
    text = (HERE / "expected" / name).read_text(encoding="utf-8")
    return json.loads(text) if name.endswith(".json") else text


def shown(value: Any) -> Any:
    """A comparison without measured times and memory, and without the texts, which are others today."""
    if isinstance(value, dict):
        return {key: shown(item) for key, item in value.items() if key not in _VOLATILE}
    return [shown(item) for item in value] if isinstance(value, list) else value


def compared(cli: Cli, folder: Path) -> Any:
    return json.loads(cli("compare", "sweep", "--format", "json", cwd=folder).fine())


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("name", SWEEPS)
def test_it_compares_with_the_same_numbers(name: str, unpack: Unpack, cli: Cli) -> None:
    before, now = expected(f"{name}.compare.json"), compared(cli, unpack(name))
    assert shown(now["trials"]) == shown(before["trials"]) and len(now["trials"]) >= 2
    if "varied" in before:  # the fake backend declares memory_gb neutral: it no longer makes a trial
        before["varied"] = [key for key in before["varied"] if key != "memory_gb"]
    for key in ("metric", "goal", "varied", "noise", "looks", "ranked", "gain", "pareto"):
        assert now.get(key) == before.get(key), key


def test_memory_is_converted(unpack: Unpack, cli: Cli) -> None:
    folder = unpack("finished")
    now, before = compared(cli, folder), expected("finished.compare.json")
    for new, old in zip(now["trials"], before["trials"], strict=True):
        assert new["memory_gib"]["values"] == pytest.approx([value * 1e9 / GIB for value in old["memory_gb"]["values"]])
    rows = list(csv.DictReader(cli("compare", "sweep", "--format", "csv", cwd=folder).fine().splitlines()))
    assert len(rows) == 27 and {row["gpu_memory_gib"] for row in rows} == {""}


@pytest.mark.parametrize("name", SWEEPS)
def test_it_verifies_as_it_did(name: str, unpack: Unpack, cli: Cli) -> None:
    folder = unpack(name)
    done, before = cli("verify", "sweep", cwd=folder), expected(f"{name}.verify.txt")
    wrong = [line for line in done.out.splitlines() if not line.startswith("note: ")]
    assert wrong == [line for line in before.splitlines() if not line.startswith(("note: ", "-- "))]
    assert done.code == 0 and done.out.count("note: ") == before.count("note: ")


@pytest.mark.parametrize("name", SWEEPS)
def test_its_runs_have_the_same_keys_today(name: str, unpack: Unpack, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = unpack(name)
    monkeypatch.chdir(folder)
    rename_keys(folder / "sweep.yml")
    keys = expected("run_keys.json")[f"{name}/sweep/runs"]
    found = {run.name: run.identity() for run in map(RunDir, sorted(Path("sweep/runs").iterdir()))}
    assert {name: identity and identity.key for name, identity in found.items()} == keys
    planned = {entry["id"]: entry["key"] for entry in plan_sweep(SweepRequest(Path("sweep.yml"), folder=Path("again"))).entries()}
    assert planned and {name: key for name, key in planned.items() if name in keys}.items() <= keys.items()
    assert len(planned.keys() & keys.keys()) >= (1 if name == "optuna" else 5)


@pytest.mark.parametrize(("name", "code", "says"), [("finished", 1, "failed before"), ("optuna", 0, ""), ("racing", 0, "")])
def test_a_sweep_that_is_over_resumes_and_runs_nothing(name: str, code: int, says: str, unpack: Unpack, cli: Cli) -> None:
    folder = unpack(name)
    rename_keys(folder / "sweep.yml")
    before = contents(folder / "sweep" / "runs")
    done = cli("sweep", "sweep.yml", "--dir", "sweep", cwd=folder)
    assert done.code == code and says in done.err and "Traceback" not in done.err, done
    assert contents(folder / "sweep" / "runs") == before
    now, old = compared(cli, folder), expected(f"{name}.compare.json")
    assert shown(now["trials"]) == shown(old["trials"])
    cli("verify", "sweep", cwd=folder).fine()


@pytest.mark.slow
def test_an_interrupted_sweep_resumes_to_the_same_results(unpack: Unpack, cli: Cli) -> None:
    folder = unpack("interrupted")
    rename_keys(folder / "sweep.yml")
    for name, old, new in (("config.yml", "step_s: 0.03", "step_s: 0.001"), ("sweep.yml", "concurrency: 2", "concurrency: 4")):
        text = (folder / name).read_text(encoding="utf-8")
        assert old in text
        (folder / name).write_text(text.replace(old, new), encoding="utf-8")  # counts in no key; three runs hang until they are killed
    done = cli("sweep", "sweep.yml", "--dir", "sweep", cwd=folder)
    assert done.code == 1 and "21 of 24 runs done" in done.out, done
    assert shown(compared(cli, folder)["trials"]) == shown(expected("interrupted.resumed.compare.json")["trials"])


def test_old_keys_of_a_users_file_are_refused(unpack: Unpack, cli: Cli) -> None:
    folder = unpack("finished")
    message = cli("sweep", "sweep.yml", "--dir", "sweep", cwd=folder).refused()
    for new in ("`derive`", "`combine_best`", "`memory_gib`"):
        assert f"is now called {new}: rename the key in {folder / 'sweep.yml'}, not in the copy" in message


def test_old_keys_of_a_data_spec_are_all_that_is_said(unpack: Unpack, cli: Cli) -> None:
    """Until the spec is read, the place of the data is unknown, so no message advises about it."""
    folder = unpack("torch")
    (folder / "sweep.yml").write_text("{config: config.yml, vary: {max_iters: [5]}}")
    for command in (["train", "-r", "run"], ["resume", "run"], ["sweep", "sweep.yml", "--dry-run"]):
        message = cli(*command, cwd=folder).refused()
        assert message.startswith("runner: datasets/tiny.yml:6: cut: is now called `split`: rename the key") and "missing" not in message


@pytest.mark.parametrize("name", SWEEPS)
def test_the_sweep_file_in_the_directory_is_upgraded(name: str, unpack: Unpack) -> None:
    folder = unpack(name)
    (folder / "sweep" / "config.yml").write_bytes((folder / "config.yml").read_bytes())
    spec, plan = load_sweep(folder / "sweep" / "sweep.yml"), SweepDir(folder / "sweep").plan()
    assert json.loads(json.dumps(asdict(spec))) == plan["spec"]
    assert spec.derive and spec.resources.memory_gib and spec.combine_best == (name in ("finished", "interrupted"))
    if name == "optuna":
        assert (spec.confirm_seeds, spec.constraints) == (2, ("(resource/memory_gib * 1.073741824) <= 8",))


def test_its_journal_is_read(unpack: Unpack) -> None:
    journal = SweepDir(unpack("finished") / "sweep").journal
    ended = list(read_journal(journal, RunEnded))
    assert len({event.run for event in ended}) == 27 and [event.trial for event in read_journal(journal, TrialPruned)] == [5]
    assert "resource/memory_gib" in next(event.values for event in ended if event.values)
    assert {event.action for event in read_journal(journal, CommandReceived)} >= {"stop", "quit"}


def rename_split(folder: Path) -> None:
    spec = folder / "datasets" / "tiny.yml"
    spec.write_text(spec.read_text(encoding="utf-8").replace("cut:", "split:"), encoding="utf-8")


def test_a_prepared_set_is_still_there(unpack: Unpack, cli: Cli) -> None:
    folder = unpack("torch")
    assert "is now called `split`" in cli("data", "check", "tiny", cwd=folder).refused()
    rename_split(folder)
    cli("data", "check", "tiny", cwd=folder).fine()
    assert "already there" in cli("data", "prepare", "tiny", "--source", "source", cwd=folder).fine()


@pytest.mark.slow
def test_a_torch_run_resumes_to_the_same_evaluation(unpack: Unpack, cli: Cli) -> None:
    folder = unpack("torch")
    assert "cut: is now called `split`" in cli("train", "-r", "run", cwd=folder).refused()
    rename_split(folder)
    cli("train", "-r", "run", cwd=folder).fine()
    now, before = json.loads((folder / "run" / "eval.json").read_text()), expected("torch_run.resumed.eval.json")
    assert (now["step"], now["metrics"], now["per_class"]) == (before["step"], before["metrics"], before["per_class"])
