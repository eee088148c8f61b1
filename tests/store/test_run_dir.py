"""The run directory's readers at any moment, and which of status and override counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runner.store.run_dir import FINISHED, Identity, Override, RunDir, Status, find_runs

IDENTITY = Identity("0001-a=1-s0", "sweep", 1, 0, {"a": 1}, "k" * 20, {"host": "here"})


@pytest.fixture(params=["run", "a b 'q\" ü 板"])
def run(tmp_path: Path, request: pytest.FixtureRequest) -> RunDir:
    path = tmp_path / str(request.param)
    path.mkdir()
    return RunDir(path)


def test_an_empty_or_missing_directory_answers_everything(tmp_path: Path) -> None:
    for run in (RunDir(tmp_path), RunDir(tmp_path / "missing")):
        assert not run.exists()
        assert (run.identity(), run.override(), run.results(), run.records()) == (None, None, None, [])
        assert run.status() == Status()
        assert list(find_runs([run.path])) == []
    assert not (tmp_path / "missing").exists()  # and looking made nothing


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"3", b'{"unknown": 1}', b"\xff\xfe"])
def test_files_that_are_not_whole(run: RunDir, content: bytes) -> None:
    for file in (run.identity_file, run.status_file, run.override_file, run.evaluation, run.metrics):
        file.write_bytes(content)
    assert run.status() == Status() and run.identity() is None and run.override() is None and run.records() == []
    assert run.results() in (None, {"unknown": 1})


def test_what_is_written_comes_back(run: RunDir) -> None:
    status = Status("running", None, 2, 10, 20, 0.5, 123.0, 7, {"train/loss": "NaN"}, "training")
    override = Override("interrupted", "killed", 1, 5.0)
    run.write_identity(IDENTITY)
    run.write_status(status)
    run.write_override(override)
    assert (run.identity(), run.status(), run.override()) == (IDENTITY, status, override)
    assert run.exists() and [found.path for found in find_runs([run.path.parent, run.path])] == [run.path]


def test_keys_of_a_newer_version_are_passed_over(run: RunDir) -> None:
    run.write_status(Status("done", attempt=1))
    run.status_file.write_text(json.dumps({**json.loads(run.status_file.read_text()), "new": 1}))
    assert run.status().state == "done"


@pytest.mark.parametrize(
    ("status", "override", "state", "attempt"),
    [
        (Status("running", attempt=1), Override("interrupted", "killed", 1, 0), "interrupted", 1),
        (Status("running", attempt=2), Override("interrupted", "killed", 1, 0), "running", 2),
        (Status("interrupted", attempt=1), Override("failed", "killed at start", 2, 0), "failed", 2),
        (Status(), Override("failed", "could not start", 1, 0), "failed", 1),
        (Status("done", attempt=1), Override("interrupted", "killed", 1, 0), "done", 1),
        (Status("failed", attempt=1), Override("interrupted", "killed", 2, 0), "failed", 1),
    ],
)
def test_an_override_outranks_what_the_attempt_could_not_finish(
    run: RunDir, status: Status, override: Override, state: str, attempt: int
) -> None:
    run.write_status(status)
    run.write_override(override)
    found = run.status()
    assert (found.state, found.attempt) == (state, attempt)
    assert found.reason == (None if found.state in (*FINISHED, "running") and found.state == status.state else override.reason)


def test_an_attempt_killed_before_its_first_word_does_not_speak_for_the_next(run: RunDir) -> None:
    run.write_status(Status("interrupted", "asked to stop (SIGTERM)", attempt=1))
    run.write_override(Override("interrupted", "killed while it started", 2, 0))  # of an attempt that wrote no status
    run.write_status(Status("running", attempt=run.status().attempt + 1))  # as the next attempt does
    assert (run.status().state, run.status().attempt) == ("running", 3)


def test_requests_are_lines(run: RunDir) -> None:
    run.request("stop", "é\nnew line")
    run.request("prune", "worse")
    lines = [json.loads(line) for line in run.control.read_text(encoding="utf-8").splitlines()]
    assert [(line["action"], line["reason"]) for line in lines] == [("stop", "é\nnew line"), ("prune", "worse")]


def test_find_runs_in_the_order_of_names_and_once(tmp_path: Path) -> None:
    for name in ("b/0002-x-s0", "b/0001-x-s1", "a"):
        (tmp_path / name).mkdir(parents=True)
        RunDir(tmp_path / name).write_identity(IDENTITY)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    found = list(find_runs([tmp_path, tmp_path / "b", tmp_path / "link", tmp_path / "a"]))
    assert [run.path.relative_to(tmp_path).as_posix() for run in found] == ["a", "b/0001-x-s1", "b/0002-x-s0"]
