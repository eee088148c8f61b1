"""From a config file to a config that can run: all problems at once, shipped configs, what is only shown."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.resolving import NO_GPU, ROOT, WriteConfig, no_data, refusal
from support.weights import lock

from runner.backends.base import Probe
from runner.config.bind import bind, require
from runner.config.load import load_config
from runner.core.errors import InputError
from runner.resolve import Resolved, resolve
from runner.weights.in_config import names_in_config


def test_gpu_data_and_weights_missing_are_each_named_once(write_config: WriteConfig, probed: Callable[[Probe], list[str]]) -> None:
    probed(NO_GPU)
    found = refusal("configs/fcos_r50_fpn_1x.yml", ["use_gpu=true"])
    assert [message.split(": ")[1] for message in found] == ["dataset", "use_gpu", "pretrain_weights"], found


def test_all_kinds_of_problems_come_together(write_config: WriteConfig, probed: Callable[[Probe], list[str]]) -> None:
    probed(NO_GPU)
    found = refusal(no_data(write_config()), ["use_gpu=true", "dataset=pcb", "TrainReader.batch_size=0", "sed=1"])
    assert len(found) == 4, found
    found = refusal(write_config(epoch=3, EvalDataset={"name": "COCODataSet", "dataset_dir": "nowhere"}))
    assert any("4 excludes epoch (3)" in message for message in found) and any("EvalDataset" in message for message in found)


def test_a_backends_problem_has_the_place_of_its_key(write_config: WriteConfig) -> None:
    path = write_config()
    line = path.read_text().splitlines().index("  num_stages: 2") + 1
    (message,) = refusal(path, ["ResNet.return_idx=[0, 3]", "FPN.spatial_scales=[0.25, 0.03125]"])
    assert message.startswith("-o ResNet.return_idx=[0, 3]: ResNet.return_idx: "), (message, line)


def test_an_unknown_backend(write_config: WriteConfig) -> None:
    (message,) = refusal(write_config(backend="tensorflow"))
    assert (
        "backend: unknown backend 'tensorflow'; known: fake, paddle, torch; packages add others by the entry point group runner.backends"
        in message
        and "tiny.yml:" in message
    )


def test_an_older_config_is_answered_as_such(tmp_path: Path) -> None:
    old = tmp_path / "old.yml"
    old.write_text("architecture: TTFNet\nmax_iters: 3558\nlog_smooth_window: 20\n")
    why, problem = refusal(old)
    assert why.startswith(f"{old}:3: ") and "older dialect" in why
    assert problem.startswith(f"{old}:1: architecture: ") and "TTFNet of PaddleDetection 0.x is not translated" in problem


def stub_data(folder: Path, classes: int, *, sections: bool = True) -> list[str]:
    """Overrides that put a data set of two images in the place of a config's own."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    from PIL import Image

    names = [f"{index}.png" for index in range(4)]
    for name in names:
        Image.new("RGB", (64, 64)).save(folder / "images" / name)
    document = {
        "images": [{"id": index, "file_name": name, "width": 64, "height": 64} for index, name in enumerate(names)],
        "categories": [{"id": index + 1, "name": f"c{index}"} for index in range(classes)],
        "annotations": [
            {"id": index, "image_id": index, "category_id": 1, "bbox": [3, 3, 9, 9], "area": 81, "iscrowd": 0} for index in range(4)
        ],
    }
    (folder / "all.json").write_text(json.dumps(document))
    paths = f"{{name: COCODataSet, dataset_dir: '{folder}', image_dir: images, anno_path: all.json}}"
    return ["dataset=null", f"TrainDataset={paths}", f"EvalDataset={paths}", f"num_classes={classes}", "use_gpu=false"]


CONFIGS = sorted(path.name for path in (ROOT / "configs").glob("*.yml"))


def test_there_are_configs() -> None:
    assert len(CONFIGS) >= 2


@pytest.mark.parametrize("name", CONFIGS)
def test_every_shipped_config_resolves_and_survives_its_own_yaml(
    name: str, tmp_path: Path, store: Path, request: pytest.FixtureRequest
) -> None:
    if load_config(f"configs/{name}").plain().get("backend") == "paddle":
        request.getfixturevalue("paddle_python")  # skips where there is none
    given = [] if name == "fake.yml" else [*stub_data(tmp_path / "stub", 6), "TrainReader.batch_size=2"]  # that one has no data
    for weights in names_in_config(Path(f"configs/{name}")):
        lock(weights, b"content", ".pdparams")
    resolved: Resolved = resolve(f"configs/{name}", given)
    text = resolved.yaml
    assert ": auto" not in text
    (tmp_path / "again.yml").write_text(text, encoding="utf-8")
    assert resolve(tmp_path / "again.yml").config == resolved.config
    assert require(bind(load_config(tmp_path / "again.yml"), resolved.backend.config_class)) == resolved.config


def test_the_articles_config_is_the_articles() -> None:
    tree = load_config("configs/fcos_r50_fpn_1x.yml").plain()
    assert (tree["max_iters"], tree["LearningRate"]["base_lr"], tree["TrainReader"]["batch_size"], tree["dataset"]) == (
        3558,
        0.00125,
        2,
        "pcb",
    )
    decay, warmup = tree["LearningRate"]["schedulers"]
    assert decay["milestone_iters"] == [2372, 3261] and decay["gamma"] == 0.1
    assert warmup["steps"] == 500 and warmup["start_factor"] == pytest.approx(1 / 3)


def test_a_runs_config_works_from_another_folder(
    write_config: WriteConfig, small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = resolve(no_data(write_config()), [f"dataset={small}"])
    (tmp_path / "canonical.yml").write_text(first.yaml)
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree("datasets", elsewhere / "datasets")
    monkeypatch.chdir(elsewhere)  # where no data set is prepared
    assert resolve(tmp_path / "canonical.yml").config == first.config


def test_what_is_only_shown_needs_no_gpu_and_no_data(write_config: WriteConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.resolve.autos.probe_backend", lambda name, python: Probe({}, gpu_problem="there is no usable GPU"))
    changes = ["dataset=pcb", "use_gpu=true"]
    with pytest.raises(InputError) as refused:
        resolve(no_data(write_config()), changes)
    assert {problem.key for problem in refused.value.problems} == {"dataset", "use_gpu"}
    shown = resolve(no_data(write_config()), changes, to_run=False)
    assert shown.config.use_gpu and {problem.key for problem in shown.missing} == {"dataset", "use_gpu"}


def test_what_is_only_shown_needs_no_files(write_config: WriteConfig, tmp_path: Path) -> None:
    gone = {"name": "COCODataSet", "dataset_dir": str(tmp_path), "image_dir": "gone", "anno_path": "gone.json"}
    path = write_config(num_classes="auto", TrainDataset=gone, pretrain_weights="gone.pth", backend_python="/gone/python")
    shown = resolve(path, ["backend_python=null"], to_run=False)
    assert [problem.key for problem in shown.missing] == ["pretrain_weights", "TrainDataset.anno_path", "TrainDataset.image_dir"]
    assert shown.tree["num_classes"] == "auto"
    assert all("tiny.yml" in problem.where for problem in shown.missing)
    assert "backend" in str(resolve(path, to_run=False).missing[0])
    with pytest.raises(InputError, match=r"expected an integer"):
        resolve(path, ["max_iters=x"], to_run=False)


def test_classes_that_cannot_be_counted_are_no_problem_of_their_own(write_config: WriteConfig, tmp_path: Path) -> None:
    missing = {"name": "COCODataSet", "dataset_dir": str(tmp_path), "image_dir": ".", "anno_path": "no.json"}
    (message,) = refusal(write_config(num_classes="auto", TrainDataset=missing))
    assert "no.json" in message and "TrainDataset.anno_path" in message
    found = refusal(write_config(num_classes="auto", TrainDataset=None, EvalDataset=None, dataset="synthetik_pcb"))
    assert any("synthetik_pcb" in message for message in found) and not any("num_classes" in message for message in found), found


def test_an_architecture_of_another_backend_is_one_problem() -> None:
    with pytest.raises(InputError) as caught:
        resolve("configs/yolov3_darknet.yml", ["backend=torch"], to_run=False)
    (problem,) = caught.value.problems
    assert (
        problem.message
        == "unknown name 'YOLOv3'; the backend paddle has it (-o backend=paddle); allowed: FCOS, TorchvisionDetector, TransformersDetector"
    )
