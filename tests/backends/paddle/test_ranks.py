"""Training with two processes, on a CPU by gloo: the same numbers as one, stops, kills, failures; and the command line for GPUs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from runner.backends.paddle.launch import arguments, free_port, prepare
from runner.backends.pdparams import read_pdparams
from runner.core.process import PARENT_VARIABLE
from runner.resolve import resolve
from runner.store.checkpoints import CheckpointFolder
from runner.store.run_dir import RunDir
from runner.sweep.plan import plan_single
from runner.sweep.runs import prepare_run_dir
from runner.training.sampler import epoch_order

NewRun = Callable[..., RunDir]


@pytest.fixture
def new_run(write_config: Callable[..., Path], tmp_path: Path, paddle_python: Path) -> NewRun:
    """Makes a run directory of the small config with two processes and changes, ready for a worker."""

    def make(name: str = "a run 'ü'", *overrides: str, **changes: Any) -> RunDir:
        run = RunDir(tmp_path / name)
        config = write_config(f"{name}.yml", backend="paddle", backend_python=str(paddle_python), **{"processes": 2, **changes})
        prepare_run_dir(plan_single(resolve(config, overrides), run))
        return run

    return make


class Work:
    """Starts workers, each with its log where the driver would have it."""

    def __init__(self, python: Path, cwd: Path) -> None:
        self._python, self._cwd = python, cwd
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, run: RunDir) -> subprocess.Popen[bytes]:
        with open(run.log, "ab") as log:
            command = [str(self._python), "-m", "runner.worker", str(run.path)]
            self._started.append(subprocess.Popen(command, cwd=self._cwd, stdout=log, stderr=log, start_new_session=True))
        return self._started[-1]

    def __call__(self, *runs: RunDir) -> list[int]:
        """Work on runs at the same time; the exit codes."""
        started = [self.start(run) for run in runs]
        return [process.wait(timeout=240) for process in started]

    def close(self) -> None:
        for process in self._started:
            process.kill()
            process.wait()


@pytest.fixture
def work(paddle_python: Path, tmp_path: Path) -> Iterator[Work]:
    work = Work(paddle_python, tmp_path)
    yield work
    work.close()


def wait_for(condition: Callable[[], bool], run: RunDir, timeout_s: float = 90.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, run.log.read_text()
        time.sleep(0.05)


def is_gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{path}/{key}")
    else:
        yield path, value


def state(run: RunDir) -> dict[str, Any]:
    """Everything that the last checkpoint holds, flat, but for the seconds that a window counts."""
    content = dict(leaves(read_pdparams(run.checkpoints / "last.pdparams")))
    return {name: value for name, value in content.items() if not name.endswith("window/seconds")}


def values(run: RunDir, tag: str) -> dict[int, float]:
    return {record.step: record.values[tag] for record in run.records() if tag in record.values}


# ------------------------------------------------------------------------------------------------- the command line
def test_what_the_launcher_is_told(tmp_path: Path) -> None:
    told = arguments(4, 4711, tmp_path, ["python", "-m", "runner.worker", "a run"])
    assert told[-4:] == ["python", "-m", "runner.worker", "a run"]
    assert dict(zip(told[:-4:2], told[1:-4:2], strict=True)) == {
        "--nproc_per_node": "4",
        "--ips": "127.0.0.1",
        "--start_port": "4711",
        "--log_level": "WARNING",
        "--log_dir": str(tmp_path),
    }


def test_nothing_of_another_job_is_handed_down() -> None:
    given = {"PATH": "p", "PADDLE_MASTER": "elsewhere:1", "PADDLE_TRAINER_ID": "3", "CUDA_VISIBLE_DEVICES": "0", PARENT_VARIABLE: "1"}
    environment = dict(given)
    prepare(environment, "gpu")
    assert environment == {"PATH": "p", "CUDA_VISIBLE_DEVICES": "0", PARENT_VARIABLE: str(os.getpid())}
    environment = dict(given)
    prepare(environment, "cpu")
    assert environment["PADDLE_DISTRI_BACKEND"] == "gloo" and environment["CUDA_VISIBLE_DEVICES"] == "all"


def test_a_port_is_given_once() -> None:
    import socket

    with free_port() as one, free_port() as other:
        assert one.getsockname() != other.getsockname()
        with socket.socket() as stranger, pytest.raises(OSError):
            stranger.bind(one.getsockname())
        with socket.socket() as first_rank:
            first_rank.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            first_rank.bind(one.getsockname())
            first_rank.listen()


@pytest.mark.slow
def test_each_rank_gets_a_gpu(paddle_python: Path, tmp_path: Path) -> None:
    """By Paddle's launcher itself, which believes what CUDA_VISIBLE_DEVICES says there is."""
    wanted = ("FLAGS_selected_gpus", "PADDLE_TRAINERS_NUM", "PADDLE_MASTER", "PADDLE_DISTRI_BACKEND")
    script = (
        "import json, os, pathlib, sys; number = os.environ['PADDLE_TRAINER_ID']; "
        f"pathlib.Path(sys.argv[1], number).write_text(json.dumps([os.environ.get(name) for name in {wanted}]))"
    )
    command = [str(paddle_python), "-m", "runner.backends.paddle.launch", "2", "gpu", sys.executable, "-c", script, str(tmp_path)]
    environment = {name: value for name, value in os.environ.items() if name != "PADDLE_DISTRI_BACKEND"}
    done = subprocess.run(command, env={**environment, "CUDA_VISIBLE_DEVICES": "5,3"}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answers = [json.loads((tmp_path / str(rank)).read_text()) for rank in range(2)]
    assert [answer[:2] for answer in answers] == [["0", "2"], ["1", "2"]]  # counted among the visible ones
    assert answers[0][2] == answers[1][2] and str(answers[0][2]).startswith("127.0.0.1:")
    assert answers[0][3] is None


# ---------------------------------------------------------------------------------------------------------- numbers
@pytest.mark.slow
def test_two_processes_compute_what_one_does(work: Work, new_run: NewRun, tmp_path: Path) -> None:
    """Twice two images are four, to rounding: where no norm looks at the batch, and where each half has as many positive locations, since
    FCOS's losses are means over those of a process."""
    changes = {
        "data": _same_boxes(tmp_path / "same boxes"),
        "max_iters": 5,
        "ResNet": {"depth": 18, "freeze_at": -1, "freeze_norm": True, "num_stages": 2, "return_idx": [0, 1]},
        "FPN": {"out_channel": 32, "spatial_scales": [0.25, 0.125], "extra_stage": 0},
        "FCOSHead": {
            "fcos_feat": {"name": "FCOSFeat", "feat_in": 32, "feat_out": 32, "num_convs": 1, "norm_type": "gn"},
            "fpn_stride": [4, 8],
            "nms": {"name": "MultiClassNMS", "nms_top_k": 50, "keep_top_k": 10},
        },
    }
    two = new_run("two", "TrainReader.batch_size=2", **changes)
    one = new_run("one", "TrainReader.batch_size=4", "processes=1", **changes)
    assert work(two, one) == [0, 0], two.log.read_text() + one.log.read_text()
    for tag in ("train/loss", "train/loss_cls", "train/loss_box", "train/lr"):
        assert values(two, tag) == pytest.approx(values(one, tag), rel=1e-4), tag
    assert len(values(two, "train/loss")) == 5
    halves, whole = state(two), state(one)
    assert halves.keys() == whole.keys()
    names = [name for name in whole if isinstance(whole[name], np.ndarray) and whole[name].dtype.kind == "f"]
    assert len(names) > 60
    for name in names:
        assert np.allclose(halves[name], whole[name], rtol=1e-3, atol=1e-5), name


def _same_boxes(folder: Path) -> Path:
    """Sixteen images, each its own, with the same box in all of them."""
    numbers = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    for index in range(16):
        pixels = numbers.integers(0, 90, (64, 64, 3), dtype=np.uint8)
        pixels[16:40, 20:44] = numbers.integers(150, 250, 3)
        Image.fromarray(pixels).save(folder / "images" / f"{index}.png")
    for name, part in (("train", range(12)), ("val", range(12, 16))):
        document = {
            "images": [{"id": index + 1, "file_name": f"{index}.png", "width": 64, "height": 64} for index in part],
            "categories": [{"id": 1, "name": "one"}, {"id": 2, "name": "other"}],
            "annotations": [
                {"id": index + 1, "image_id": index + 1, "category_id": 1, "bbox": [20, 16, 24, 24], "area": 576, "iscrowd": 0}
                for index in part
            ],
        }
        (folder / f"{name}.json").write_text(json.dumps(document))
    return folder


RESUMABLE: dict[str, Any] = {
    "max_iters": 8,
    "snapshot_iter": 3,
    "keep_checkpoints": 5,
    "use_ema": True,
    "ema_decay": 0.9,
    "eval_at_snapshot": True,
}


def assert_same_bits(one: RunDir, other: RunDir) -> None:
    left, right = state(one), state(other)
    assert left.keys() == right.keys() and len(left) > 40
    assert [name for name in left if not np.array_equal(left[name], right[name])] == []
    assert json.loads(one.predictions.read_bytes()) == json.loads(other.predictions.read_bytes())
    assert values(one, "train/loss") == values(other, "train/loss")


@pytest.mark.slow
def test_a_resume_gives_the_same_bits(work: Work, new_run: NewRun) -> None:
    whole = new_run("whole", **RESUMABLE)
    assert work(whole) == [0], whole.log.read_text()
    resumed = new_run("resumed", **RESUMABLE)
    shutil.copytree(whole.path, resumed.path, dirs_exist_ok=True)
    for made in (resumed.status_file, resumed.predictions, resumed.evaluation):
        made.unlink()
    index = json.loads((resumed.checkpoints / "index.json").read_text())
    index["checkpoints"] = [entry for entry in index["checkpoints"] if entry["step"] <= 3]
    (resumed.checkpoints / "index.json").write_text(json.dumps(index))
    assert work(resumed) == [0], resumed.log.read_text()
    assert f"resuming from {resumed.checkpoints}" in resumed.log.read_text()
    assert_same_bits(whole, resumed)
    counts = Counter((tag, record.step) for record in resumed.records() for tag in record.values)
    assert max(counts.values()) == 1 and {step for tag, step in counts if tag == "train/loss"} == set(range(1, 9))


@pytest.mark.slow
@pytest.mark.exhaustive
def test_two_runs_at_once_compute_the_same(work: Work, new_run: NewRun) -> None:
    """Their ports do not collide."""
    one, other = new_run("one", **RESUMABLE), new_run("other", **RESUMABLE)
    assert work(one, other) == [0, 0], one.log.read_text() + other.log.read_text()
    assert_same_bits(one, other)


# --------------------------------------------------------------------------------------------------------- the ends
ENDLESS: dict[str, Any] = {"max_iters": 4000, "snapshot_iter": 3000, "worker_num": 1}


@pytest.mark.slow
def test_stopped_or_crashed_it_leaves_no_process(work: Work, new_run: NewRun) -> None:
    run = new_run(**ENDLESS)
    supervisor = work.start(run)
    wait_for(lambda: run.status().step >= 2, run)
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(timeout=60) == 130, run.log.read_text()
    stopped = run.status()
    assert (stopped.state, stopped.reason) == ("interrupted", "asked to stop (SIGTERM)")
    last = CheckpointFolder(run.checkpoints, suffix=".pdparams").last()
    assert last is not None and last.step == stopped.step

    supervisor = work.start(run)
    wait_for(lambda: run.status().attempt == 2 and run.status().step > stopped.step, run)
    below = psutil.Process(supervisor.pid).children(recursive=True)
    first = run.status().pid
    launcher = psutil.Process(first).ppid()
    other = next(process.pid for process in psutil.Process(launcher).children() if process.pid != first)
    os.kill(other, signal.SIGKILL)
    assert supervisor.wait(timeout=60) == 1
    reason = run.status().reason or ""
    assert run.status().state == "failed" and f"process {other} (rank 1 of 2) was killed or crashed" in reason, reason
    assert all(is_gone(process) for process in below)


@pytest.mark.slow
@pytest.mark.exhaustive
def test_killed_it_leaves_no_process_and_is_pruned_before_it_begins(work: Work, new_run: NewRun) -> None:
    run = new_run(**ENDLESS)
    supervisor = work.start(run)
    wait_for(lambda: run.status().step >= 2, run)
    below = psutil.Process(supervisor.pid).children(recursive=True)
    assert len(below) >= 3, below  # the launcher, two ranks, and mostly who reads images for each
    supervisor.kill()
    supervisor.wait()
    end = time.monotonic() + 10
    while not all(is_gone(process) for process in below):
        assert time.monotonic() < end, [process for process in below if not is_gone(process)]
        time.sleep(0.1)

    supervisor = work.start(run)
    wait_for(lambda: run.log.read_text().count("attempt 2 at") == 1, run)
    run.request("prune", "no better than the others")  # the ranks have not begun
    assert supervisor.wait(timeout=90) == 130
    assert (run.status().state, run.status().reason) == ("pruned", "no better than the others")


@pytest.mark.slow
def test_what_fails_in_one_ends_all(work: Work, new_run: NewRun, coco: Path, tmp_path: Path) -> None:
    data = tmp_path / "a copy"
    shutil.copytree(coco, data)
    run = new_run(data=data, max_iters=400)
    third = epoch_order(0, 0, 12, shuffle=True)[2]  # the second process reads it in the first step
    (data / "images" / f"board {third:02d} ü.png").write_bytes(b"no image")
    started = time.monotonic()
    assert work(run) == [2], run.log.read_text()
    assert time.monotonic() - started < 240
    status = run.status()
    assert status.state == "failed" and (status.reason or "").startswith("rank 1 of 2: "), status.reason
