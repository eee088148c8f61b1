"""The first batch of a training, as people are shown it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from runner.backends.torch import reader
from runner.backends.torch.schema import TorchConfig
from runner.backends.torch.shown_batch import first_batch
from runner.backends.torch.transforms import schema
from runner.data.images import read_image

Config = Callable[..., TorchConfig]


def test_normalisation_is_undone_and_boxes_are_in_the_picture(config: Config) -> None:
    own = config().train_reader
    plain = (schema.Decode(), schema.NormalizeImage(), schema.Permute())
    here = replace(config(), train_reader=replace(own, sample_transforms=plain))
    images, names = first_batch(here)
    sources = {source.path.name: source for source in reader.load_training_data(here).sources}
    assert len(images) == 4 and names == ("short", "spur")
    for one in images:
        source = sources[one.name]
        pixels = read_image(source.path)
        np.testing.assert_array_equal(one.image[: pixels.shape[0], : pixels.shape[1]], pixels)
        assert one.boxes.tolist() == source.boxes.tolist() and one.classes.tolist() == source.classes.tolist()


def test_it_is_what_the_training_reads_first(config: Config) -> None:
    here = config()
    with reader.training_steps(here, reader.load_training_data(here), 0) as steps:
        (batch,) = next(steps)
    images, _ = first_batch(here)
    assert tuple(one.name for one in images) == batch.names
    assert {one.image.shape[:2] for one in images} == {tuple(batch.images.shape[2:])}
