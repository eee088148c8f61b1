"""The scripted trainer: what it records, that going on is exact, how it goes wrong, what it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.backends.fake.schema import FakeConfig, Table
from runner.backends.fake.script import Script
from runner.core.errors import InputError
from runner.resolve import resolve
from runner.store.checkpoints import CheckpointFolder
from runner.store.run_dir import RunDir
from runner.sweep.plan import run_key

ROOT = Path(__file__).resolve().parents[3]
NewRun = Callable[..., RunDir]
NOISY = {"metrics": {"bbox/AP": "0.5 * (1 - exp(-3 * step / steps)) + 0.01 * noise", "bbox/AP50": "0.9 + 0 * step"}}


def numbers(run: RunDir) -> list[tuple[int, dict[str, float]]]:
    """All records but what depends on the machine."""
    kept = [(record.step, {tag: value for tag, value in record.values.items() if "memory" not in tag}) for record in run.records()]
    return [(step, values) for step, values in kept if values]


def scores(run: RunDir) -> list[tuple[int, float]]:
    return [(record.step, record.values["bbox/AP"]) for record in run.records() if "bbox/AP" in record.values]


def test_a_run(work: Any, new_run: NewRun) -> None:
    run = new_run(**NOISY, seed=3)
    assert work(run) == 0, run.log.read_text()
    status = run.status()
    assert (status.state, status.step, status.steps, status.reason, status.cause) == ("done", 10, 10, None, None)
    assert [step for step, _ in scores(run)] == [4, 8, 10]
    assert [step for step, values in numbers(run) if "train/loss" in values] == list(range(1, 11))
    results = run.results()
    assert results is not None and results["step"] == 10 and results["metrics"] == {"bbox/AP": scores(run)[-1][1], "bbox/AP50": 0.9}
    assert all(record.values["resource/memory_gib"] > 0 for record in run.records() if "train/loss" in record.values)
    entries = CheckpointFolder(run.checkpoints, suffix=".json").entries()
    assert entries[-1].finished and entries[-1].step == 10
    state = json.loads((run.checkpoints / "last.json").read_bytes())
    assert (state["step"], state["evaluation_due"]) == (10, True)


@pytest.mark.parametrize("step", [1, 5, 8, 10])
def test_a_killed_run_goes_on_exactly(work: Any, new_run: NewRun, step: int) -> None:
    undisturbed = new_run("undisturbed", **NOISY)
    assert work(undisturbed) == 0
    run = new_run(**NOISY, faults={"crash_at": step, "only_attempt": 1})
    assert work(run) == -signal.SIGKILL
    assert work(run) == 0, run.log.read_text()
    assert numbers(run) == numbers(undisturbed) and run.results() == undisturbed.results()
    assert run.status().attempt == 2
    assert ("resuming from" in run.log.read_text()) == (step > 4)


PEAK = {"metrics": {"bbox/AP": "0.5 - abs(step - 8) / 20"}, "early_stop": {"patience": 2}, "max_iters": 40}
"""Best at step 8; with evaluations every 4 steps training ends after 16."""


@pytest.mark.parametrize("step", [None, 9, 16])
def test_it_stops_early_and_is_done(work: Any, new_run: NewRun, step: int | None) -> None:
    faults = {} if step is None else {"faults": {"crash_at": step, "only_attempt": 1}}
    run = new_run(**PEAK, **faults)
    if step is not None:
        assert work(run) == -signal.SIGKILL
    assert work(run) == 0, run.log.read_text()
    status = run.status()
    assert (status.state, status.step, status.steps, status.planned_steps, status.reason) == ("done", 16, 16, 40, None)
    assert status.early_stop == (
        "stopped early after step 16 of 40: bbox/AP did not improve in 2 evaluations in a row (best 0.5 at step 8)"
    )
    assert status.early_stop in run.log.read_text()
    assert [at for at, _ in scores(run)] == [4, 8, 12, 16], "each evaluation is recorded once"
    assert {at: values["train/early_stop_waited"] for at, values in numbers(run) if at % 4 == 0 and "train/loss" in values} == {
        4: 0, 8: 0, 12: 1, 16: 2
    }  # fmt: skip
    results = run.results()
    assert results is not None and results["step"] == 16 and results["metrics"]["bbox/AP"] == pytest.approx(0.1)
    last = CheckpointFolder(run.checkpoints, suffix=".json").entries()[-1]
    assert (last.step, last.finished, last.metric) == (16, True, pytest.approx(0.1))


def test_killed_between_its_stop_and_its_end(work: Any, new_run: NewRun) -> None:
    run = new_run(**PEAK)
    assert work(run) == 0
    done, records = run.status(), run.metrics.read_bytes()
    index = run.checkpoints / "index.json"
    index.write_text(index.read_text().replace('"finished": true', '"finished": false'))
    run.write_status(replace(done, state="running", early_stop="", planned_steps=0, steps=40, pid=0))
    assert work(run) == 0, run.log.read_text()
    again = run.status()
    assert (again.early_stop, again.planned_steps, again.steps) == (done.early_stop, 40, 16)
    assert '"finished": true' in index.read_text() and [at for at, _ in scores(run)] == [4, 8, 12, 16]
    assert len(run.metrics.read_bytes().splitlines()) == len(records.splitlines()) + 1  # the mark of the second attempt


def test_a_run_that_lacks_only_its_last_evaluation(work: Any, new_run: NewRun) -> None:
    run = new_run(**NOISY)
    assert work(run) == 0
    before, results = numbers(run), run.results()
    run.evaluation.unlink()
    run.status_file.unlink()
    assert work(run) == 0
    assert numbers(run) == before and run.results() == results


@pytest.mark.parametrize(("action", "state"), [("stop", "interrupted"), ("prune", "pruned")])
def test_it_obeys(work: Any, new_run: NewRun, action: Any, state: str) -> None:
    run = new_run(max_iters=100_000, step_s=0.01, snapshot_iter=50_000)

    def ask() -> None:
        while run.status().step < 1:
            time.sleep(0.01)
        run.request(action, "the driver's reason")

    thread = threading.Thread(target=ask)
    thread.start()
    assert work(run) == 130
    thread.join()
    status = run.status()
    assert (status.state, status.reason, status.cause) == (state, "the driver's reason", None)
    last = CheckpointFolder(run.checkpoints, suffix=".json").last()
    assert last is not None and last.step == status.step >= 1


@pytest.mark.parametrize(
    ("faults", "code", "cause", "words"),
    [
        ({"nan_at": 5}, 1, "not_finite", "the loss of step 5 is not finite"),
        ({"oom_at": 5}, 1, "out_of_memory", "MemoryError: scripted for step 5"),
        ({"error_at": 5}, 1, "crash", "RuntimeError: scripted for step 5 (trace in "),
    ],
)
def test_how_it_goes_wrong(work: Any, new_run: NewRun, faults: dict[str, int], code: int, cause: str, words: str) -> None:
    run = new_run(faults=faults)
    assert work(run) == code
    status = run.status()
    assert (status.state, status.cause, status.step) == ("failed", cause, 4)
    assert words in (status.reason or "")


def test_it_ends_without_a_word_and_goes_on(work: Any, new_run: NewRun) -> None:
    run = new_run(faults={"exit_at": 6, "exit_code": 9, "only_attempt": 1})
    assert work(run) == 9
    assert run.status().state == "running"
    assert work(run) == 0


def test_memory_that_cannot_be_had(work: Any, new_run: NewRun) -> None:
    run = new_run(memory_gib=1e9)
    assert work(run) == 1
    assert (run.status().state, run.status().cause) == ("failed", "out_of_memory")


def test_a_formula_without_a_value_is_named(work: Any, new_run: NewRun) -> None:
    run = new_run(metrics={"bbox/AP": "1 / (step - 4)"})
    assert work(run) == 2
    assert run.status().cause == "input"
    assert "metrics.bbox/AP: '1 / (step - 4)' has no value at step 4: division of 1 by zero" in (run.status().reason or "")


def test_a_forked_worker_tells_where_it_is(work: Any, new_run: NewRun) -> None:
    run = new_run(max_iters=300, step_s=0.01, snapshot_iter=300)
    assert work(run, number=signal.SIGUSR1, after_s=1.5) in (0, -signal.SIGUSR1)  # on a busy machine it comes before the worker listens
    if run.status().state == "done":
        assert "most recent call first" in run.log.read_text()


def test_what_is_wrong_is_told_at_once(config: Callable[..., Path]) -> None:
    changes = {
        "parameters": {"lr": 0.1},
        "metrics": {"a": "step +", "b": "parameters.lrr", "c": "curve", "d": "log(0 * step)"},
        "loss": "os",
    }
    with pytest.raises(InputError) as caught:
        resolve(config(**changes))
    found = {problem.key: problem for problem in caught.value.problems}
    assert list(found) == ["metrics.a", "metrics.b", "metrics.c", "loss"]
    assert all("fake 'ü'.yml:" in problem.where for problem in found.values())
    assert "is not a formula" in found["metrics.a"].message and "'parameters.lr'" in found["metrics.b"].message
    with pytest.raises(InputError, match="has no value at step 10"):
        resolve(config(metrics={"d": "log(0 * step)"}))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"amp": True}, "amp: expected false"),
        ({"dataset": "coco"}, "dataset"),
        ({"use_gpu": True}, "use_gpu: expected false"),
        ({"TrainReader": {}}, "TrainReader: unknown key"),
        ({"metrics": {}}, "metrics: is empty"),
        ({"faults": {"crash": 1}}, "faults.crash: unknown key"),
        ({"table": {"file": "nowhere.csv", "curve": 0}}, "nowhere.csv cannot be read: No such file"),
    ],
)
def test_what_it_cannot_honour(config: Callable[..., Path], changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        resolve(config(**changes))


def test_a_table(tmp_path: Path) -> None:
    file = tmp_path / "curves 'ü'.csv"
    file.write_text("step,0,low\n10,0.2,0.1\n20,0.4,\n40,0.5,0.3\n")

    def curve(name: str | int) -> list[float]:
        config = FakeConfig(table=Table(file=str(file), curve=name), metrics={"bbox/AP": "curve"}, max_iters=50)
        return [round(Script(config).metrics(step)["bbox/AP"], 6) for step in (1, 10, 15, 20, 30, 40, 50)]

    assert curve(0) == [0.2, 0.2, 0.3, 0.4, 0.45, 0.5, 0.5]
    assert curve("low") == [0.1, 0.1, 0.133333, 0.166667, 0.233333, 0.3, 0.3]
    with pytest.raises(InputError, match=r"has no column '1'; allowed: 0, low, step"):
        curve(1)
    file.write_text("step,0\n10,many\n")
    with pytest.raises(InputError, match=r"curves 'ü'.csv:2: table.curve: expected a step and a number"):
        curve(0)
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(InputError, match="cannot be read: a FIFO, expected a regular file"):
        curve(0)


def test_noise_follows_from_what_the_run_is() -> None:
    def drawn(name: str, step: int = 1, **changes: Any) -> float:
        return Script(FakeConfig(metrics={"a": name}, **changes)).metrics(step)["a"]

    assert drawn("noise") == drawn("noise") != drawn("noise", seed=1)
    assert drawn("noise") != drawn("noise", 2) and drawn("noise") != drawn("noise", parameters={"lr": 1.0})
    assert drawn("seed_noise") == drawn("seed_noise", 2) == drawn("seed_noise", parameters={"lr": 1.0}) != drawn("seed_noise", seed=1)
    many = [drawn("noise", seed=seed) for seed in range(2000)]
    mean = sum(many) / len(many)
    assert abs(mean) < 0.08 and abs(sum((value - mean) ** 2 for value in many) / len(many) - 1) < 0.15


def test_a_worker_of_it_loads_no_numpy() -> None:
    code = "import sys, runner.backends.fake.backend, runner.worker.main; print({'numpy', 'torch', 'PIL'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "set()\n"


def test_commands(cli: Any) -> None:
    assert "configs/fake.yml: valid" in cli("config", "check", "-c", "configs/fake.yml").out
    cli("train", "-c", "configs/fake.yml", "-o", "max_iters=3", "step_s=0", "parameters.lr=0.1", "--run-dir", "a run").fine()
    assert "evaluation at step 3" in cli("eval", "a run").fine()  # what the run recorded


def test_its_page_tells_of_every_key() -> None:
    from runner.backends.fake.schema import Faults
    from runner.backends.fake.script import NAMES
    from runner.config.bind import field_infos
    from runner.training.common_config import CommonConfig

    page = (ROOT / "docs" / "fake-backend.md").read_text(encoding="utf-8")
    common = {info.key for info in field_infos(CommonConfig)}
    own = [info.key for info in field_infos(FakeConfig) if info.key not in common and info.key != "backend"]
    keys = [*own, *(info.key for info in field_infos(Faults)), *NAMES]
    assert len(keys) > 20 and [key for key in keys if f"`{key}`" not in page] == []


def test_memory_is_read_under_its_former_name(tmp_path: Path) -> None:
    """Run directories of older versions have it; the run key does not depend on it."""
    keys = []
    for index, text in enumerate(("memory_gb: 0.5", "memory_gib: 0.5", "memory_gib: 0.25")):
        path = tmp_path / f"{index}.yml"
        path.write_text(f"backend: fake\n{text}\n")
        resolved = resolve(path)
        assert resolved.config.memory_gib == float(text.split()[1]) and "memory_gb" not in resolved.plain
        keys.append(run_key(resolved))
    assert keys[0] == keys[1] == keys[2]
    both = tmp_path / "both.yml"
    both.write_text("backend: fake\nmemory_gb: 1\nmemory_gib: 1\n")
    with pytest.raises(InputError, match="memory_gb: is now called `memory_gib`"):
        resolve(both)
