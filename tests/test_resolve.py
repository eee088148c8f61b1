"""From a config file to a config that can run: data sets by name, autos, what the machine lacks."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

import runner.resolve
from runner.backends.base import Probe
from runner.config.bind import bind, require
from runner.config.load import load_config
from runner.core.errors import InputError
from runner.launch.machine import available_cores
from runner.resolve import Resolved, automatic_trackers, resolve

ROOT = Path(__file__).resolve().parents[1]
NO_GPU = Probe(versions={"torch": "2"}, gpu_problem="no usable GPU: there is no driver; give -o use_gpu=false to train on the CPU")
ONE_GPU = Probe(versions={"torch": "2"}, gpus=("NVIDIA Some",), driver="999")

WriteConfig = Callable[..., Path]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an empty folder, where nothing is prepared."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RUNNER_DATA", raising=False)


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Probe], list[str]]:
    """Sets what the machine has; gives the list of backends that were asked."""

    def set_probe(probe: Probe) -> list[str]:
        asked: list[str] = []
        monkeypatch.setattr(runner.resolve, "probe_backend", lambda name, python: asked.append(name) or probe)
        return asked

    return set_probe


def refusal(*arguments: Any, **options: Any) -> list[str]:
    with pytest.raises(InputError) as error:
        resolve(*arguments, **options)
    return [str(problem) for problem in error.value.problems]


def prepared(name: str, source: Path, num: int = 2) -> Path:
    """A data set `name` with a spec of its own, prepared from the small COCO data."""
    from runner.data.prepare import prepare
    from runner.data.spec import data_root

    Path("datasets").mkdir(exist_ok=True)
    spec = {"name": name, "title": "small", "format": "coco", "where": "nowhere"}
    Path("datasets", f"{name}.yml").write_text(yaml.safe_dump(spec))
    prepare(name, source, data_root())
    return Path("data", name)


@pytest.fixture
def small(coco: Path, tmp_path: Path) -> str:
    """The name of a prepared data set."""
    source = tmp_path / "source"
    (source / "annotations").mkdir(parents=True)
    shutil.copytree(coco / "images", source / "images")
    for side in ("train", "val"):
        shutil.copy(coco / f"{side}.json", source / "annotations" / f"{side}.json")
    prepared("small", source)
    return "small"


def no_data(path: Path) -> Path:
    """The config without its data sections and classes."""
    data = yaml.safe_load(path.read_text())
    path.write_text(
        yaml.safe_dump({key: value for key, value in data.items() if key not in ("TrainDataset", "EvalDataset", "num_classes")})
    )
    return path


# ------------------------------------------------------------------------------------------------------------ data sets
def test_a_data_set_by_name_stands_for_its_sections(write_config: WriteConfig, small: str) -> None:
    resolved = resolve(no_data(write_config()), [f"dataset={small}"])
    config = resolved.config
    assert (config.num_classes, config.architecture.fcos_head.num_classes) == (2, 2)
    assert Path(config.train_dataset.dataset_dir) == Path("data/small").absolute()
    assert config.eval_dataset.allow_empty and not config.train_dataset.allow_empty
    assert config.test_dataset is not None and config.dataset == small


def test_the_canonical_file_names_both_ways_and_they_agree(write_config: WriteConfig, small: str, tmp_path: Path) -> None:
    first = resolve(no_data(write_config()), [f"dataset={small}"])
    (tmp_path / "canonical.yml").write_text(first.yaml)
    again = resolve(tmp_path / "canonical.yml")
    assert again.config == first.config and again.notes == ()


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("TrainDataset={name: COCODataSet, dataset_dir: elsewhere}", "TrainDataset"),
        ("EvalDataset={name: COCODataSet, anno_path: other.json}", "EvalDataset"),
        ("TestDataset={name: COCODataSet, dataset_dir: x}", "TestDataset"),
        ("num_classes=5", "num_classes"),
    ],
)
def test_naming_both_ways_must_agree(write_config: WriteConfig, small: str, override: str, key: str) -> None:
    found = refusal(no_data(write_config()), [f"dataset={small}", override])
    (message,) = [one for one in found if f": {key}: " in one]
    assert f"says something else than dataset: {small}" in message and "-o dataset=null" in message


@pytest.mark.parametrize(
    "override",
    [
        "TrainDataset={name: COCODataSet, sample_num: 5}",
        "TrainDataset.sample_num=5",
        "TrainDataset=!COCODataSet {sample_num: 5}",
        "num_classes=2",
        "num_classes=auto",
        "TestDataset=null",
        "eval_iou_thresholds=[0.4]",
    ],
)
def test_what_agrees_or_says_more_is_fine(write_config: WriteConfig, small: str, override: str) -> None:
    config = resolve(no_data(write_config()), [f"dataset={small}", override]).config
    assert config.num_classes == 2 and Path(config.train_dataset.dataset_dir) == Path("data/small").absolute()
    if "sample_num" in override:
        assert config.train_dataset.sample_num == 5
    if "iou" in override:
        assert config.eval_iou_thresholds == (0.4,)


def test_dataset_null_keeps_the_sections(write_config: WriteConfig) -> None:
    assert resolve(write_config(), ["dataset=synthetic_pcb", "dataset=null"]).config.dataset is None


def test_a_data_set_that_does_not_exist(write_config: WriteConfig) -> None:
    assert "unknown data set 'synthetic_pbc'; did you mean 'synthetic_pcb'" in " ".join(
        refusal(no_data(write_config()), ["dataset=synthetic_pbc"])
    )
    assert "expected the name of a data set" in " ".join(refusal(no_data(write_config()), ["dataset=[a]"]))


def test_a_data_set_that_is_not_prepared_says_how(write_config: WriteConfig) -> None:
    found = refusal(no_data(write_config()), ["dataset=pcb"])
    assert len(found) == 1, found  # and not also that each of its files is missing
    assert "runner data prepare pcb --source" in found[0] and found[0].startswith("-o dataset=pcb: dataset: ")


def test_the_generated_set_is_made_only_when_asked(write_config: WriteConfig) -> None:
    path = no_data(write_config())
    made: list[str] = []
    resolved = resolve(path, ["dataset=synthetic_pcb"])
    assert "dataset: made at first use: synthetic_pcb" in resolved.notes and resolved.config.num_classes == 6
    resolve(path, ["dataset=synthetic_pcb"], make_dataset=made.append)
    assert made == ["synthetic_pcb"] and not Path("data").exists()


def test_num_classes_auto_counts_the_annotations(write_config: WriteConfig) -> None:
    assert resolve(write_config(num_classes="auto")).config.num_classes == 2


def test_num_classes_that_do_not_fit(write_config: WriteConfig) -> None:
    found = refusal(write_config(num_classes=3))
    assert any("has 2 classes: short, open circuit" in message and "num_classes" in message for message in found), found


# ---------------------------------------------------------------------------------------------------------------- autos
def test_autos_are_gone(write_config: WriteConfig, probed: Callable[[Probe], list[str]]) -> None:
    asked = probed(ONE_GPU)
    config = resolve(write_config(use_gpu="auto", cpu_threads="auto", trackers="auto"), threads=3).config
    expected = (True, 3, automatic_trackers(Path(sys.executable)))
    assert (config.use_gpu, config.cpu_threads, list(config.trackers)) == expected and asked == ["torch"]


def test_use_gpu_auto_says_what_it_picked(write_config: WriteConfig, probed: Callable[[Probe], list[str]]) -> None:
    probed(ONE_GPU)
    assert "use_gpu: auto picks NVIDIA Some" in resolve(write_config(use_gpu="auto")).notes
    probed(NO_GPU)
    resolved = resolve(write_config(use_gpu="auto"))
    assert not resolved.config.use_gpu
    assert any(note.startswith("use_gpu: auto picks the CPU (no usable GPU") for note in resolved.notes)


def test_nobody_is_asked_where_no_gpu_is_wanted(write_config: WriteConfig, probed: Callable[[Probe], list[str]]) -> None:
    asked = probed(NO_GPU)
    resolved = resolve(write_config(use_gpu=False))
    assert asked == [] and resolved.probe is None


def test_threads_left_out_are_the_cores(write_config: WriteConfig) -> None:
    path = write_config()
    path.write_text(path.read_text().replace("cpu_threads: 1\n", ""))
    assert resolve(path).config.cpu_threads == available_cores()
    assert resolve(path, threads=2).config.cpu_threads == 2
    assert resolve(path, ["cpu_threads=1"], threads=2).config.cpu_threads == 1


@pytest.mark.parametrize(
    ("overrides", "trackers"),
    [
        ([], []),
        (["use_vdl=true"], ["visualdl"]),
        (["trackers=[tensorboard, visualdl]", "use_vdl=false"], ["tensorboard"]),
        (["trackers=[visualdl]", "use_vdl=true"], ["visualdl"]),
        (["trackers=[tensorboard]", "use_vdl=true"], ["tensorboard", "visualdl"]),
    ],
)
def test_use_vdl_goes_into_the_trackers(write_config: WriteConfig, overrides: list[str], trackers: list[str]) -> None:
    assert list(resolve(write_config(), overrides).config.trackers) == trackers


def test_gpu_and_data_missing_are_both_named_once(write_config: WriteConfig, probed: Callable[[Probe], list[str]]) -> None:
    probed(NO_GPU)
    found = refusal("configs/fcos_r50_fpn_1x.yml", ["use_gpu=true"])
    assert [message.split(": ")[1] for message in found] == ["dataset", "use_gpu"], found


def test_all_kinds_of_problems_come_together(write_config: WriteConfig, probed: Callable[[Probe], list[str]]) -> None:
    probed(NO_GPU)
    found = refusal(no_data(write_config()), ["use_gpu=true", "dataset=pcb", "TrainReader.batch_size=0", "sed=1"])
    assert len(found) == 4, found
    found = refusal(write_config(epoch=3, EvalDataset={"name": "COCODataSet", "dataset_dir": "nowhere"}))
    assert any("epoch (3) and max_iters (4) are both given" in message for message in found) and any(
        "EvalDataset" in message for message in found
    )


def test_a_backends_problem_has_the_place_of_its_key(write_config: WriteConfig) -> None:
    path = write_config()
    line = path.read_text().splitlines().index("  num_stages: 2") + 1
    (message,) = refusal(path, ["ResNet.return_idx=[0, 3]", "FPN.spatial_scales=[0.25, 0.03125]"])
    assert message.startswith("-o ResNet.return_idx=[0, 3]: ResNet.return_idx: "), (message, line)


def test_an_unknown_backend(write_config: WriteConfig) -> None:
    (message,) = refusal(write_config(backend="tensorflow"))
    assert "backend: unknown backend 'tensorflow'; allowed: fake, paddle, torch" in message and "tiny.yml:" in message


def test_an_older_config_is_answered_as_such(tmp_path: Path) -> None:
    old = tmp_path / "old.yml"
    old.write_text("architecture: TTFNet\nmax_iters: 3558\nlog_smooth_window: 20\n")
    why, problem = refusal(old)
    assert why.startswith(f"{old}:3: ") and "older dialect" in why
    assert problem.startswith(f"{old}:1: architecture: ") and "TTFNet is not translated" in problem


# ------------------------------------------------------------------------------------------------- what comes with it
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
def test_every_shipped_config_resolves_and_survives_its_own_yaml(name: str, tmp_path: Path) -> None:
    given = [] if name == "fake.yml" else [*stub_data(tmp_path / "stub", 6), "TrainReader.batch_size=2"]  # that one has no data
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
    monkeypatch.setattr("runner.resolve.probe_backend", lambda name, python: Probe({}, gpu_problem="there is no usable GPU"))
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


def test_processes_need_as_many_gpus(
    write_config: WriteConfig, probed: Callable[[Probe], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    probed(ONE_GPU)
    place = SimpleNamespace(python=Path(sys.executable))
    monkeypatch.setattr(runner.resolve, "interpreter", lambda name, given: place)
    monkeypatch.setattr("runner.backends.paddle.backend.check", lambda config: [])
    (message,) = refusal(write_config(backend="paddle", processes=2, use_gpu=True))
    assert "tiny.yml" in message and "2 processes need as many GPUs; usable: 1 (NVIDIA Some)" in message
    resolve(write_config(backend="paddle", processes=2, use_gpu=False))


def test_classes_that_cannot_be_counted_are_no_problem_of_their_own(write_config: WriteConfig, tmp_path: Path) -> None:
    missing = {"name": "COCODataSet", "dataset_dir": str(tmp_path), "image_dir": ".", "anno_path": "no.json"}
    (message,) = refusal(write_config(num_classes="auto", TrainDataset=missing))
    assert "no.json" in message and "TrainDataset.anno_path" in message
    found = refusal(write_config(num_classes="auto", TrainDataset=None, EvalDataset=None, dataset="synthetik_pcb"))
    assert any("synthetik_pcb" in message for message in found) and not any("num_classes" in message for message in found), found
