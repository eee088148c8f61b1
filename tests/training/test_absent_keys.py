"""Keys that are looked for in vain: each gets a sentence, and what the sentences name exists."""

from __future__ import annotations

import re

import pytest

from runner.backends.torch.schema import TorchConfig
from runner.config.bind import field_infos, instead_of, section_classes
from runner.training.absent_keys import ABSENT_KEYS


@pytest.mark.parametrize(
    ("key", "words"),
    [
        *((key, "--checkpoint best") for key in ("early_stopping", "earlystop", "patience", "TrainReader.patience")),
        *(
            (key, "several times")
            for key in ("class_weight", "class_weights", "cls_weight", "FCOSLoss.class_weights", "oversample", "sampler")
        ),
        *((key, "side by side") for key in ("processes", "gpus", "num_gpus", "nproc_per_node")),
        *((key, "TrainReader.batch_size") for key in ("batch_size", "batch", "batchsize")),
        *((key, "max_iters") for key in ("steps", "max_steps", "max_iter", "iterations")),
        ("lr", "LearningRate.base_lr"),
        ("optimizer", "OptimizerBuilder.optimizer"),
        ("img_size", "image_size"),
        ("num_workers", "worker_num"),
        ("pretrained", "pretrain_weights"),
    ],
)
def test_a_key_of_another_trainer_leads_on(key: str, words: str) -> None:
    assert words in instead_of(key, ABSENT_KEYS)


@pytest.mark.parametrize("key", ["TrainReader.batchsize", "FCOSHead.lr", "weights", "max_iterss", "epochs", "foo", "optimizer.lr"])
def test_other_keys_keep_the_nearest_name(key: str) -> None:
    assert instead_of(key, ABSENT_KEYS) == ""


def test_every_key_that_a_sentence_names_exists_and_no_pattern_hides_one() -> None:
    sections = {"": TorchConfig, **section_classes(TorchConfig)}
    known = {f"{name}.{info.key}".lstrip(".") for name, cls in sections.items() for info in field_infos(cls)}
    named = [match[1] for text in ABSENT_KEYS.values() for match in re.finditer(r"the key is ([\w.]*\w)", text)]
    assert len(named) >= 8
    for key in named:
        assert key in known or key.rpartition(".")[0] in known, key  # of a union: OptimizerBuilder.optimizer.momentum
    assert [key for key in known if instead_of(key, ABSENT_KEYS)] == []
