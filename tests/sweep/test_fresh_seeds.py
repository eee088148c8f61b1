"""The command that is proposed for an open question: it runs, with seeds that nothing has used, and is judged alone."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from runner.cli.main import main
from runner.sweep.fresh_seeds import fresh_folder, joined_warnings, sweep_facts
from runner.sweep.session_plan import SweepRequest
from runner.sweep.sweep_dir import SweepDir

CONFIG = "{backend: fake, max_iters: 4, parameters: {lr: 0.02}, metrics: {bbox/AP: 0.3 + parameters.lr + 0.02 * noise}}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "fake.yml").write_text(CONFIG)
    (tmp_path / "lr.yml").write_text("{config: fake.yml, vary: {parameters.lr: [0.021, 0.022]}, seeds: [0, 1, 2]}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> None:
    assert main(["sweep", *words, "--launcher", "inline"]) == 0


def compared(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["compare", *arguments, "--format", "json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def commands(report: dict[str, Any]) -> list[list[str]]:
    return [shlex.split(each["arguments"]["command"]) for each in report["answer"] if each["id"] == "command"]


def test_the_proposed_command_runs_and_its_seeds_are_judged_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("lr.yml", "-o", "max_iters=5", "--set", "seeds=[0, 4, 2]", "budget.runs=9")
    first = compared(capsys, "runs/lr")
    made, judged = commands(first)
    assert made[:2] == ["runner", "sweep"] and judged == ["runner", "compare", "runs/lr-confirm"]
    assert main(made[1:]) == 0
    alone = compared(capsys, "runs/lr-confirm")
    seeds = {seed for trial in alone["trials"] for seed in trial["seeds"]}
    assert min(seeds) == 5 and len(seeds) >= 3 and [trial["number"] for trial in alone["trials"]] == [0, 1, 2]
    assert [trial["label"] for trial in alone["trials"]] == [trial["label"] for trial in first["trials"]]
    assert not alone["warnings"] and SweepDir("runs/lr-confirm").plan()["command"][2:4] == ["-o", "max_iters=5"]
    again = compared(capsys, "runs/lr")
    assert [each["id"] for each in again["answer"]][-2:] == ["answer-fresh-made", "command"]
    together = compared(capsys, "runs/lr", "runs/lr-confirm")
    assert "judged together they give more than 5 % of false verdicts" in together["warnings"][0]["text"]


def test_from_another_folder_the_command_goes_back(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run("lr.yml")
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    made, judged = commands(compared(capsys, "../runs/lr"))
    assert made[:4] == ["cd", str(folder), "&&", "runner"] and made[-1] == "--dir=runs/lr-confirm"
    assert judged == ["runner", "compare", "../runs/lr-confirm"]


def test_a_raced_sweep_is_confirmed_without_racing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("lr.yml", "--set", "racing.max_seeds=4", "seeds=[0, 1]")
    made, _ = commands(compared(capsys, "runs/lr"))
    assert "racing=null" in made and any(word.startswith("seeds=[4,") for word in made) and main(made[1:]) == 0


def test_an_interrupted_sweep_and_a_changed_sweep_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("lr.yml")
    Path("lr.yml").write_text(Path("lr.yml").read_text() + "\n")
    assert [each["id"] for each in compared(capsys, "runs/lr")["answer"]][-1] == "answer-command-unknown"
    shutil.rmtree("runs/lr/runs/0002-lr=0.022-s2")
    found = compared(capsys, "runs/lr")
    assert found["answer"][0]["text"].startswith("No answer yet: 8 of 9 runs have ended; so far the best guess is ")
    assert commands(found) == [["runner", "resume", "runs/lr"]]


def test_what_has_no_plan_has_no_facts(tmp_path: Path) -> None:
    assert sweep_facts(SweepDir(tmp_path), ()) is None


def test_names_of_directories() -> None:
    assert [str(fresh_folder(Path(name))) for name in ("runs/lr", "runs/lr-confirm", "runs/lr-confirm-2")] == [
        "runs/lr-confirm",
        "runs/lr-confirm-2",
        "runs/lr-confirm-3",
    ]
    assert fresh_folder(Path()).name == f"{Path(os.curdir).resolve().name}-confirm"
    assert len(joined_warnings([Path("a"), Path("a-confirm"), Path("a-confirm-2")])) == 3
    assert joined_warnings([Path("a"), Path("b-confirm")]) == []


@pytest.mark.parametrize(
    "request_",
    [
        SweepRequest(Path("a b.yml")),
        SweepRequest(Path("a.yml"), ("x=1", "y=[1, 2]"), ("seeds=[3]",), Path("runs/a=b"), "inline"),
        SweepRequest(Path("-a.yml"), settings=("budget.runs=3",)),
    ],
)
def test_a_command_gives_its_request_back(request_: SweepRequest) -> None:
    assert SweepRequest.of_command(request_.command()).command() == request_.command()


@pytest.mark.parametrize("words", [[], ["train", "-c", "x"], ["sweep"], ["sweep", "a", "b"], ["sweep", "a", "--dry-run"]])
def test_other_commands_are_none_of_a_sweep(words: list[str]) -> None:
    with pytest.raises(ValueError, match="not a command of a sweep"):
        SweepRequest.of_command(words)


def test_the_winner_of_a_search_is_judged_alone_and_its_config_trains(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    space = "space: {parameters.lr: {low: 0.00001, high: 0.0001, log: true}}, derive: {parameters.wd: parameters.lr * 10}"
    more = "pruner: MedianPruner, constraints: [bbox/AP > 0], sampler: {name: RandomSampler, seed: 1}, confirm_seeds: 0, budget: {runs: 5}"
    Path("fake.yml").write_text(
        CONFIG.replace("{lr: 0.02}", "{lr: 0.00001, wd: 0.0001}").replace("+ 0.02 * noise", "+ 0.001 * noise * (parameters.lr > 0.00001)")
    )
    Path("s.yml").write_text(f"{{config: fake.yml, design: optuna, {space}, {more}}}")
    run("s.yml")
    found = compared(capsys, "runs/s")
    assert found["verdict"] is None and found["ranked"][0] != 0
    trained, made, judged = commands(found)
    assert {"sampler=TPESampler", "pruner=null", "constraints=[]", "confirm_seeds=3", "budget.runs=6"} <= set(made)
    assert trained[:3] == ["runner", "train", "-c"] and main([*trained[1:], "--launcher", "inline", "--run-dir", "again"]) == 0
    assert main(made[1:]) == 0 and judged == ["runner", "compare", "runs/s-confirm"]
    alone = compared(capsys, "runs/s-confirm")
    assert [trial["seeds"] for trial in alone["trials"]] == [[1, 2, 3]] * 2
    winner = next(trial for trial in found["trials"] if trial["number"] == found["ranked"][0])
    assert alone["trials"][1]["parameters"]["parameters.lr"] == winner["parameters"]["parameters.lr"]
