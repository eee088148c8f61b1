"""`auto` of the batch size, which is measured, and of the learning rate, which follows from it."""

from __future__ import annotations

import pytest
from support.resolving import WriteConfig, refusal

from runner.backends.base import BatchSizeChoice
from runner.resolve import resolve, warnings_of
from runner.resolve.measured import scaled_rate
from runner.sweep.plan import run_key

AUTO = ["TrainReader.batch_size=auto"]
RATE = ["LearningRate.base_lr=auto", "LearningRate.reference={batch_size: 16, base_lr: 0.04}"]


def test_a_batch_size_stays_auto_until_it_is_measured(write_config: WriteConfig) -> None:
    path = write_config()
    before = resolve(path, [*AUTO, *RATE])
    assert before.unmeasured == ("TrainReader.batch_size", "LearningRate.base_lr")
    assert before.plain["TrainReader"]["batch_size"] == before.plain["LearningRate"]["base_lr"] == "auto"
    assert "TrainReader.batch_size: auto is measured when training starts" in before.notes
    warnings_of(before)  # what needs the number is left out
    after = resolve(path, [*AUTO, *RATE], batch_size=BatchSizeChoice(4, "of 1, 2, 4 the fastest"))
    assert after.unmeasured == () and after.config.train_reader.batch_size == 4 and after.config.learning_rate.base_lr == 0.01
    assert "TrainReader.batch_size: auto is 4 (of 1, 2, 4 the fastest)" in after.notes
    assert "LearningRate.base_lr: auto is 0.01 for 4 images per step" in after.notes
    assert run_key(after) == run_key(resolve(path, ["TrainReader.batch_size=4", "LearningRate.base_lr=0.01"]))
    path.write_text(after.yaml)
    assert run_key(resolve(path)) == run_key(after), "its own config.yml repeats the run"


@pytest.mark.parametrize(
    ("overrides", "rate"),
    [
        ([], 0.005),
        (["LearningRate.scaling=sqrt"], 0.01414213562),
        (["gradient_accumulation=4"], 0.02),
        (["TrainReader.batch_size=4"], 0.01),
    ],
)
def test_the_rate_follows_the_images_of_a_step(write_config: WriteConfig, overrides: list[str], rate: float) -> None:
    found = resolve(write_config(), ["TrainReader.batch_size=2", *RATE, *overrides]).config.learning_rate.base_lr
    assert found == pytest.approx(rate)


def test_scaling() -> None:
    assert scaled_rate(0.1, 4, "linear") == 0.4 and scaled_rate(0.1, 4, "sqrt") == 0.2


def test_a_rate_without_a_reference(write_config: WriteConfig) -> None:
    (message,) = refusal(write_config(), ["LearningRate.base_lr=auto"])
    assert "base_lr: auto needs a rate to start from: set LearningRate.reference" in message
