"""One attempt after the other at a run, in processes of their own: how each ends, and that going on is exact."""

from __future__ import annotations

import json
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.launch.base import exit_of
from runner.store.media import MediaWriter
from runner.store.run_dir import RunDir
from runner.sweep.runs import conclude

NewRun = Callable[..., RunDir]
LONG: dict[str, Any] = {"max_iters": 30, "snapshot_iter": 7, "log_iter": 1}


def weights(run: RunDir) -> dict[str, Any]:
    """The tensors of the last checkpoint's model."""
    import torch

    state = torch.load(run.checkpoints / "last.pt", weights_only=True)
    model: dict[str, Any] = state["model"]
    return model


def assert_same_result(run: RunDir, other: RunDir) -> None:
    """Bit-identical weights, the same numbers, the same predictions."""
    import torch

    mine, theirs = weights(run), weights(other)
    assert mine.keys() == theirs.keys() and len(mine) > 20
    assert all(torch.equal(mine[key], theirs[key]) for key in mine)
    assert json.loads(run.predictions.read_bytes()) == json.loads(other.predictions.read_bytes())
    mine_results, their_results = run.results(), other.results()
    assert mine_results is not None and their_results is not None and mine_results["metrics"] == their_results["metrics"]
    assert losses(run) == losses(other)


def losses(run: RunDir) -> dict[int, float]:
    return {record.step: record.values["train/loss"] for record in run.records() if "train/loss" in record.values}


def assert_no_step_twice(run: RunDir) -> None:
    """Each tag has each step once, in order."""
    counts = Counter((tag, record.step) for record in run.records() for tag in record.values)
    assert [key for key, count in counts.items() if count > 1] == []
    steps = [record.step for record in run.records()]
    assert steps == sorted(steps)


@pytest.fixture
def undisturbed(work: Any, new_run: NewRun) -> RunDir:
    """The same run as the others here, left alone."""
    run = new_run("undisturbed", **LONG)
    assert work(run) == 0
    return run


def test_a_run_ends_as_done(undisturbed: RunDir) -> None:
    status = undisturbed.status()
    assert (status.state, status.step, status.steps, status.phase, status.reason, status.attempt) == ("done", 30, 30, "ended", None, 1)
    assert list(losses(undisturbed)) == list(range(1, 31)) and undisturbed.override() is None
    results = undisturbed.results()
    assert results is not None and results["step"] == 30
    assert_no_step_twice(undisturbed)


@pytest.mark.slow
def test_sigterm_saves_and_going_on_is_exact(work: Any, new_run: NewRun, undisturbed: RunDir) -> None:
    run = new_run(**LONG)
    took = work.seconds
    codes = [work(run, number=signal.SIGTERM, after_s=took * part) for part in (0.35, 0.3, 0.3)]
    assert 130 in codes and set(codes) <= {0, 130}
    if run.status().state != "done":
        assert run.status().state == "interrupted" and run.status().reason == "asked to stop (SIGTERM)"
        assert work(run) == 0
    assert run.status().attempt >= 2
    assert_no_step_twice(run)
    assert_same_result(run, undisturbed)


def test_sigterm_while_it_starts_leaves_a_run_that_goes_on(work: Any, new_run: NewRun) -> None:
    run = new_run(max_iters=3)
    assert work(run, number=signal.SIGTERM, after_s=0.15) in (130, -signal.SIGTERM)
    assert work(run) == 0
    assert run.status().state == "done"


def test_two_sigints_end_it_at_once(work: Any, new_run: NewRun) -> None:
    run = new_run(max_iters=5000, snapshot_iter=5000)
    assert work(run, number=signal.SIGINT, after_s=1.5, twice=True) == 130
    status = conclude(run, exit_of("x", 130), 0)
    assert status.state in ("failed", "interrupted")  # the second may come when the first has saved already


def test_a_stop_request_and_a_prune_request(work: Any, new_run: NewRun) -> None:
    for action, state in (("stop", "interrupted"), ("prune", "pruned")):
        run = new_run(action, max_iters=5000, snapshot_iter=5000)
        run.request("pause", "of before: does not count")
        import threading

        timer = threading.Timer(1.5, run.request, (action, "the driver's reason"))
        timer.start()
        assert work(run) == 130
        timer.join()
        assert (run.status().state, run.status().reason) == (state, "the driver's reason")
        assert (run.checkpoints / "last.pt").is_file()


def test_an_image_cut_off_is_named(work: Any, new_run: NewRun, coco: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(coco, tmp_path / "broken"))
    image = broken / "images" / "board 03 ü.png"
    image.write_bytes(image.read_bytes()[:90])
    run = new_run(data=broken, max_iters=12)
    assert work(run) == 2
    status = run.status()
    assert status.state == "failed" and "board 03 ü.png" in (status.reason or "")
    assert "Traceback" not in run.log.read_text()


@pytest.mark.parametrize("part", ["metrics.jsonl", "status.json", "checkpoints"])
def test_a_full_disk_or_a_file_in_the_way(work: Any, new_run: NewRun, part: str) -> None:
    run = new_run(max_iters=4)
    if part == "metrics.jsonl":
        run.metrics.write_bytes(b"\n" * (1 << 20))  # as long as a file may be
    elif part == "status.json":
        run.status_file.mkdir()  # no file can take its place
    else:
        run.checkpoints.write_text("a file in its place")
    code = work(run, file_limit=1 << 20) if part == "metrics.jsonl" else work(run)
    if part == "metrics.jsonl":
        status = run.status()
        assert (code, status.state, status.cause) == (74, "interrupted", "disk_full")
        assert "File too large" in (status.reason or "") and "the disk is full" in run.log.read_text()
        return
    assert code in (1, 2)
    if part == "checkpoints":
        assert run.status().state == "failed" and "checkpoints" in (run.status().reason or "")


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [("config.yml", "", "empty file"), ("config.yml", "architecture: FCOS\n", "Dataset: missing"), ("config.yml", "a: [", "invalid YAML")],
)
def test_a_run_directory_that_was_edited(work: Any, new_run: NewRun, file: str, content: str, words: str) -> None:
    run = new_run()
    (run.path / file).write_text(content)
    assert work(run) == 2
    assert run.status().state == "failed" and words in (run.status().reason or "")


def test_a_checkpoint_that_is_damaged_falls_back(work: Any, new_run: NewRun) -> None:
    run = new_run(**{**LONG, "max_iters": 15})
    assert work(run) == 0
    run.status_file.unlink()
    newest = sorted(run.checkpoints.glob("step-*.pt"))[-1]
    newest.write_bytes(newest.read_bytes()[:1000])
    assert work(run) == 0
    assert "resuming from the checkpoint before it" in run.log.read_text() and newest.name in run.log.read_text()
    assert run.status().step == 15
    assert_no_step_twice(run)


def test_samples_and_trackers_of_superseded_steps_go(work: Any, new_run: NewRun) -> None:
    run = new_run(**LONG, eval_at_snapshot=True, trackers=["tensorboard", "visualdl"])
    assert work(run, number=signal.SIGKILL, after_s=1.5) in (0, -signal.SIGKILL)
    media = MediaWriter(run.path)
    for step in (98, 99):  # as if drawn after the last checkpoint
        media.add("image", "samples/0", b"from a future that did not happen", suffix=".png", step=step)
    media.close()
    if run.status().state != "done":
        assert work(run) == 0
        assert [(medium.step, medium.tag) for medium in run.media()] == [(step, "samples/0") for step in (7, 14, 21, 28, 30)]
        assert {path.name for path in (run.path / "media").iterdir()} == {Path(medium.file).name for medium in run.media()}
    assert any(run.tracker("tensorboard").iterdir()) and any(run.tracker("visualdl").iterdir())
    assert_no_step_twice(run)
