"""Schedules that do not end with the training, and those that do."""

from __future__ import annotations

from typing import Any

import pytest

from runner.config.length import length_warnings, schedule_warnings, steps_per_epoch, training_length

WARMUP = {"name": "LinearWarmup", "steps": 10}


def config(decay: dict[str, Any], *, warmup: dict[str, Any] | None = WARMUP, **top: Any) -> dict[str, Any]:
    return {"LearningRate": {"schedulers": [decay, *([warmup] if warmup else [])]}, "TrainReader": {"batch_size": 4}, **top}


COSINE, PIECEWISE = {"name": "CosineDecay"}, {"name": "PiecewiseDecay"}


@pytest.mark.parametrize(
    ("given", "images"),
    [
        (config(COSINE, max_iters=300), None),
        (config(COSINE | {"max_iters": 300}, max_iters=300), None),
        (config(COSINE | {"max_epochs": 96}, epoch=80), None),  # PaddleDetection's ppyoloe
        (config(COSINE | {"max_epochs": 12}, max_iters=300), 100),  # 12 epochs of 25
        (config(COSINE | {"max_epochs": 12}, max_iters=300), None),  # cannot be said
        (config(PIECEWISE | {"milestones": [8, 11]}, epoch=12), None),
        (config(PIECEWISE, epoch=12), None),
        (config(PIECEWISE | {"milestone_iters": [2372, 3261]}, max_iters=3558), None),
        (config(PIECEWISE | {"milestone_iters": [200]}, epoch=12), 100),
        (config(PIECEWISE | {"milestones": [8], "use_warmup": False}, epoch=12, warmup={"name": "LinearWarmup", "steps": 9999}), 100),
        (config({"name": "OneCycleLR"}, epoch=12), None),
        ({"max_iters": 30}, None),
    ],
)
def test_schedules_that_end_with_the_training(given: dict[str, Any], images: int | None) -> None:
    assert schedule_warnings(given, images) == []


@pytest.mark.parametrize(
    ("given", "images", "says"),
    [
        (config(COSINE, epoch=3), None, "the cosine takes 1000 epochs (PaddleDetection's default) but training ends after 3 epochs"),
        (config(COSINE, epoch=3), 100, "but training ends after 75 iterations = 3 epochs of 100 images"),
        (
            config(COSINE | {"max_iters": 7116}, max_iters=3558),
            None,
            "fallen only 50 % of the way; to make both end together: -o LearningRate.schedulers.0.max_iters=3558",
        ),
        (config(COSINE | {"max_iters": 300}, epoch=3), 100, "the cosine takes 300 iterations = 12 epochs of 100 images but"),
        (
            config(COSINE | {"max_iters": 100}, max_iters=300),
            None,
            "continues to 300 iterations: from there the learning rate stays at its lowest",
        ),
        (config(COSINE | {"max_epochs": 4, "use_warmup": False}, epoch=12, warmup=None), None, "the learning rate rises again"),
        (config(PIECEWISE, epoch=8), None, "does not fall at 8, 11 epochs, because training ends before, after 8 epochs"),
        (config(PIECEWISE | {"milestone_iters": [30, 400]}, max_iters=300), None, "does not fall at 400 iterations"),
        (config(PIECEWISE | {"milestone_iters": [200]}, epoch=3), 100, "does not fall at 200 iterations"),
        (
            config(COSINE, max_iters=300, warmup=WARMUP | {"steps": 500}),
            None,
            "the warm-up takes 500 iterations but training ends after 300",
        ),
        (config(COSINE, max_iters=300, warmup={"name": "LinearWarmup"}), None, "the warm-up takes 500 iterations"),
        (config(COSINE, max_iters=300, warmup=WARMUP | {"epochs": 20}), 100, "the warm-up takes 500 iterations = 20 epochs"),
    ],
)
def test_schedules_that_do_not(given: dict[str, Any], images: int | None, says: str) -> None:
    (found,) = schedule_warnings(given, images)
    assert says in found


def test_a_trial_whose_length_the_schedule_does_not_follow() -> None:
    base, shorter = (config(COSINE | {"max_iters": 300}, max_iters=length) for length in (300, 100))
    (found,) = length_warnings([("baseline", base), ("max_iters=100", shorter), ("max_iters=90", shorter)])
    assert found.startswith("trial max_iters=100: LearningRate.schedulers.0: the cosine takes 300 iterations but")
    assert len(length_warnings([("baseline", shorter), ("lr=1", shorter)])) == 1


@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        ({}, 25),
        ({"TrainReader": {"batch_size": 3}}, 33),
        ({"TrainReader": {"batch_size": 3, "drop_last": False}}, 34),
        ({"gradient_accumulation": 2}, 12),
        ({"processes": 5}, 5),
        ({"TrainDataset": {"repeat": 2}}, 50),
        ({"TrainReader": {"batch_size": 500}}, None),
    ],
)
def test_steps_of_an_epoch(changes: dict[str, Any], steps: int | None) -> None:
    assert steps_per_epoch({**config(COSINE), **changes}, 100) == steps
    assert steps_per_epoch({**config(COSINE), **changes}, None) is None


def test_the_length_in_words() -> None:
    assert str(training_length(config(COSINE, max_iters=300), 96)) == "300 iterations = 12.5 epochs of 96 images"
    assert str(training_length(config(COSINE, epoch=3))) == "3 epochs"
    assert training_length({}) is None
