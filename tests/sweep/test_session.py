"""The Python API: the same loop and directories as from the command line, in any thread, with typed errors."""

from __future__ import annotations

import math
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import runner
from runner.cli.main import main
from runner.store.events import CommandReceived, RunStarted
from runner.store.journal import read_journal
from runner.store.run_dir import RunDir

CONFIG = {
    "backend": "fake",
    "max_iters": 4,
    "parameters": {"lr": 0.02},
    "metrics": {"bbox/AP": "0.3 + parameters.lr + 0.01 * noise"},
    "save_dir": "runs",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "fake.yml").write_text(yaml.safe_dump(CONFIG))
    (tmp_path / "slow.yml").write_text(yaml.safe_dump({**CONFIG, "max_iters": 2000, "step_s": 0.02}))
    (tmp_path / "rates.yml").write_text("{config: fake.yml, vary: {parameters.lr: [0.2]}, seeds: [0, 1, 2], resources: {concurrency: 2}}")
    (tmp_path / "slow_rates.yml").write_text("{config: slow.yml, vary: {parameters.lr: [0.2]}, seeds: [0], resources: {concurrency: 2}}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def wait_until(condition: Callable[[], Any], limit_s: float = 60) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)


def is_training(path: Path) -> bool:
    return RunDir(path).status().step > 0


def test_a_sweep_is_opened_run_and_compared(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    sweep = runner.open_sweep("rates.yml", set={"seeds": [0, 1]}, overrides={"max_iters": 6})
    assert [trial.label for trial in sweep.trials] == ["baseline", "lr=0.2"] and sweep.path == Path("runs/rates")
    result = sweep.run()
    assert (result.runs, result.done, result.exit_code) == (4, 4, 0)
    assert "rates: 4 runs" in capfd.readouterr().err
    assert sweep.status().counts == {"done": 4}
    comparison = runner.compare("runs/rates")
    assert comparison.data() == sweep.compare().data()  # objects differ by their NaN
    assert [trial.label for trial in comparison.trials] == ["baseline", "lr=0.2"]
    assert [len(trial.counted) for trial in comparison.trials] == [2, 2]
    again = sweep.run(progress=False)
    assert again.done == 4 and capfd.readouterr() == ("", "")
    assert len(list(read_journal(folder / "runs/rates/journal.jsonl", RunStarted))) == 4, "finished runs are not started again"
    assert runner.open_sweep("rates.yml", set=["seeds=[0, 1]"], overrides=["max_iters=6"]).run(progress=False).done == 4


def test_one_run_is_trained(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = runner.train("fake.yml", {"max_iters": 5, "parameters": {"lr": 1e-5}})
    assert RunDir(run.path).status().step == 5 and math.isclose(run.metrics["bbox/AP"], 0.3, abs_tol=0.05)
    assert run.path.parent == Path("runs/fake") and "done" in capfd.readouterr().err
    again = runner.train(resume=run.path, progress=False)
    assert again.metrics == run.metrics and capfd.readouterr() == ("", "")


def test_errors_are_typed(folder: Path) -> None:
    (folder / "broken.yml").write_text(yaml.safe_dump({**CONFIG, "faults": {"error_at": 2}}))
    with pytest.raises(runner.TrainingFailed, match=r"failed: .*worker\.log"):
        runner.train("broken.yml", progress=False)
    for call, text in (
        (lambda: runner.train(), "no config"),
        (lambda: runner.train("rates.yml"), "sweep file"),
        (lambda: runner.train("fake.yml", {"max_iters": {1, 2}}), "max_iters: a value of type set"),
        (lambda: runner.train("fake.yml", "max_iters=4"), "got 'max_iters=4'"),
        (lambda: runner.train("fake.yml", {"max_itters": 4}), "max_iters"),
        (lambda: runner.train(resume="nowhere"), "not a run directory"),
        (lambda: runner.train(resume="nowhere", run_dir="x"), "exclude each other"),
        (lambda: runner.open_sweep("nowhere.yml"), "nowhere.yml"),
        (lambda: runner.open_sweep("rates.yml", set={"seed": [1]}), "seeds"),
        (lambda: runner.open_sweep("rates.yml", overrides={"confirm": 1}), "confirm: .* --set confirm_seeds=1"),
        (lambda: runner.train("fake.yml", ["couple.max_iters=base"]), "couple: .* --set derive.max_iters=base"),
        (lambda: runner.open_sweep("rates.yml").stop(), "no driver"),
        (lambda: runner.compare("nowhere"), "nowhere"),
        (lambda: runner.compare("nowhere", goal="up"), "unknown goal 'up'"),  # type: ignore[arg-type]
    ):
        with pytest.raises(runner.InputError, match=text):
            call()
    assert issubclass(runner.InputError, runner.RunnerError) and not Path("runs/rates/plan.json").exists()


def test_outside_the_main_thread_a_sweep_runs_and_stops(folder: Path) -> None:
    sweep = runner.open_sweep("slow_rates.yml")
    ended: list[BaseException] = []

    def work() -> None:
        try:
            sweep.run(progress=False)
        except BaseException as error:  # noqa: BLE001 - looked at below
            ended.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    path = sweep.path / "runs" / "0001-lr=0.2-s0"
    wait_until(lambda: is_training(path))
    sweep.pause()
    sweep.resume()
    sweep.stop()
    thread.join(60)
    assert not thread.is_alive() and isinstance(ended[0], runner.Interrupted), ended
    status = RunDir(path).status()
    assert status.state == "interrupted" and status.step > 0, "its state was saved"
    commands = [event.action for event in read_journal(sweep.path / "journal.jsonl", CommandReceived)]
    assert commands == ["pause", "resume", "quit"]


def test_in_this_process_outside_the_main_thread(folder: Path) -> None:
    sweep = runner.open_sweep("rates.yml", launcher="inline")
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(sweep.run(progress=False)))
    thread.start()
    thread.join(60)
    assert len(results) == 1 and sweep.status().counts == {"done": 6}


def test_a_sweep_is_paused_saved_and_resumed_from_another_terminal(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = runner.open_sweep("slow_rates.yml")
    ended: list[BaseException] = []

    def work() -> None:
        try:
            sweep.run(progress=False)
        except runner.Interrupted as error:
            ended.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    runs = [RunDir(sweep.path / "runs" / name) for name in ("0000-baseline-s0", "0001-lr=0.2-s0")]
    wait_until(lambda: all(run.status().step > 0 for run in runs))
    assert main(["pause", "runs/slow_rates", "--save"]) == 0
    wait_until(lambda: all(run.status().state == "interrupted" for run in runs))
    steps = [run.status().step for run in runs]
    wait_until(lambda: sweep.status().counts == {"interrupted": 2})
    assert thread.is_alive(), "the driver stays"
    assert main(["resume", "runs/slow_rates"]) == 0
    wait_until(lambda: all(run.status().attempt == 2 and run.status().step > step for run, step in zip(runs, steps, strict=True)))
    assert main(["stop", "runs/slow_rates"]) == 0
    thread.join(60)
    assert not thread.is_alive() and len(ended) == 1
    out = capsys.readouterr().out
    assert "active runs save and end; continue: runner resume runs/slow_rates" in out and "ended; continue: runner resume" in out


def test_an_interrupt_of_a_script_saves_and_ends(folder: Path) -> None:
    script = "import runner\ntry:\n    runner.train('slow.yml', run_dir='a run')\nexcept runner.Interrupted as error:\n    print(error)\n"
    process = subprocess.Popen([sys.executable, "-c", script], cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_until(lambda: is_training(folder / "a run"))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and "train(resume='a run') continues it" in out, (out, err)
    assert RunDir(folder / "a run").status().state == "interrupted"


def test_workers_die_with_a_script_that_is_killed(folder: Path) -> None:
    lines = [
        "import runner, threading",
        "thread = threading.Thread(target=lambda: runner.train('slow.yml', run_dir='a run'))",
        "thread.start()",
        "thread.join()",
    ]
    process = subprocess.Popen([sys.executable, "-c", "\n".join(lines)], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: is_training(folder / "a run"))
    worker = RunDir(folder / "a run").status().pid
    process.kill()
    process.wait()
    wait_until(lambda: not os.path.exists(f"/proc/{worker}") or "Z" in Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2][:3])


def test_the_documented_example_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).parents[2] / "docs" / "python-api.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, re.S)
    (folder / "sweeps").mkdir()
    (folder / "configs").mkdir()
    (folder / "configs" / "fcos_tiny.yml").write_text((folder / "fake.yml").read_text())  # trains in no time
    (folder / "sweeps" / "batchsize.yml").write_text("{config: ../configs/fcos_tiny.yml, vary: {parameters.lr: [0.2]}}")
    names: dict[str, Any] = {}
    exec(example, names)
    assert names["result"].done == 8 and len(names["table"]) == 2 and names["run"].metrics["bbox/AP"] > 0.2
