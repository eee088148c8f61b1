"""What `check` finds, and that it finds everything at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from runner.backends.torch import schema
from runner.backends.torch.backend import TorchBackend
from runner.backends.torch.models.fcos import FCOSModel
from runner.backends.torch.schema import CosineDecay, ExpWarmup, LearningRate, LinearWarmup, OneCycle, PiecewiseDecay, TorchConfig
from runner.backends.torch.transforms.schema import Decode, NormalizeImage, PadBatch, Permute, RandomResize, Resize
from runner.core.errors import Remark
from runner.training.checks import check_data

Config = Callable[..., TorchConfig]
WARM = LinearWarmup()


def found(config: TorchConfig) -> list[tuple[str, str]]:
    return [(problem.key, problem.message) for problem in TorchBackend().check(config)]


def one(config: TorchConfig) -> tuple[str, str]:
    problems = found(config)
    assert len(problems) == 1, problems
    return problems[0]


def test_a_good_config_has_no_problem(config: Config) -> None:
    assert found(config()) == []


@pytest.mark.parametrize(
    ("changes", "key", "words"),
    [
        ({"epoch": None}, "epoch", "expected the length"),
        ({"max_iters": 5}, "max_iters", "excludes epoch"),
        ({"num_classes": 3}, "num_classes", "has 2: short, spur"),
        ({"use_ema": True, "ema_decay_type": "normal", "ema_decay": 1.0}, "ema_decay", "never"),
        ({"optimizer_builder": schema.OptimizerBuilder(clip_grad_by_norm=1.0, clip_grad_by_value=1.0)}, "by_value", "take one out"),
        ({"pretrain_weights": "https://example.org/x.pdparams"}, "pretrain_weights", "runner weights fetch https://example.org/x.pdparams"),
    ],
)
def test_keys_that_do_not_fit(config: Config, changes: dict[str, Any], key: str, words: str) -> None:
    assert any(key in where and words in message for where, message in found(config(**changes)))


def test_an_architecture_without_gradient_checkpointing(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    here = config(gradient_checkpointing=True)
    assert not any(key == "gradient_checkpointing" for key, _ in found(here))
    monkeypatch.setattr(FCOSModel, "honoured_keys", frozenset())
    assert ("gradient_checkpointing", "FCOS does not have it; remove the key, or use a smaller batch") in found(here)


@pytest.mark.parametrize(
    ("schedulers", "words"),
    [
        ((), "first one decays"),
        ((WARM,), "first one decays"),
        ((PiecewiseDecay(),), "needs a !LinearWarmup"),
        ((PiecewiseDecay(), PiecewiseDecay()), "needs a !LinearWarmup"),
        ((PiecewiseDecay(), WARM, WARM), "at most two"),
        ((PiecewiseDecay(milestones=(2,)), WARM), "1 milestones [2] need as many factors"),
        ((PiecewiseDecay(milestones=(4, 2)), WARM), "must rise"),
        ((PiecewiseDecay(milestones=(2, 4), milestone_iters=(1, 2)), WARM), "both given"),
        ((PiecewiseDecay(values=(1.0, 0.1, 0.01)), WARM), "warm-up"),
        ((PiecewiseDecay(values=(1.0, 0.1), use_warmup=False),), "need 3 values"),
        ((CosineDecay(max_epochs=3, max_iters=4), WARM), "both given"),
        ((OneCycle(), WARM), "warms up by itself"),
        ((ExpWarmup(), WARM), "first one decays"),
    ],
)
def test_schedules_that_do_not_fit(config: Config, schedulers: tuple[Any, ...], words: str) -> None:
    key, message = found(config(learning_rate=LearningRate(schedulers=schedulers)))[0]
    assert key.startswith("LearningRate.schedulers")
    assert words in message


NORMALIZE, PERMUTE, DECODE, PAD = NormalizeImage(), Permute(), Decode(), PadBatch()
RESIZE = Resize(target_size=64, keep_ratio=True)


@pytest.mark.parametrize(
    ("transforms", "batch_transforms", "words"),
    [
        ((RESIZE, NORMALIZE, PERMUTE), (PAD,), "must begin with Decode"),
        ((DECODE, RESIZE, NORMALIZE), (PAD,), "Permute: {} is missing"),
        ((DECODE, PERMUTE, NORMALIZE), (PAD,), "NormalizeImage must come before Permute"),
        ((DECODE, RESIZE, NORMALIZE), (PAD, PERMUTE), "Permute must come before PadBatch"),
        ((DECODE, RESIZE, NORMALIZE, PERMUTE), (), "add PadBatch"),
        ((DECODE, RESIZE, NORMALIZE, NORMALIZE, PERMUTE), (PAD,), "NormalizeImage is given 2 times"),
        ((DECODE, NormalizeImage(mean=(0.5,)), PERMUTE), (PAD,), "three means"),
        ((DECODE, RandomResize(target_size=((4, 8),), random_range=True), PERMUTE), (PAD,), "random_range needs two"),
        ((DECODE, RandomResize(target_size=(4, 8, 9), random_size=False), PERMUTE), (PAD,), "needs one size"),
    ],
)
def test_transforms_that_do_not_fit(config: Config, transforms: Any, batch_transforms: Any, words: str) -> None:
    here = config()
    reader = replace(here.eval_reader, sample_transforms=transforms, batch_transforms=batch_transforms)
    key, message = one(replace(here, eval_reader=reader))
    assert key.startswith("EvalReader")
    assert words in message


def test_normalizing_in_the_batch_is_understood_and_fixed_sizes_need_no_padding(config: Config) -> None:
    here = config()
    fixed = Resize(target_size=64, keep_ratio=False)
    reader = replace(here.eval_reader, sample_transforms=(DECODE, fixed), batch_transforms=(NORMALIZE, PERMUTE))
    assert found(replace(here, eval_reader=reader)) == []


def test_missing_files_are_all_named_with_what_is_near(config: Config, data: Path) -> None:
    here = config(
        train_dataset=schema.COCODataSet(dataset_dir=str(data), image_dir="image", anno_path="train.jsn"), eval_dataset=schema.COCODataSet()
    )
    problems = dict(found(here))
    assert "did you mean 'train.json'?" in problems["TrainDataset.anno_path"]
    assert "did you mean 'images'?" in problems["TrainDataset.image_dir"]
    assert "missing" in problems["EvalDataset.anno_path"]


def test_fewer_images_than_a_batch_and_other_classes_in_evaluation(config: Config, make_data: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_data(tmp_path / "d", n=4)
    content = json.loads((folder / "train.json").read_text(encoding="utf-8"))
    content["categories"][0]["name"] = "missing_hole"
    (folder / "val.json").write_text(json.dumps(content))
    small = schema.COCODataSet(dataset_dir=str(folder), image_dir="images", anno_path="train.json")
    problems = dict(found(config(train_dataset=small, eval_dataset=replace(small, anno_path="val.json"))))
    assert "3 training images do not fill one step of 4" in problems["TrainReader.batch_size"]
    assert "missing_hole" in problems["EvalDataset.anno_path"]


def test_an_annotation_file_cut_off_is_named(config: Config, make_data: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_data(tmp_path / "d", n=4)
    whole = (folder / "train.json").read_bytes()
    (folder / "train.json").write_bytes(whole[: len(whole) // 2])
    small = schema.COCODataSet(dataset_dir=str(folder), image_dir="images", anno_path="train.json")
    problems = TorchBackend().check(config(train_dataset=small))
    assert [problem.key for problem in problems] == ["TrainDataset.anno_path"]
    assert "train.json" in str(problems[0])


# ----------------------------------------------------------------------------------------- what only evaluation would have found
@pytest.fixture
def spoilt(config: Config, make_data: Callable[..., Path], tmp_path: Path) -> Callable[..., TorchConfig]:
    """A config on data of its own whose val.json is train.json with its first box, or first image, changed."""

    def make(of: str = "annotations", **changes: Any) -> TorchConfig:
        folder = make_data(tmp_path / "d", n=8)
        document = json.loads((folder / "train.json").read_text(encoding="utf-8"))
        document[of][0].update(changes)
        (folder / "val.json").write_text(json.dumps(document))
        train = schema.COCODataSet(dataset_dir=str(folder), image_dir="images", anno_path="train.json")
        return config(train_dataset=train, eval_dataset=replace(train, anno_path="val.json"))

    return make


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"bbox": [30, 24, -20, -16]}, "1 of 10 annotations have a bbox that is not [x, y, width, height] with sizes of 0 or more"),
        ({"bbox": [1, 2, 3]}, "1 of 10 annotations have a bbox that is not [x, y, width, height] in finite numbers: [1, 2, 3] (entry 0)"),
        ({"area": "85"}, "1 of 10 annotations have an area that is not a number of 0 to 1e+10: '85' (entry 0)"),
        ({"iscrowd": "0"}, "1 of 10 annotations have an iscrowd that is neither 0 nor 1: '0' (entry 0)"),
        (
            {"bbox": [-1.5, 2, 30, 20]},
            "1 of 10 boxes extend beyond their image by more than 1 pixel: bild 0 é.png: [-1.5, 2.0, 30.0, 20.0]",
        ),  # noqa: E501
        ({"of": "images", "width": 640}, "1 of 8 images are of another size than annotated: bild 0 é.png is "),
        ({"of": "categories", "id": -1}, "1 of 2 categories have no id that is a whole number ≥ 0: -1 (entry 0)"),
    ],
)
def test_nothing_is_trained_that_evaluation_would_refuse(spoilt: Callable[..., TorchConfig], changes: dict[str, Any], words: str) -> None:
    messages = [message for key, message in found(spoilt(**changes)) if key == "EvalDataset.anno_path"]
    assert any(message.startswith(words) for message in messages), messages


def test_boxes_in_shares_are_refused(spoilt: Callable[..., TorchConfig]) -> None:
    given = spoilt()
    file = Path(given.eval_dataset.dataset_dir, "val.json")
    document = json.loads(file.read_text())
    for entry in document["annotations"]:
        entry["bbox"] = [0.1, 0.2, 0.3, 0.4]
    file.write_text(json.dumps(document))
    assert any("expected pixels" in message for key, message in found(given) if key == "EvalDataset.anno_path")


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ([1, 2, 0, 5], "1 boxes without width or height in "),
        ([-0.5, 2, 30, 20], "1 boxes in "),
        ([-0.001, 2, 30, 20], ""),
    ],
)
def test_boxes_that_are_noted(spoilt: Callable[..., TorchConfig], box: list[float], words: str) -> None:
    problems = TorchBackend().check(spoilt(bbox=box))
    assert all(isinstance(problem, Remark) and problem.message.startswith(words) for problem in problems)
    assert len(problems) == bool(words)


def test_an_image_that_cannot_be_opened_is_named_before_training(spoilt: Callable[..., TorchConfig], tmp_path: Path) -> None:
    here = spoilt()
    (tmp_path / "d" / "images" / "bild 3 é.png").write_bytes(b"x")
    assert {key for key, _ in found(here)} == {"TrainDataset.anno_path", "EvalDataset.anno_path"}
    assert all("1 of 8 images cannot be read: bild 3 é.png: " in message for _, message in found(here))


def test_a_backend_that_turns_images_wants_the_upright_size(spoilt: Callable[..., TorchConfig], tmp_path: Path) -> None:
    here, path = spoilt(), tmp_path / "d" / "images" / "bild 0 é.png"
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(path) as image:
        image.save(path, exif=exif)
        size = image.size
    assert found(here) == []
    problems = [problem.message for problem in check_data(here, lambda images: images, upright=True)]
    assert len(problems) == 2 and f"is {size[1]} x {size[0]} pixels, turned as its EXIF data says, annotated as {size[0]} x" in problems[0]
