"""The command that is proposed for an open question: it runs, with seeds that nothing has used, and is judged alone."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import runner
from runner.cli.main import main
from runner.sweep.fresh_seeds import fresh_folder, joined_warnings, sweep_facts
from runner.sweep.session_plan import SweepRequest
from runner.sweep.sweep_dir import SweepDir
from runner.views.answer import shell_lines

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
    """Return the words of the commands, without parentheses around them."""
    return [shlex.split(command[1:-1] if command.startswith("(") else command) for command in texts(report)]


def texts(report: dict[str, Any]) -> list[str]:
    return [each["arguments"]["command"] for each in report["answer"] if each["id"] == "command"]


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


@pytest.mark.parametrize("directory", ["runs/lr", "other 'runs'/lr"])
def test_from_another_folder_both_commands_work_one_after_the_other(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, directory: str
) -> None:
    (folder / "project").mkdir()
    monkeypatch.chdir("project")
    for name in ("fake.yml", "lr.yml"):
        shutil.move(folder / name, name)
    run("lr.yml", "--dir", f"../{directory}")
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    made, judged = texts(compared(capsys, f"../{directory}"))
    confirm = shlex.quote(f"--dir={folder / directory}-confirm")
    assert made.startswith(f"(cd {folder}/project && runner sweep lr.yml ") and made.endswith(f" {confirm})")
    assert shlex.split(judged) == ["runner", "compare", f"../{directory}-confirm"]
    script = f'runner() {{ {shlex.quote(sys.executable)} -m runner "$@"; }}\n{made} >&2 || exit\n{judged} --format json'
    environment = os.environ | {"PYTHONPATH": str(Path(runner.__file__).parents[1])}
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert [trial["number"] for trial in json.loads(done.stdout)["trials"]] == [0, 1, 2]
    printed = "".join(line.removesuffix("\\").strip() + " " for line in shell_lines(made, 40))
    assert printed.rstrip() == made


def test_a_raced_sweep_is_confirmed_without_racing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("lr.yml", "--set", "racing.max_seeds=4", "seeds=[0, 1]")
    made, _ = commands(compared(capsys, "runs/lr"))
    assert "racing=null" in made and any(word.startswith("seeds=[4,") for word in made) and main(made[1:]) == 0


@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize("changed", [False, True])
def test_without_its_sweep_file_the_copy_in_the_directory_is_used(
    folder: Path, changed: bool, elsewhere: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("specs").mkdir()
    Path("specs/lr 1.yml").write_text(Path("lr.yml").read_text().replace("fake.yml", "../fake.yml"))
    run("specs/lr 1.yml")
    Path("specs/lr 1.yml").write_text("{config: other.yml}") if changed else Path("specs/lr 1.yml").unlink()
    Path("there").mkdir()
    monkeypatch.chdir("there" if elsewhere else ".")
    made, judged = commands(compared(capsys, "../runs/lr 1" if elsewhere else "runs/lr 1"))
    monkeypatch.chdir(folder)
    assert made[made.index("sweep") :][:2] == ["sweep", "runs/lr 1/sweep.yml"] and main(made[made.index("sweep") :]) == 0
    labels = [[trial["label"] for trial in compared(capsys, f"runs/lr 1{name}")["trials"]] for name in ("", "-confirm")]
    assert labels[0] == labels[1] and judged[-1].endswith("runs/lr 1-confirm")


@pytest.mark.parametrize("gone", ["fake.yml", "runs/lr/sweep.yml"])
def test_without_the_files_that_a_command_needs_there_is_none(folder: Path, gone: str, capsys: pytest.CaptureFixture[str]) -> None:
    run("lr.yml")
    Path("lr.yml").unlink()
    Path(gone).unlink()
    assert [each["id"] for each in compared(capsys, "runs/lr")["answer"]][-1] == "answer-command-unknown"


def test_trials_of_which_no_run_finished_are_left_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "{config: fake.yml, vary: {faults.nan_at: [2], parameters.lr: [0.5, 0.5005]}, derive: {parameters.wd: parameters.lr / 10}, "
    Path("lr.yml").write_text(text + "combine_best: true, seeds: [0, 1, 2]}")
    Path("fake.yml").write_text(CONFIG.replace("lr: 0.02", "lr: 0.02, wd: 0.002"))
    assert main(["sweep", "lr.yml", "--launcher", "inline"]) == 1
    found = compared(capsys, "runs/lr")
    assert "Left out, since none of its runs finished: trial 1 (nan_at=2)." in [each["text"] for each in found["answer"]]
    (best,) = (each["arguments"]["best"] for each in found["answer"] if each["id"] == "answer-better")
    made, judged = commands(found)
    assert main(made[1:]) == 0
    fresh = compared(capsys, *judged[2:])
    values = [
        sorted(trial["parameters"].get(key, 0.02) for trial in report["trials"] if trial["label"] != "nan_at=2")
        for key in ("parameters.lr", "parameters.wd")
        for report in (found, fresh)
    ]
    assert values[:2] == [[0.02, 0.5, 0.5005]] * 2 and values[2] == values[3], values
    assert best.endswith(f"{fresh['trials'][0]['label'].split(',')[0]})"), "the others are compared with the same trial"


def test_an_interrupted_sweep(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("lr.yml")
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
