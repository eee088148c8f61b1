"""`runner train` and `runner sweep` as users meet them: the article's command, Ctrl-C, kills, a full disk. Real processes throughout."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from runner.store.run_dir import RunDir, find_runs
from runner.sweep.fake_sweep import CONFIG

Cli = Callable[..., Any]
WriteConfig = Callable[..., Path]
ROOT = Path(__file__).resolve().parents[2]
ARTICLE = ["train", "-c", "configs/fcos_r50_fpn_1x.yml", "-o", "use_gpu=true", "--use_vdl=true", "--vdl_log_dir=vdl_dir/scalar", "--eval"]
"""The article's command, `python tools/train.py` replaced by `runner train`."""

LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0}))
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""

pytestmark = pytest.mark.slow


def start(*arguments: str | Path, cwd: Path, file_size: int | None = None) -> subprocess.Popen[str]:
    """``runner ARGUMENT…``, not waited for; `file_size` in bytes is the most a file may have (writing more fails, also for a coverage
    measurement, so that this process is left out of it)."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    if file_size is not None:
        env = {key: value for key, value in env.items() if not key.startswith("COV")}
    limit = [] if file_size is None else ["-c", LIMITED.format(file_size)]
    argv = [sys.executable, *limit, "-m", "runner", *map(str, arguments)]
    return subprocess.Popen(argv, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str], within_s: float = 120) -> None:
    """Wait until the condition holds; fail if the process has ended before."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, "still not so"
        time.sleep(0.02)


def is_training(run: RunDir, step: int = 3) -> Callable[[], bool]:
    return lambda: run.status().state == "running" and run.status().step >= step


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in ("Z", "X")
    except FileNotFoundError:
        return True


LONG: dict[str, Any] = {"max_iters": 40, "snapshot_iter": 5}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, coco: Path, request: pytest.FixtureRequest) -> RunDir:
    """The run that the others here are, left alone."""
    folder = tmp_path_factory.mktemp("undisturbed")
    config = request.getfixturevalue("tiny_file")(folder / "tiny.yml", **LONG)
    process = start("train", "-c", config, "--run-dir", "run", cwd=folder)
    assert process.wait(timeout=240) == 0, process.communicate()[1]
    process.communicate()
    return RunDir(folder / "run")


@pytest.fixture
def scripted(tmp_path: Path) -> Path:
    """A config of the scripted trainer, for tests that do not depend on the backend: 50 steps in one and a half seconds."""
    path = tmp_path / "scripted.yml"
    path.write_text(yaml.safe_dump({**CONFIG, "max_iters": 50, "step_s": 0.03}))
    return path


def assert_same_end(run: RunDir, other: RunDir) -> None:
    results, expected = run.results(), other.results()
    assert run.status().state == "done" and results is not None and expected is not None and results["metrics"] == expected["metrics"]
    if other.predictions.exists():
        assert json.loads(run.predictions.read_bytes()) == json.loads(other.predictions.read_bytes())
    mine, theirs = (
        {record.step: record.values["train/loss"] for record in one.records() if "train/loss" in record.values} for one in (run, other)
    )
    assert mine == theirs and mine


# ------------------------------------------------------------------------------------------------ the article's command
def test_the_articles_command_without_gpu_data_and_weights_names_all(cli: Cli, tmp_path: Path) -> None:
    result = cli(*ARTICLE, env={"CUDA_VISIBLE_DEVICES": ""})
    message = result.refused()
    assert (
        "3 problems" in message
        and "runner weights fetch ResNet50_Weights.IMAGENET1K_V1" in message
        and "no usable GPU" in message
        and "-o use_gpu=false" in message
    )
    assert "runner data prepare pcb --source" in message
    assert list(tmp_path.iterdir()) == []


def write_pcb(folder: Path) -> Path:
    """A stand-in for the article's data: VOC XML in six class folders, two photographs each."""
    from PIL import Image, ImageDraw

    for index, kind in enumerate(("Missing_hole", "Mouse_bite", "Open_circuit", "Short", "Spur", "Spurious_copper")):
        for board in ("01", "04"):
            stem = f"{board}_{kind.lower()}_01"
            x = 8 + 6 * index
            picture = Image.new("RGB", (96, 64), (20, 90, 40))
            ImageDraw.Draw(picture).rectangle((x, 20, x + 20, 40), fill=(200, 40 * index, 60))
            for part in ("images", "Annotations"):
                (folder / part / kind).mkdir(parents=True, exist_ok=True)
            picture.save(folder / "images" / kind / f"{stem}.jpg")
            (folder / "Annotations" / kind / f"{stem}.xml").write_text(
                f"<annotation><filename>{stem}.jpg</filename><size><width>96</width><height>64</height><depth>3</depth></size><object><name>{kind.lower()}</name>"
                f"<bndbox><xmin>{x + 1}</xmin><ymin>21</ymin><xmax>{x + 21}</xmax><ymax>41</ymax></bndbox></object></annotation>"
            )
    return folder


def test_the_articles_command_on_a_stand_in(cli: Cli, tmp_path: Path) -> None:
    spec = yaml.safe_load((ROOT / "datasets" / "pcb.yml").read_text())
    spec["split"]["val"] = 4
    del spec["expect"]
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "pcb.yml").write_text(yaml.safe_dump(spec))
    write_pcb(tmp_path / "PCB_DATASET")
    assert "train: 8 images" in cli("data", "prepare", "pcb", "--source", "PCB_DATASET").fine()
    small = [
        "use_gpu=false",
        "pretrain_weights=null",
        "ResNet.depth=18",
        "cpu_threads=1",
        "worker_num=0",
        "max_iters=4",
        "snapshot_iter=2",
        "log_iter=1",
        "TrainReader.sample_transforms.2.Resize.target_size=[64, 96]",
        "EvalReader.sample_transforms.1.Resize.target_size=[64, 96]",
    ]
    result = cli(*ARTICLE, "-o", *small)
    assert "AP50" in result.fine() and "missing_hole" in result.out
    (run,) = find_runs([tmp_path / "runs"])
    assert [record.step for record in run.records() if "bbox/AP" in record.values] == [2, 4]  # --eval: at each snapshot
    assert not run.tracker("visualdl").exists()

    from visualdl import LogReader

    (log,) = (tmp_path / "vdl_dir" / "scalar").rglob("vdlrecords.*")  # below it, in a folder of the run's own name
    reader = LogReader(file_path=str(log))
    assert {"train/loss", "train/lr", "bbox/AP50"} <= set(reader.get_tags()["scalar"])
    assert [item.id for item in reader.get_data("scalar", "train/loss")] == [1, 2, 3, 4]


# ---------------------------------------------------------------------------------------------------- Ctrl-C and kills
def test_ctrl_c_saves_and_says_how_to_go_on(tiny_file: Callable[..., Path], tmp_path: Path, cli: Cli, undisturbed: RunDir) -> None:
    run = RunDir(tmp_path / "a run")
    process = start("train", "-c", tiny_file(tmp_path / "tiny.yml", **LONG), "--run-dir", "a run", cwd=tmp_path)
    wait_for(is_training(run), process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in err
    assert "continue: runner resume 'a run'" in err
    assert run.status().state == "interrupted" and run.status().reason == "asked to stop (SIGTERM)" and run.override() is None
    assert is_gone(run.status().pid)
    assert cli("train", "-r", "a run").code == 0
    assert run.status().attempt == 2
    assert_same_end(run, undisturbed)


def test_a_worker_that_is_killed_is_recorded_and_goes_on(scripted: Path, tmp_path: Path, cli: Cli) -> None:
    run = RunDir(tmp_path / "run")
    process = start("train", "-c", scripted, "--run-dir", "run", cwd=tmp_path)
    wait_for(is_training(run, 7), process)
    os.kill(run.status().pid, signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    override = run.override()
    assert override is not None and override.state == run.status().state == "interrupted"
    assert process.returncode == 1 and "killed by SIGKILL after step" in err and "Traceback" not in err
    assert cli("train", "-r", "run", "-c", scripted).code == 0
    cli("train", "-c", scripted, "-o", "step_s=0", "--run-dir", "undisturbed").fine()
    assert_same_end(run, RunDir(tmp_path / "undisturbed"))


def test_a_driver_that_is_killed_leaves_no_worker(scripted: Path, tmp_path: Path, cli: Cli) -> None:
    run = RunDir(tmp_path / "run")
    process = start("train", "-c", scripted, "--run-dir", "run", cwd=tmp_path)
    wait_for(is_training(run, 7), process)
    worker = run.status().pid
    process.kill()
    process.communicate(timeout=60)
    deadline = time.monotonic() + 20
    while not is_gone(worker):
        assert time.monotonic() < deadline, "the worker has outlived its driver"
        time.sleep(0.05)
    assert run.status().state == "running"  # no process was left to write another state
    assert cli("train", "-r", "run").code == 0
    cli("train", "-c", scripted, "-o", "step_s=0", "--run-dir", "undisturbed").fine()
    assert_same_end(run, RunDir(tmp_path / "undisturbed"))


def test_in_this_very_process(scripted: Path, tmp_path: Path, cli: Cli) -> None:
    result = cli("train", "-c", scripted, "-o", "step_s=0", "--run-dir", "run", "--launcher", "inline")
    assert "AP50" in result.fine() and RunDir(tmp_path / "run").status().state == "done"


# ------------------------------------------------------------------------------------------------------- the full disk
def test_a_full_run_directory(tiny_file: Callable[..., Path], tmp_path: Path) -> None:
    process = start("train", "-c", tiny_file(tmp_path / "tiny.yml"), "--run-dir", "run", cwd=tmp_path, file_size=200_000)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1 and "Traceback" not in err, err
    assert "the disk is full" in err and "cannot save a checkpoint" in err and "run/checkpoints" in err
    run = RunDir(tmp_path / "run")
    assert run.status().state == "interrupted" and not list(run.checkpoints.glob("*.pt")) and not list(run.path.rglob("*.tmp"))
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY  # of this process


# ------------------------------------------------------------------------------------------------------------- a sweep
def test_a_sweep_goes_on_after_a_kill_and_runs_nothing_twice(scripted: Path, tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "my sweep.yml").write_text(
        f"config: {scripted.name}\nvary: {{parameters.lr: [0.04]}}\nseeds: [0]\nresources: {{concurrency: 1}}\n"
    )
    plan = cli("sweep", "my sweep.yml", "--dry-run").fine()
    assert "0000-baseline-s0" in plan and "0001-lr=0.04-s0" in plan and not (tmp_path / "runs").exists()

    baseline = RunDir(tmp_path / "runs" / "my sweep" / "runs" / "0000-baseline-s0")
    process = start("sweep", "my sweep.yml", cwd=tmp_path)
    wait_for(lambda: baseline.status().pid > 0, process)
    os.kill(baseline.status().pid, signal.SIGKILL)
    _, err = process.communicate(timeout=120)
    states = {run.name: run.status().state for run in find_runs([tmp_path / "runs"])}
    assert set(states.values()) == {"done"} and process.returncode == 0 and "resumed, attempt 2" in err, (states, err)

    again = cli("sweep", "my sweep.yml")
    assert "2 of 2 runs done" in again.fine() and "runner compare 'runs/my sweep'" in again.out
    attempts = {run.name: run.status().attempt for run in find_runs([tmp_path / "runs"])}
    assert attempts["0000-baseline-s0"] == 2
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("runs/*/*") if path.is_file()}
    once_more = cli("sweep", "my sweep.yml")
    assert "2 of 2 runs done" in once_more.fine()
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("runs/*/*") if path.is_file()} == before
    assert {"sweep.yml", "plan.json", "runs"} <= {path.name for path in (tmp_path / "runs" / "my sweep").iterdir()}
    table = cli("compare", "runs/my sweep").fine()
    assert "lr=0.04" in table
    assert shutil.which("git") is None or json.loads((baseline.identity_file).read_text())["sweep"] == "my sweep"
