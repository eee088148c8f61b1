"""Seven of ppdet's detectors, small, through the real worker: each trains, is evaluated and predicts, and a resume gives the same bits.

`python -m benchmarks.paddle_models CHECKOUT` does the same to PaddleDetection's own configs.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.preloaded import Preloaded

from runner.backends.pdparams import read_pdparams
from runner.resolve import resolve
from runner.store.run_dir import RunDir
from runner.sweep.plan import plan_single
from runner.sweep.runs import prepare_run_dir

ROOT = Path(__file__).resolve().parents[3]
CONFIGS = Path(__file__).with_name("configs")
MODELS = ("faster_rcnn", "fcos", "picodet", "ppyoloe", "retinanet", "ssd", "yolov3")
REPRESENTATIVE = "ppyoloe"
"""Model of `make test`: it averages its weights and has losses of its own. The others are exhaustive."""
AVERAGED = ("picodet", "ppyoloe")
LOSSES = {
    "faster_rcnn": {"loss_rpn_cls", "loss_rpn_reg", "loss_bbox_cls", "loss_bbox_reg"},
    "fcos": {"loss_cls", "loss_box", "loss_quality"},
    "picodet": {"loss_vfl", "loss_bbox", "loss_dfl"},
    "ppyoloe": {"loss_cls", "loss_iou", "loss_dfl", "loss_l1"},
    "retinanet": {"loss_cls", "loss_reg"},
    "ssd": set(),
    "yolov3": {"loss_xy", "loss_wh", "loss_obj", "loss_cls"},
}

pytestmark = pytest.mark.slow


def each(*models: str) -> list[Any]:
    """The models as parameters, all but the representative one marked exhaustive."""
    return [model if model == REPRESENTATIVE else pytest.param(model, marks=pytest.mark.exhaustive) for model in models]


@dataclass(frozen=True)
class Trained:
    """A run and how its worker ended."""

    run: RunDir
    code: int


@pytest.fixture(scope="module")
def prepared(coco: Path, paddle_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., RunDir]:
    """Makes a run directory of one of the configs, ready for a worker."""
    folder = tmp_path_factory.mktemp("runs of 'ü'")

    def make(model: str, name: str, *overrides: str, data: Path = coco) -> RunDir:
        folders = [f"{part}Dataset.dataset_dir={json.dumps(str(data))}" for part in ("Train", "Eval", "Test")]
        machine = ["backend=paddle", f"backend_python={json.dumps(str(paddle_python))}", "cpu_threads=1", "trackers=[]"]
        run = RunDir(folder / name)
        prepare_run_dir(plan_single(resolve(CONFIGS / f"{model}.yml", [*folders, *machine, *overrides]), run))
        return run

    return make


@pytest.fixture(scope="module")
def trained(work: Preloaded, prepared: Callable[..., RunDir], request: pytest.FixtureRequest) -> Mapping[str, Trained]:
    """Each model that a selected test is about, trained."""
    items = [item for item in request.session.items if isinstance(item, pytest.Function) and item.path == request.path]
    params = [item.callspec.params for item in items if hasattr(item, "callspec")]
    selected = {model for each in params for model in (each.get("model"), *each.get("models", ()))}
    runs = {model: prepared(model, model) for model in MODELS if model in selected}
    return {model: Trained(run, work(run)) for model, run in runs.items()}


@pytest.fixture(scope="module")
def used(trained: Mapping[str, Trained], coco: Path, paddle_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What came of using each model's checkpoint, see `checkpoint_uses`."""
    answer = tmp_path_factory.mktemp("used") / "answer.json"
    image = sorted((coco / "images").iterdir())[0]
    argv = [paddle_python, Path(__file__).with_name("checkpoint_uses.py"), answer, image, *(one.run.path for one in trained.values())]
    done = subprocess.run(argv, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(answer.read_text(encoding="utf-8"))


@pytest.mark.parametrize("model", each(*MODELS))
def test_it_trains_and_is_evaluated(trained: Mapping[str, Trained], model: str) -> None:
    run = trained[model].run
    assert trained[model].code == 0, run.log.read_text()
    status = run.status()
    assert (status.state, status.step, status.steps) == ("done", 8, 8)
    for tag in ("loss", *LOSSES[model]):
        values = {record.step: record.values[f"train/{tag}"] for record in run.records() if f"train/{tag}" in record.values}
        assert set(values) == set(range(1, 9)) and all(map(math.isfinite, values.values())), (tag, values)
    results = run.results() or {}
    assert results["classes"] == ["short", "open circuit"] and "bbox/AP" in results["metrics"]
    for item in json.loads(run.predictions.read_bytes()):
        assert item["category_id"] in (3, 7) and 0 < item["score"] <= 1
        x, y, width, height = item["bbox"]
        assert width >= 0 and height >= 0 and -64 <= x <= 64 and -64 <= y <= 64, item  # some are not cut at the image's border


@pytest.mark.parametrize("model", each(*MODELS))
def test_its_checkpoint_is_evaluated_and_predicts(used: Any, trained: Mapping[str, Trained], model: str) -> None:
    uses = used[model]
    assert isinstance(uses["eval"], dict), uses["eval"]
    assert uses["eval"]["metrics"] == (trained[model].run.results() or {})["metrics"]
    assert isinstance(uses["predict"], list), uses["predict"]
    assert all(name in ("short", "open circuit") and 0 <= score <= 1 for name, score, _ in uses["predict"])


@pytest.mark.exhaustive
@pytest.mark.parametrize("models", [MODELS], ids=["all"])
def test_some_find_something_and_some_nothing(used: Any, models: tuple[str, ...]) -> None:
    """An evaluation without a single box is one too."""
    assert sum(bool(used[model]["predict"]) for model in models) >= 4
    assert not used["ppyoloe"]["predict"]


@pytest.mark.parametrize("model", each("faster_rcnn", *AVERAGED))
def test_a_resume_gives_the_same_bits(work: Preloaded, prepared: Callable[..., RunDir], trained: Mapping[str, Trained], model: str) -> None:
    whole, run = trained[model].run, prepared(model, f"{model} again")
    shutil.copytree(whole.path, run.path, dirs_exist_ok=True)
    for made in (run.status_file, run.predictions, run.evaluation):  # as a worker killed after the checkpoint of step 4 leaves it
        made.unlink()
    index = json.loads((run.checkpoints / "index.json").read_text())
    entries = [entry for entry in index["checkpoints"] if entry["step"] <= 4]
    (run.checkpoints / "index.json").write_text(json.dumps({**index, "checkpoints": entries}))
    assert work(run) == 0, run.log.read_text()
    assert "at step 4 of 8" in run.log.read_text()
    counts = Counter((tag, record.step) for record in run.records() for tag in record.values)
    assert max(counts.values()) == 1 and {step for tag, step in counts if tag == "train/loss"} == set(range(1, 9))
    ours, theirs = (dict(leaves(read_pdparams(one.checkpoints / "last.pdparams"))) for one in (run, whole))
    assert ours.keys() == theirs.keys() and any("average" in name for name in ours) and len(ours) > 100
    for name in ours:
        if not name.endswith("/window/seconds"):
            assert np.array_equal(ours[name], theirs[name]), name
    assert json.loads(run.predictions.read_bytes()) == json.loads(whole.predictions.read_bytes())


@pytest.mark.parametrize("model", each(*MODELS))
def test_batches_without_an_object(work: Preloaded, prepared: Callable[..., RunDir], coco: Path, model: str, tmp_path: Path) -> None:
    """`allow_empty`, and two thirds of the batches hold nothing."""
    data = tmp_path / "bare"
    shutil.copytree(coco, data)
    content = json.loads((data / "train.json").read_text())
    content["annotations"] = [box for box in content["annotations"] if box["image_id"] <= 3]
    (data / "train.json").write_text(json.dumps(content))
    run = prepared(model, f"{model} bare", "TrainDataset.allow_empty=true", data=data)
    assert work(run) == 0, run.log.read_text()
    assert run.status().state == "done"


def test_one_image_is_a_batch(work: Preloaded, prepared: Callable[..., RunDir]) -> None:
    run = prepared("yolov3", "one image", "TrainDataset.sample_num=1", "TrainReader.drop_last=false", "max_iters=3")
    assert work(run) == 0, run.log.read_text()
    assert run.status().epoch == 3


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(path, array or plain value) of everything in a checkpoint."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{path}/{key}")
    else:
        yield path, value


def test_the_average_is_what_is_evaluated(trained: Mapping[str, Trained]) -> None:
    averaged = [model for model in AVERAGED if model in trained]
    assert averaged
    for model in averaged:
        content = read_pdparams(trained[model].run.checkpoints / "last.pdparams")
        own = content["runner.state"]["model"]
        assert any(not np.array_equal(content[name], own[name]) for name in own)
