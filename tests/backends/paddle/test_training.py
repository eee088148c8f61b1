"""Training by ppdet through the real worker: where it ends, what it records, what a resume goes on with."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from support.preloaded import Preloaded
from support.weights import lock

from runner.backends.pdparams import read_pdparams
from runner.resolve import resolve
from runner.store.checkpoints import CheckpointFolder
from runner.store.run_dir import RunDir
from runner.sweep.plan import plan_single
from runner.sweep.runs import prepare_run_dir

NewRun = Callable[..., RunDir]
EMA = {"use_ema": True, "ema_decay": 0.9}


@pytest.fixture
def new_run(write_config: Callable[..., Path], tmp_path: Path, paddle_python: Path) -> NewRun:
    """Makes a run directory of the small config with changes, ready for a worker."""

    def make(name: str = "a run 'ü'", **changes: Any) -> RunDir:
        run = RunDir(tmp_path / name)
        config = write_config(f"{name}.yml", backend="paddle", backend_python=str(paddle_python), **changes)
        prepare_run_dir(plan_single(resolve(config), run))
        return run

    return make


def weights(run: RunDir) -> dict[str, Any]:
    """Everything that the last checkpoint holds, flat."""
    return dict(_leaves(read_pdparams(run.checkpoints / "last.pdparams"), ""))


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, f"{path}/{key}")
    else:
        yield path, value


def assert_same_state(one: RunDir, other: RunDir) -> None:
    """Bit for bit, but for the seconds that a window counts."""
    left, right = weights(one), weights(other)
    assert left.keys() == right.keys() and len(left) > 40
    for name in left:
        if not name.endswith("window/seconds"):
            assert np.array_equal(left[name], right[name]), name
    assert json.loads(one.predictions.read_bytes()) == json.loads(other.predictions.read_bytes())


def values(run: RunDir, tag: str) -> dict[int, float]:
    return {record.step: record.values[tag] for record in run.records() if tag in record.values}


def test_a_whole_run(work: Preloaded, new_run: NewRun) -> None:
    run = new_run(eval_at_snapshot=True, trackers=["visualdl"])
    assert work(run) == 0, run.log.read_text()
    status = run.status()
    assert (status.state, status.step, status.steps, status.epoch) == ("done", 4, 4, pytest.approx(4 / 6))
    assert set(values(run, "train/loss")) == {1, 2, 3, 4} and set(values(run, "bbox/AP")) == {2, 4}
    for tag in ("train/loss_cls", "train/loss_box", "train/loss_quality", "train/images_per_s", "resource/memory_gib"):
        assert set(values(run, tag)) == {1, 2, 3, 4}, tag
    assert values(run, "train/lr") == pytest.approx({1: 0.001, 2: 0.0055, 3: 0.01, 4: 0.01})
    names = {path.name for path in run.checkpoints.iterdir()}
    assert names == {"index.json", "last.pdparams", "best.pdparams", "step-00000002.pdparams", "step-00000004.pdparams"}
    assert (run.results() or {})["metrics"] and run.predictions.is_file() and any(run.tracker("visualdl").iterdir())
    assert not (run.path / "output").exists()


def test_it_ends_and_decays_at_the_exact_iteration(work: Preloaded, new_run: NewRun) -> None:
    schedulers = [
        {"name": "PiecewiseDecay", "gamma": [0.1, 0.01], "milestone_iters": [5, 8]},
        {"name": "LinearWarmup", "start_factor": 0.1, "steps": 2},
    ]
    run = new_run(max_iters=11, snapshot_iter=20, LearningRate={"base_lr": 0.01, "schedulers": schedulers})
    assert work(run) == 0, run.log.read_text()
    rates = values(run, "train/lr")
    assert list(rates) == list(range(1, 12))
    assert list(rates.values()) == pytest.approx([0.001, 0.0055, 0.01, 0.01, 0.01, 0.001, 0.001, 0.001, 0.0001, 0.0001, 0.0001])


@pytest.mark.parametrize("changes", [{}, EMA], ids=["plain", "ema"])
@pytest.mark.parametrize("stop_after", [3, 6], ids=["within an epoch", "at an epoch's end"])
def test_a_resume_gives_the_same_bits(work: Preloaded, new_run: NewRun, changes: dict[str, Any], stop_after: int) -> None:
    whole = new_run("whole", max_iters=9, snapshot_iter=3, keep_checkpoints=5, **changes)
    assert work(whole) == 0, whole.log.read_text()
    run = new_run("stopped", max_iters=9, snapshot_iter=3, keep_checkpoints=5, **changes)
    shutil.copytree(whole.path, run.path, dirs_exist_ok=True)
    _go_back(run, whole, stop_after)
    assert work(run) == 0, run.log.read_text()
    assert f"resuming from {run.checkpoints}" in run.log.read_text()
    assert_same_state(run, whole)
    counts = Counter((tag, record.step) for record in run.records() for tag in record.values)
    assert max(counts.values()) == 1 and {step for _, step in counts} == set(range(1, 10))


def _go_back(run: RunDir, whole: RunDir, step: int) -> None:
    """Leave in `run` what a worker killed after the checkpoint of `step` would have left."""
    for made in (run.status_file, run.predictions, run.evaluation):
        made.unlink()
    index = json.loads((run.checkpoints / "index.json").read_text())
    kept = [entry for entry in index["checkpoints"] if entry["step"] <= step]
    assert kept[-1]["step"] == step
    (run.checkpoints / "index.json").write_text(json.dumps({**index, "checkpoints": kept}))


def test_asked_to_stop_it_saves_and_goes_on(work: Preloaded, new_run: NewRun) -> None:
    run = new_run(max_iters=400, snapshot_iter=300)
    assert work(run, number=signal.SIGTERM, after_s=4.0) == 130, run.log.read_text()
    stopped = run.status()
    assert stopped.state == "interrupted" and 0 < stopped.step < 400
    last = CheckpointFolder(run.checkpoints, suffix=".pdparams").last()
    assert last is not None and last.step == stopped.step
    assert work(run, number=signal.SIGTERM, after_s=3.0) == 130, run.log.read_text()
    assert run.status().step > stopped.step and run.status().attempt == 2


def test_killed_it_goes_on_from_its_checkpoint(work: Preloaded, new_run: NewRun) -> None:
    run = new_run(max_iters=60, snapshot_iter=2)
    for after_s in (1.0, 2.0, 3.0):
        assert work(run, number=signal.SIGKILL, after_s=after_s) in (-signal.SIGKILL, 0)
    assert work(run) == 0, run.log.read_text()
    counts = Counter((tag, record.step) for record in run.records() for tag in record.values)
    assert max(counts.values()) == 1 and {step for tag, step in counts if tag == "train/loss"} == set(range(1, 61))


def test_a_loss_that_is_not_finite(work: Preloaded, new_run: NewRun) -> None:
    run = new_run(
        max_iters=30,
        LearningRate={
            "base_lr": 1e30,
            "schedulers": [{"name": "PiecewiseDecay", "milestone_iters": [90], "gamma": [0.1], "use_warmup": False}],
        },
    )
    assert work(run) == 1
    reason = run.status().reason or ""
    assert "is not finite (images " in reason and "board" in reason and "base_lr" in reason, reason


@pytest.mark.parametrize("processes", [0, 1])
def test_a_file_that_is_no_image_is_named(work: Preloaded, new_run: NewRun, coco: Path, tmp_path: Path, processes: int) -> None:
    broken = Path(shutil.copytree(coco, tmp_path / "broken"))
    data = {"name": "COCODataSet", "dataset_dir": str(broken), "image_dir": "images", "anno_path": "train.json"}
    run = new_run(TrainDataset=data, worker_num=processes)
    for file in (broken / "images").iterdir():
        file.write_text("no image")
    assert work(run) == 2
    reason = run.status().reason or ""
    assert "Traceback" not in reason and str(broken) in reason and "unreadable image" in reason, reason


def test_a_file_that_is_no_image_is_named_by_an_evaluation(work: Preloaded, new_run: NewRun, coco: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(coco, tmp_path / "broken"))
    data = {"name": "COCODataSet", "dataset_dir": str(broken), "image_dir": "images", "anno_path": "train.json"}
    run = new_run(EvalDataset=data, worker_num=1)
    for file in (broken / "images").iterdir():
        file.write_text("no image")
    assert work(run) == 2
    reason = run.status().reason or ""
    assert "Traceback" not in reason and str(broken) in reason and "unreadable image" in reason, reason


def test_a_jpeg_that_is_cut_off_is_named(work: Preloaded, new_run: NewRun, coco: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(coco, tmp_path / "broken"))
    whole = sorted((broken / "images").iterdir())
    for file in whole:
        Image.open(file).convert("RGB").save(file, "JPEG")
    data = {"name": "COCODataSet", "dataset_dir": str(broken), "image_dir": "images", "anno_path": "train.json"}
    assert work(new_run("whole", TrainDataset=data)) == 0
    for file in whole:
        file.write_bytes(file.read_bytes()[:-40])
    run = new_run("cut", TrainDataset=data)
    assert work(run) == 2
    reason = run.status().reason or ""
    assert str(broken) in reason and "truncated" in reason, reason


def test_what_ppdet_refuses_while_it_builds_is_a_sentence(work: Preloaded, new_run: NewRun) -> None:
    run = new_run(ResNet={"depth": 19, "freeze_at": -1, "freeze_norm": False, "num_stages": 3, "return_idx": [0, 1]})
    assert work(run) == 2
    reason, log = run.status().reason or "", run.log.read_text()
    assert "ppdet cannot build this config: KeyError: 19 (in ppdet/modeling/backbones/resnet.py, line " in reason, reason
    assert f"the trace is in {run.log}" in reason and "Traceback" in log


_KILLED = """
import os, signal
from runner.backends.paddle import reader

class Images:
    here = os.getpid()
    def __getitem__(self, index):
        if os.getpid() != self.here and index == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return {"image": reader.np.zeros((3, 4), "float32")}

try:
    for _ in reader._iterate(Images(), [[number] for number in range(9)], lambda samples: samples[0], 1, True):
        pass
except reader.TrainingFailed as error:
    print(error)
"""


def test_a_reading_process_that_is_killed(paddle_python: Path) -> None:
    done = subprocess.run([paddle_python, "-c", _KILLED], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and "a process that reads images died" in done.stdout and "worker_num" in done.stdout, done


def test_the_readers_defaults_are_ppdets(work: Preloaded, new_run: NewRun, write_config: Callable[..., Path]) -> None:
    """It shuffles, and leaves out what does not fill a batch: 12 images in batches of 5 are two steps. A loss that is not finite names
    the images of its step, so the very first step tells the order."""
    rate = {"base_lr": 1e30, "schedulers": [{"name": "PiecewiseDecay", "milestone_iters": [90], "gamma": [0.1], "use_warmup": False}]}
    named = []
    for seed in (1, 2):
        reader = {**yaml.safe_load(write_config().read_text())["TrainReader"], "batch_size": 5}
        run = new_run(f"seed {seed}", seed=seed, TrainReader=reader, LearningRate=rate, max_iters=30)
        assert work(run) == 1
        named.append(re.findall(r"board \d+", run.status().reason or ""))
        assert len(named[-1]) == 5 and run.status().epoch in (0.0, 0.5, 1.0)
    assert named[0] != named[1] and all(names != sorted(names) for names in named)


def test_the_order_is_the_seeds(work: Preloaded, new_run: NewRun) -> None:
    runs = {
        name: new_run(name, **changes) for name, changes in {"a": {"seed": 1}, "b": {"seed": 1, "worker_num": 2}, "c": {"seed": 2}}.items()
    }
    for run in runs.values():
        assert work(run) == 0, run.log.read_text()
    losses = {name: values(run, "train/loss") for name, run in runs.items()}
    assert losses["a"] == losses["b"] != losses["c"]  # whichever process reads the images


def test_a_checkpoint_of_another_model_is_refused(work: Preloaded, new_run: NewRun) -> None:
    run, other = (
        new_run("one"),
        new_run("other", ResNet={"depth": 18, "freeze_at": -1, "freeze_norm": False, "num_stages": 3, "return_idx": [0, 1]}),
    )
    assert work(run) == 0
    shutil.copytree(run.checkpoints, other.checkpoints)
    assert work(other) == 2
    assert "is a checkpoint of another model" in (other.status().reason or "")


def test_published_weights_come_from_the_store(work: Preloaded, new_run: NewRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights that fit are loaded; the others are listed."""
    first = new_run("first", max_iters=1)
    assert work(first) == 0, first.log.read_text()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUNNER_WEIGHTS", str(work.cwd / "weights"))
    path = lock("ppdet://models/first.pdparams", (first.checkpoints / "last.pdparams").read_bytes(), ".pdparams")
    head = {
        "fcos_feat": {"name": "FCOSFeat", "feat_in": 16, "feat_out": 16, "num_convs": 2, "norm_type": "bn"},
        "fpn_stride": [4, 8],
        "nms": {"name": "MultiClassNMS", "nms_top_k": 50, "keep_top_k": 10},
    }
    backbone = {"depth": 34, "freeze_at": -1, "freeze_norm": False, "num_stages": 2, "return_idx": [0, 1]}
    changes = {"FCOSHead": head, "ResNet": backbone, "pretrain_weights": "ppdet://models/first.pdparams", "max_iters": 1}
    tuned = new_run("tuned", **changes)
    assert work(tuned) == 0, tuned.log.read_text()
    said = tuned.log.read_text()
    total = len([name for name in read_pdparams(tuned.checkpoints / "last.pdparams") if name != "runner.state"])
    assert re.search(rf"pretrain_weights ppdet://models/first.pdparams: \d+ of {total} tensors loaded", said), said
    assert "pretrain_weights: not in the file, start anew: backbone.res2 (" in said and "fcos_head.fcos_feat (" in said, said
    again = new_run("again", **changes)
    path.unlink()
    assert work(again) == 2
    assert "its file is not on this machine: runner weights fetch 'ppdet://models/first.pdparams#sha256=" in (again.status().reason or "")


def test_a_damaged_checkpoint_is_passed_over(work: Preloaded, new_run: NewRun) -> None:
    run = new_run(max_iters=6)
    assert work(run) == 0
    last = run.checkpoints / "step-00000006.pdparams"
    last.write_bytes(last.read_bytes()[:-200])
    run.status_file.unlink()
    assert work(run) == 0, run.log.read_text()
    assert "cannot be used" in run.log.read_text() and "resuming from the checkpoint before it" in run.log.read_text()


@pytest.mark.slow
def test_weights_that_cannot_be_read_are_named_by_their_own_key(new_run: NewRun, tmp_path: Path) -> None:
    """And nothing else is said: not what ppdet prints while it is loaded."""
    run, weights_file = new_run(), tmp_path / "weights.pdparams"
    weights_file.write_text("no weights")
    command = [sys.executable, "-m", "runner", "eval", "-c", run.config, "-o", f"weights={weights_file}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.startswith(f"runner: weights: {weights_file} is no file"), done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr


@pytest.mark.slow
def test_first_weights(work: Preloaded, new_run: NewRun, coco: Path, tmp_path: Path) -> None:
    """A fresh head starts where initial_distance says. Fine-tuning on the same classes in another order puts the class outputs in that
    order; going on with the run itself is refused."""
    first = new_run("first")
    assert work(first) == 0, first.log.read_text()
    last = first.checkpoints / "last.pdparams"
    content = read_pdparams(last)
    assert content["runner.state"]["classes"] == ["short", "open circuit"]
    data = Path(shutil.copytree(coco, tmp_path / "reversed"))
    for name in ("train.json", "val.json"):
        document = json.loads((data / name).read_text(encoding="utf-8"))
        document["categories"].reverse()
        (data / name).write_text(json.dumps(document), encoding="utf-8")
    still = {"base_lr": 1e-12, "schedulers": [{"name": "PiecewiseDecay", "milestone_iters": [30]}, {"name": "LinearWarmup", "steps": 2}]}
    started = new_run("started", initial_distance=1.5, max_iters=1, LearningRate=still)
    assert work(started) == 0, started.log.read_text()
    assert np.allclose(read_pdparams(started.checkpoints / "last.pdparams")["fcos_head.fcos_head_reg.bias"], 1.5, atol=1e-6)
    tuned = new_run("tuned", data=data, pretrain_weights=str(last), max_iters=1, LearningRate=still)
    assert work(tuned) == 0, tuned.log.read_text()
    assert "classes matched by name" in tuned.log.read_text()
    after = read_pdparams(tuned.checkpoints / "last.pdparams")
    for name in ("fcos_head.fcos_head_cls.weight", "fcos_head.fcos_head_cls.bias"):
        assert np.allclose(after[name], content[name][::-1], atol=1e-6), name
    assert after["runner.state"]["classes"] == ["open circuit", "short"]
    other = new_run("other", data=data)
    shutil.copytree(first.checkpoints, other.checkpoints)
    assert work(other) == 2
    assert "in the order short, open circuit there and open circuit, short here" in (other.status().reason or "")
