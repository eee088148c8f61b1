"""Changes between two detectors over their seeds, by hand: boxes gained, lost, confused, moved; false alarms that are new or gone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.detectors import make_truth

from runner.data.coco import load_coco
from runner.evaluation import changes
from runner.evaluation.changes import RunMatch, alarm_changes, change_kinds, false_alarms, side_scores
from runner.evaluation.matching import TruthArrays, detection_arrays, match, truth_arrays

BOX = (10.0, 10.0, 20.0, 20.0)
OTHER = (50.0, 40.0, 20.0, 20.0)
Detection = tuple[int, tuple[float, ...], float]


@pytest.fixture
def truth(tmp_path: Path) -> TruthArrays:
    """One image with a box of each class, and one without any."""
    data = make_truth(tmp_path, {"a.png": [(0, BOX), (1, OTHER)], "b.png": []}, images=False)
    return truth_arrays(load_coco(data / "val.json", data, allow_empty=True, check_images=False))


def run(truth: TruthArrays, *detections: Detection, image: int = 1) -> RunMatch:
    entries: list[Any] = [SimpleNamespace(image_id=image, category_id=label, bbox=box, score=score) for label, box, score in detections]
    found = detection_arrays(entries, {1: 0, 2: 1}, {0: 0, 1: 1})
    return RunMatch(found, match(truth, found, 0.5))


def kinds(truth: TruthArrays, a: Sequence[RunMatch], b: Sequence[RunMatch], threshold: float = 0.3, steady: bool = True) -> list[Any]:
    return change_kinds(side_scores(truth, a), side_scores(truth, b), threshold, steady=steady)


def test_gained_and_lost_by_more_than_half_of_the_seeds(truth: TruthArrays) -> None:
    one, two, both, none = (run(truth, *found) for found in ([(0, BOX, 0.9)], [(1, OTHER, 0.8)], [(0, BOX, 0.9), (1, OTHER, 0.8)], []))
    assert kinds(truth, [none, none, one], [both, both, both]) == [(0, "gained", pytest.approx(2 / 3)), (1, "gained", 1.0)]
    assert kinds(truth, [both, both, both], [two, two, none]) == [(0, "lost", 1.0)]  # the other box: 3 of 3 against 2 of 3
    assert kinds(truth, [both] * 3, [two, two, none], steady=False) == [(0, "lost", 1.0), (1, "lost", pytest.approx(1 / 3))]
    assert kinds(truth, [none, one], [one, one]) == []  # exactly half


def test_a_change_depends_on_the_score(truth: TruthArrays) -> None:
    low, high = run(truth, (0, BOX, 0.4)), run(truth, (0, BOX, 0.8))
    assert kinds(truth, [low] * 2, [high] * 2, 0.3) == []
    assert kinds(truth, [low] * 2, [high] * 2, 0.5) == [(0, "gained", 1.0)]
    assert kinds(truth, [low] * 2, [high] * 2, 0.8) == [(0, "gained", 1.0)]
    assert kinds(truth, [low] * 2, [high] * 2, 0.81) == []


def test_a_lost_box_that_has_another_class_now(truth: TruthArrays) -> None:
    right, wrong = run(truth, (0, BOX, 0.9)), run(truth, (1, BOX, 0.7))
    assert kinds(truth, [right] * 3, [wrong] * 3) == [(0, "confused", 1.0)]
    assert kinds(truth, [right] * 3, [wrong] * 3, 0.8) == [(0, "lost", 1.0)]  # the wrong one has too low a score
    assert kinds(truth, [wrong] * 3, [right] * 3) == [(0, "gained", 1.0)]


def test_a_box_that_both_find_elsewhere_has_moved(truth: TruthArrays) -> None:
    near, far = run(truth, (0, BOX, 0.9)), run(truth, (0, (13.0, 10.0, 20.0, 20.0), 0.9))
    ((box, kind, by),) = kinds(truth, [near] * 2, [far] * 2)
    assert (box, kind, by) == (0, "moved", pytest.approx(1 - 17 / 23, abs=1e-3))
    assert kinds(truth, [near] * 2, [run(truth, (0, (10.5, 10.0, 20.0, 20.0), 0.9))] * 2) == []


def test_false_alarms_of_several_runs_that_overlap_are_one(truth: TruthArrays) -> None:
    place, beside, far = (70.0, 5.0, 20.0, 20.0), (72.0, 5.0, 20.0, 20.0), (5.0, 50.0, 20.0, 20.0)
    a = run(truth, (0, place, 0.5))
    b = [run(truth, (0, beside, 0.9), (0, far, 0.6), (1, place, 0.4)), run(truth, (0, place, 0.7), (0, BOX, 0.9))]
    found = false_alarms([a, *b])
    rows = sorted(zip(found.label.tolist(), found.box.tolist(), found.score.T.tolist(), strict=True))
    assert rows == [
        (0, [5.0, 50.0, 25.0, 70.0], [0.0, 0.6, 0.0]),
        (0, [72.0, 5.0, 92.0, 25.0], [0.5, 0.9, 0.7]),
        (1, [70.0, 5.0, 90.0, 25.0], [0.0, 0.4, 0.0]),
    ]
    assert alarm_changes(found, 1, 0.65, steady=True) == [(found.box[:, 0].tolist().index(72.0), "alarm", 1.0)]
    gone = false_alarms([b[1], a])
    assert [kind for _, kind, _ in alarm_changes(gone, 1, 0.6, steady=True)] == ["gone"]


def test_two_false_alarms_of_one_run_stay_two(truth: TruthArrays) -> None:
    found = false_alarms([run(truth, (0, (70.0, 5.0, 20.0, 20.0), 0.9), (0, (71.0, 5.0, 20.0, 20.0), 0.8))])
    assert found.score.tolist() == [[0.9, 0.8]]


def test_false_alarms_above_a_threshold_do_not_depend_on_lower_scores(truth: TruthArrays) -> None:
    rng = np.random.default_rng(1)

    def detections() -> list[Detection]:
        return [(int(rng.integers(2)), (*map(float, rng.integers(0, 40, 2)), 20.0, 20.0), float(rng.uniform(0.06, 1))) for _ in range(60)]

    made = [detections() for _ in range(4)]
    whole = false_alarms([run(truth, *each, image=2) for each in made])
    for threshold in (0.3, 0.7):
        part = false_alarms([run(truth, *(one for one in each if one[2] >= threshold), image=2) for each in made])
        above = np.where(whole.score >= threshold, whole.score, 0)
        kept = above.max(axis=0) > 0
        assert sorted(map(tuple, above[:, kept].T.tolist())) == sorted(map(tuple, part.score.T.tolist()))


def test_low_scores_and_very_many_false_alarms_are_left_out(truth: TruthArrays, monkeypatch: pytest.MonkeyPatch) -> None:
    one = run(truth, *((0, (5.0 * index, 0.0, 4.0, 4.0), 0.04 + index / 100) for index in range(10)), image=2)
    assert len(false_alarms([one]).label) == 9
    monkeypatch.setattr(changes, "_MOST_FALSE", 3)
    found = false_alarms([one])
    assert (len(found.label), found.floor) == (3, pytest.approx(0.11))


def test_no_boxes_and_no_runs(truth: TruthArrays) -> None:
    assert kinds(truth, [run(truth)], [run(truth)], steady=False) == []
    assert len(false_alarms([run(truth)]).label) == 0
    assert np.isnan(side_scores(truth, [run(truth)]).box).all()
