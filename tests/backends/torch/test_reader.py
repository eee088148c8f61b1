"""Which samples a step sees, and what happens when they cannot be read."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from runner.backends.torch import reader, samples, schema
from runner.backends.torch.samples import PackedBatch
from runner.backends.torch.schema import TorchConfig
from runner.core.errors import InputError

Config = Callable[..., TorchConfig]


def read_all(config: TorchConfig, first: int = 0) -> list[list[PackedBatch]]:
    data = reader.load_training_data(config)
    with reader.training_steps(config, data, first) as steps:
        return list(steps)


def equal(left: PackedBatch, right: PackedBatch) -> bool:
    same = all(torch.equal(getattr(left, name), getattr(right, name)) for name in ("images", "boxes", "classes", "scales", "sizes"))
    return same and (left.counts, left.ids, left.names) == (right.counts, right.ids, right.names)


def test_an_epoch_sees_every_image_once_and_the_next_in_another_order(config: Config) -> None:
    here = config(epoch=2)
    here = replace(here, train_reader=replace(here.train_reader, drop_last=False))
    ids = [image_id for step in read_all(here) for batch in step for image_id in batch.ids]
    assert len(ids) == 46
    assert sorted(ids[:23]) == sorted(ids[23:]) == [100 + number for number in range(23)]
    assert ids[:23] != ids[23:]


def test_rare_classes_are_shown_more_often(config: Config, make_data: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_data(tmp_path / "d")
    file = folder / "train.json"
    content = json.loads(file.read_text())
    for annotation in content["annotations"]:  # the second class is on two images only
        annotation["category_id"] = 7 if annotation["image_id"] in (100, 101) else 3
    file.write_text(json.dumps(content))
    here = config(epoch=2, train_dataset=schema.COCODataSet(dataset_dir=str(folder), image_dir="images", anno_path="train.json"))
    balanced = schema.Sampler(type="class_balanced", oversample_thresh=0.5)
    here = replace(here, train_reader=replace(here.train_reader, sampler=balanced))
    data = reader.load_training_data(here)
    factor = (0.5 / (2 / 23)) ** 0.5
    assert data.images_per_epoch == round(21 + 2 * factor) == 26 and data.steps_per_epoch == 6 and data.total_steps == 12
    assert (
        data.notes[-1] == f"an epoch shows 26 images, 23 of them different (times that an image with a class is shown: spur {factor:.2f})"
    )
    steps = read_all(here)
    ids = [image_id for step in steps[:6] for batch in step for image_id in batch.ids]
    assert sum(ids.count(rare) for rare in (100, 101)) >= 4
    assert all(
        equal(one, other) for left, right in zip(steps[4:], read_all(here, 4), strict=True) for one, other in zip(left, right, strict=True)
    )
    seen = [batch.images[place] for step in steps for batch in step for place, image in enumerate(batch.ids) if image == 100]
    assert len(seen) >= 4 and any(not torch.equal(seen[0], other) for other in seen[1:] if other.shape == seen[0].shape)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("first", [0, 3, 7])
def test_a_step_sees_the_same_whatever_the_workers_and_the_start(config: Config, workers: int, first: int) -> None:
    straight = read_all(config(epoch=2))
    later = read_all(config(epoch=2, worker_num=workers), first)
    assert len(straight) == 10
    assert len(later) == 10 - first
    assert all(
        equal(one, other) for left, right in zip(straight[first:], later, strict=True) for one, other in zip(left, right, strict=True)
    )


def test_skipped_batches_are_not_read(config: Config, make_data: Callable[..., Path], tmp_path: Path) -> None:
    data = make_data(tmp_path / "d")
    here = config(train_dataset=schema.COCODataSet(dataset_dir=str(data), image_dir="images", anno_path="train.json"))
    skipped = {name for step in read_all(here)[:3] for batch in step for name in batch.names}
    for name in skipped:
        (data / "images" / name).write_bytes(b"no image")
    assert len(read_all(here, 3)) == 2
    with pytest.raises(InputError):
        read_all(here, 2)


def test_accumulation_cuts_the_same_order_into_smaller_batches(config: Config) -> None:
    large = config()
    small = replace(large, gradient_accumulation=2, train_reader=replace(large.train_reader, batch_size=2))
    for left, right in zip(read_all(large), read_all(small), strict=True):
        assert [len(batch.ids) for batch in right] == [2, 2]
        assert left[0].ids == right[0].ids + right[1].ids


def test_the_last_smaller_group_of_an_epoch(config: Config) -> None:
    here = config(gradient_accumulation=3)
    here = replace(here, train_reader=replace(here.train_reader, batch_size=3, drop_last=False))
    assert [[len(batch.ids) for batch in step] for step in read_all(here)] == [[3, 3, 3], [3, 3, 3], [3, 2]]


def test_repeat_sees_an_image_twice_with_other_augmentation(config: Config) -> None:
    here = config()
    here = replace(here, train_dataset=replace(here.train_dataset, repeat=2, sample_num=4))
    batches = [batch for step in read_all(here) for batch in step]
    assert sorted(image_id for batch in batches for image_id in batch.ids) == [100, 100, 101, 101, 102, 102, 103, 103]


def test_evaluation_reads_images_without_objects_too_in_order(config: Config) -> None:
    here = config(worker_num=2)
    here = replace(here, eval_dataset=replace(here.eval_dataset, sample_num=-1))
    images = reader.evaluation_images(here)
    batches = list(reader.inference_batches(here, here.eval_reader, images))
    assert [image_id for batch in batches for image_id in batch.ids] == [100 + number for number in range(24)]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_image_that_cannot_be_read_is_named(config: Config, make_data: Callable[..., Path], tmp_path: Path, workers: int) -> None:
    data = make_data(tmp_path / "d")
    cut_off = data / "images" / "bild 5 é.png"
    cut_off.write_bytes(cut_off.read_bytes()[:200])
    dataset = schema.COCODataSet(dataset_dir=str(data), image_dir="images", anno_path="train.json")
    with pytest.raises(InputError, match="bild 5 é.png") as caught:
        read_all(config(train_dataset=dataset, worker_num=workers, epoch=3))
    assert "Traceback" not in str(caught.value)


def test_an_image_of_another_size_than_annotated_is_named(config: Config, make_data: Callable[..., Path], tmp_path: Path) -> None:
    data = make_data(tmp_path / "d")
    text = (data / "train.json").read_text(encoding="utf-8")
    content = json.loads(text)
    content["images"][0]["width"] += 1
    (data / "train.json").write_text(json.dumps(content))
    dataset = schema.COCODataSet(dataset_dir=str(data), image_dir="images", anno_path="train.json")
    with pytest.raises(InputError, match=r"bild 0 é.png: the image is .* its annotation says"):
        read_all(config(train_dataset=dataset, epoch=3))


def test_a_worker_that_dies_names_its_image(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    real = samples.read_image

    def deadly(path: Path, expected_size: tuple[int, int] | None = None) -> object:
        if path.name == "bild 7 é.png":
            os.kill(os.getpid(), signal.SIGKILL)
        return real(path, expected_size=expected_size)

    monkeypatch.setattr(samples, "read_image", deadly)
    with pytest.raises(InputError, match="died while it read .*bild 7 é.png"):
        read_all(config(worker_num=2, epoch=3))


def test_crowd_boxes_are_not_trained_on(config: Config, make_data: Callable[..., Path], tmp_path: Path) -> None:
    data = make_data(tmp_path / "d")
    content = json.loads((data / "train.json").read_text(encoding="utf-8"))
    crowd = [annotation for annotation in content["annotations"] if annotation["image_id"] == 101][0]
    crowd["iscrowd"] = 1
    (data / "train.json").write_text(json.dumps(content))
    dataset = schema.COCODataSet(dataset_dir=str(data), image_dir="images", anno_path="train.json")
    sources = {source.id: source for source in reader.load_training_data(config(train_dataset=dataset)).sources}
    assert len(sources[101].boxes) == len(sources[101].classes) == 1


def test_reading_leaves_torchs_generator_alone(config: Config) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    read_all(config(worker_num=1))
    assert torch.equal(torch.get_rng_state(), before)
