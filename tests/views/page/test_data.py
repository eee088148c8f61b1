"""Runs as the page reads them, once and while they change."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from runner.core.errors import InputError
from runner.results.collect import collect
from runner.store.records import Record, RecordWriter
from runner.store.run_dir import Status
from runner.sweep.session_results import read_report
from runner.views.page import live
from runner.views.page.data import SnapshotData
from runner.views.page.live import LiveData
from runner.views.renderers.base import Report
from tests.support.finished import START, make_run
from tests.support.many_runs import make_sweep

pytestmark = pytest.mark.usefixtures("cache_folder")
WAIT_S = 20.0


def no_report(roots: Sequence[Path], metric: str | None = None, **options: Any) -> Report:
    raise InputError("no report")


Open = Callable[..., LiveData]


@pytest.fixture
def open_live(monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Open `LiveData` that looks often, and close it at the end."""
    monkeypatch.setattr(live, "INTERVAL_S", 0.02)
    monkeypatch.setattr(live, "REPORT_INTERVAL_S", 0.05)
    opened = []

    def open_(*roots: Path, read_report: Callable[..., Report] = no_report) -> LiveData:
        opened.append(LiveData(roots, read_report))
        return opened[-1]

    yield open_
    for data in opened:
        data.close()


def eventually(condition: Callable[[], object]) -> None:
    """Wait until `condition` holds."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.01)


def problems(data: LiveData) -> dict[str, str]:
    return {run.result.path.name: run.result.problem for run in data.runs().values() if run.result.problem}


def tree_hash(folder: Path) -> str:
    """Hash names, kinds, times of change and contents below `folder`."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        state = path.lstat()
        digest.update(f"{path.relative_to(folder)} {state.st_mode} {state.st_mtime_ns} {state.st_ino}\n".encode())
        if path.is_file() and not path.is_symlink():
            digest.update(path.read_bytes())
    return digest.hexdigest()


def test_live_and_snapshot_say_what_collect_says(tmp_path: Path, open_live: Open) -> None:
    sweep = make_sweep(tmp_path, 3, 2, records=24)
    make_run(sweep, 3, 0, label="lr=0.5", state="failed", reason="out of memory", overrides={"parameters.lr": 0.5})
    expected = {run.path: run for run in collect([sweep])}
    assert len(expected) == 7
    data = open_live(sweep)
    for run in data.runs().values():
        whole = expected[run.result.path]
        assert {name: getattr(run.result, name) for name in whole.__slots__ if name != "config"} == {
            name: getattr(whole, name) for name in whole.__slots__ if name != "config"
        }
    snapshot = SnapshotData([sweep], no_report)
    assert {run.id: run.result.path for run in snapshot.runs().values()} == {run.id: run.result.path for run in data.runs().values()}
    assert [trial.label for trial in data.trials().values()] == ["baseline", "lr=0.001", "lr=0.002", "lr=0.5"]
    assert [trial.is_baseline for trial in data.trials().values()] == [True, False, False, False]


def test_a_new_run_appears_and_ids_stay(tmp_path: Path, open_live: Open) -> None:
    make_run(tmp_path / "s", 1, 0, label="b=2", overrides={"b": 2})
    data = open_live(tmp_path / "s")
    (first,) = data.runs().values()
    revision = data.revision
    make_run(tmp_path / "s", 0, 0)
    eventually(lambda: data.revision > revision)
    eventually(lambda: len(data.runs()) == 2)
    assert data.runs()[first.id].result.path == first.result.path
    assert data.trials()[first.trial].label == "b=2"
    assert next(iter(data.trials().values())).number == 0
    shutil.rmtree(first.result.path)
    eventually(lambda: len(data.runs()) == 1)
    (left,) = data.runs().values()
    assert left.id != first.id


def test_a_running_run_is_followed(tmp_path: Path, open_live: Open) -> None:
    run = make_run(tmp_path / "s", 0, 0, state="running", step=100, ap=None)
    status = Status("running", None, 1, 100, 300, pid=os.getpid(), heartbeat=time.time(), host="another-machine")
    run.write_status(status)
    data = open_live(tmp_path / "s")
    (known,) = data.runs().values()
    assert (known.result.state, known.result.evaluations) == ("running", [])
    writer = RecordWriter(run.metrics)
    writer.write(Record(1, 120, 2.0, START + 30, {"bbox/AP": 0.25}, kind="evaluation"))
    writer.close()
    eventually(lambda: data.runs()[known.id].result.latest("bbox/AP") == 0.25)


def test_replaced_shrunk_and_rewritten_files_are_read_again(tmp_path: Path, open_live: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path / "s", 0, 0, ap=0.4)
    data = open_live(tmp_path / "s")
    eventually(lambda: data.runs()["r0"].result.metrics["bbox/AP"] == 0.4)
    replacement = run.path / "new.json"
    replacement.write_text(json.dumps({"metrics": {"bbox/AP": 0.7}}), encoding="utf-8")
    os.replace(replacement, run.evaluation)
    eventually(lambda: data.runs()["r0"].result.metrics["bbox/AP"] == 0.7)
    os.truncate(run.metrics, run.metrics.stat().st_size // 2)  # in place: only the slow round sees it
    eventually(lambda: len(data.runs()["r0"].result.evaluations) == 0)


def test_a_damaged_run_is_listed_with_its_problem(tmp_path: Path, open_live: Open) -> None:
    sweep = tmp_path / "s"
    torn, fifo, empty, linked, whole = (make_run(sweep, trial, 0, label=f"b={trial}") for trial in range(5))
    text = torn.identity_file.read_bytes()
    torn.identity_file.write_bytes(text[: len(text) // 2])
    fifo.metrics.unlink()
    os.mkfifo(fifo.metrics)
    fifo.evaluation.unlink()
    os.mkfifo(fifo.evaluation)
    empty.evaluation.write_bytes(b"")
    secret = tmp_path / "secret.json"
    secret.write_text(json.dumps({"metrics": {"bbox/AP": 0.99}}), encoding="utf-8")
    linked.evaluation.unlink()
    linked.evaluation.symlink_to(secret)
    data = open_live(sweep)
    found = problems(data)
    assert whole.path.name not in found
    assert "run.json is damaged" in found[torn.path.name]
    assert "eval.json is damaged" in found[fifo.path.name]
    assert "eval.json is damaged" in found[empty.path.name]
    assert found[linked.path.name] == "eval.json is a link to outside of the folder; it is not followed"
    assert not any(0.99 in run.result.metrics.values() for run in data.runs().values())
    assert len(data.runs()) == 5


@pytest.mark.parametrize("name", ["run.json", "status.json", "eval.json", "metrics.jsonl"])
def test_a_file_torn_anywhere_leaves_the_others(name: str, tmp_path: Path, open_live: Open) -> None:
    sweep = tmp_path / "s"
    make_run(sweep, 0, 0)
    text = (make_run(sweep, 1, 0, label="b=1").path / name).read_bytes()
    cuts = range(0, len(text), max(1, len(text) // 12))
    for index, cut in enumerate(cuts, 2):
        (make_run(sweep, index, 0, label=f"b={index}").path / name).write_bytes(text[:cut])
    data = open_live(sweep)
    expected = {run.path: (run.state, run.metrics, run.problem) for run in collect([sweep])}
    assert {run.result.path: (run.result.state, run.result.metrics, run.result.problem) for run in data.runs().values()} == expected
    assert len(expected) == len(cuts) + 2


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may read everything")
def test_without_permission_a_run_is_listed(tmp_path: Path, open_live: Open) -> None:
    run = make_run(tmp_path / "s", 0, 0)
    run.identity_file.chmod(0)
    assert "cannot be read: Permission denied" in problems(open_live(tmp_path / "s"))[run.path.name]


def test_a_refused_file_is_a_problem_and_no_end(tmp_path: Path, open_live: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path / "s", 0, 0)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(run.identity_file))

    monkeypatch.setattr("runner.views.page.facts.read_run", refuse)
    assert problems(open_live(tmp_path / "s")) == {run.path.name: "cannot be read: Permission denied"}


def test_a_folder_that_is_a_link_is_not_entered(tmp_path: Path, open_live: Open) -> None:
    make_run(tmp_path / "outside", 0, 0)
    make_run(tmp_path / "s", 0, 0)
    (tmp_path / "s" / "runs" / "link").symlink_to(tmp_path / "outside" / "runs", target_is_directory=True)
    assert len(open_live(tmp_path / "s").runs()) == 1


def test_planned_runs_are_counted_before_they_begin(tmp_path: Path, open_live: Open) -> None:
    sweep = make_sweep(tmp_path, 2, 3, records=24)
    for name in ("0000-baseline-s2", "0001-lr=0.001-s0", "0001-lr=0.001-s1", "0001-lr=0.001-s2"):
        shutil.rmtree(sweep / "runs" / name)
    data = open_live(sweep)
    waiting = {trial.label: (len(trial.runs), trial.waiting) for trial in data.trials().values()}
    assert waiting == {"baseline": (2, 1), "lr=0.001": (0, 3)}
    assert data.trials()["t1"].overrides == {"parameters.lr": 0.001}
    make_run(sweep, 1, 0, label="lr=0.001", overrides={"parameters.lr": 0.001})
    eventually(lambda: len(data.trials()["t1"].runs) == 1)
    assert data.trials()["t1"].waiting == 2


def test_a_sweep_that_has_not_begun_is_shown_and_an_empty_folder_is_not(tmp_path: Path, open_live: Open) -> None:
    sweep = make_sweep(tmp_path, 2, 1, records=24)
    shutil.rmtree(sweep / "runs")
    data = open_live(sweep)
    assert not data.runs()
    assert sum(trial.waiting for trial in data.trials().values()) == 2
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no run in"):
        LiveData([tmp_path / "empty"], no_report)
    with pytest.raises(InputError, match="no such directory"):
        LiveData([tmp_path / "missing"], no_report)


def test_nothing_below_the_runs_changes(tmp_path: Path, open_live: Open) -> None:
    sweep = make_sweep(tmp_path, 3, 2, records=24)
    make_run(sweep, 3, 0, label="lr=0.5", state="running", ap=None)
    before = tree_hash(tmp_path)
    data = open_live(sweep)
    assert len(data.runs()) == 7
    time.sleep(0.3)
    data.close()
    assert tree_hash(tmp_path) == before


def test_the_report_is_computed_again_after_a_run_has_ended(tmp_path: Path, open_live: Open) -> None:
    calls = []

    def read_report(roots: Sequence[Path], metric: str | None = None, **options: Any) -> Report:
        calls.append(len(collect(roots)))
        raise InputError(f"call {len(calls)}")

    make_run(tmp_path / "s", 0, 0)
    data = open_live(tmp_path / "s", read_report=read_report)
    eventually(lambda: data.problem() == "call 1")
    make_run(tmp_path / "s", 0, 1)
    eventually(lambda: calls[-1] == 2 and data.problem() == f"call {len(calls)}")


def test_another_report_is_kept_until_a_run_has_ended(tmp_path: Path, open_live: Open) -> None:
    calls = []

    def counting(roots: Sequence[Path], metric: str | None = None, *, against: int | None = None, **options: Any) -> Report:
        calls.append((metric, against))
        return read_report(roots, metric, against=against, **options)

    make_run(tmp_path / "s", 0, 0)
    make_run(tmp_path / "s", 1, 0, label="lr=0.004", base_lr=0.004)
    data = open_live(tmp_path / "s", read_report=counting)
    eventually(lambda: data.report() is not None)
    first = data.other_report("bbox/AP50", 1)
    assert data.other_report("bbox/AP50", 1) is first
    assert calls == [(None, None), ("bbox/AP50", 1)]
    make_run(tmp_path / "s", 1, 1, label="lr=0.004", base_lr=0.004)
    eventually(lambda: data.other_report("bbox/AP50", 1) is not first)


def test_a_report_that_fails_unexpectedly_leaves_the_page(tmp_path: Path, open_live: Open) -> None:
    def read_report(roots: Sequence[Path], metric: str | None = None, **options: Any) -> Report:
        raise ZeroDivisionError("division by zero")

    make_run(tmp_path / "s", 0, 0)
    data = open_live(tmp_path / "s", read_report=read_report)
    eventually(lambda: data.problem() == "the report cannot be computed: ZeroDivisionError: division by zero")
    assert len(data.runs()) == 1


def test_closing_ends_the_watching(tmp_path: Path, open_live: Open) -> None:
    make_run(tmp_path / "s", 0, 0)
    data = open_live(tmp_path / "s")
    eventually(lambda: data.problem() == "no report")
    before = {thread for thread in threading.enumerate() if thread.name == "page-watch"}
    data.close()
    assert [thread.is_alive() for thread in before].count(False) == 1 and len(data.runs()) == 1
