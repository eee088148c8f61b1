"""How a sweep stands, as another terminal sees it: from its files, at any moment, also after a kill."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support.finished import make_run

from runner.core.errors import InputError
from runner.monitor.overview import Best, Overview, read_runs, read_sweep
from runner.monitor.places import find_places
from runner.monitor.progress import Evaluations, final_value
from runner.store.events import CommandReceived, RunEnded, RunRetried, RunStarted, SweepPaused, SweepResumed, TrialPruned
from runner.store.journal import Journal
from runner.store.records import Record, RecordWriter
from runner.store.run_dir import Override, RunDir, State, Status
from runner.sweep.sweep_dir import SweepDir

METRIC = {"name": "bbox/AP", "goal": "maximize"}


def planned(sweep: Path, names: list[str], metric: Mapping[str, str] = METRIC) -> SweepDir:
    (sweep / "runs").mkdir(parents=True, exist_ok=True)
    runs = [{"id": name, "trial": int(name[:4]), "label": "x", "seed": 0, "key": name, "overrides": {}} for name in names]
    (sweep / "plan.json").write_text(json.dumps({"spec": {"metric": metric}, "runs": runs}))
    return SweepDir(sweep)


def put(run: RunDir, state: State = "running", step: int = 60, attempt: int = 1, **more: Any) -> RunDir:
    run.path.mkdir(parents=True, exist_ok=True)
    status = {"heartbeat": time.time(), "pid": os.getpid(), "phase": "training", **more}
    run.write_status(Status(state, attempt=attempt, step=step, steps=300, **status))
    return run


def end(journal: Journal, name: str, state: State, ap: float | None = None, **more: Any) -> None:
    values = None if ap is None else {"bbox/AP": ap}
    journal.append(RunEnded(name, int(name[:4]), 0, name, state, values=values, time_s=1.0, spent_s=1.0, **more))


def start(journal: Journal, name: str, attempt: int = 1) -> None:
    journal.append(RunStarted(name, int(name[:4]), 0, name, attempt))


@pytest.fixture
def gone() -> int:
    """Number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_sweep_that_runs(tmp_path: Path) -> None:
    names = [f"{number:04d}-lr={number}-s0" for number in range(9)]
    sweep = planned(tmp_path / "größe 'x'", names)
    journal = Journal(sweep.journal)
    for name in names[:7]:
        start(journal, name)
    make_run(sweep.path, name=names[0], ap=0.4)
    end(journal, names[0], "done", 0.4)
    make_run(sweep.path, name=names[1], ap=0.5)
    end(journal, names[1], "done", 0.5)
    running = put(RunDir(sweep.runs / names[2]))
    writer = RecordWriter(running.metrics)
    for step in range(10, 70, 10):
        writer.write(Record(1, step, 1.0, 1000.0 + 2 * step + 3600 * (step > 30), {"train/loss": 1.0}))  # the clock was set meanwhile
    writer.write(Record(1, 60, 1.0, 4721.0, {"bbox/AP": 0.2}, kind="evaluation"))
    writer.close()
    for index, gigabytes in ((3, 7), (4, 9)):
        reason = f"the GPU has no room for {gigabytes} GiB more; log: {names[index]}/worker.log"
        put(RunDir(sweep.runs / names[index]), "failed", reason=reason, cause="out_of_memory")
        end(journal, names[index], "failed", reason=reason, cause="out_of_memory")
    put(RunDir(sweep.runs / names[5]), "failed", reason="the loss is nan", cause="not_finite")
    end(journal, names[5], "failed")
    journal.close()
    (sweep.runs / names[6]).mkdir()  # its worker has not written anything yet
    overview = read_sweep(sweep, driven=True)
    assert overview.counts == {"done": 2, "running": 2, "waiting": 2, "failed": 1, "infeasible": 2}
    assert overview.waiting == names[7:]
    assert overview.best == Best("0001-lr=1", "bbox/AP", 0.5, 1)
    assert [run.name for run in overview.running] == [names[2], names[6]]
    first = overview.running[0]
    assert first.value == 0.2 and first.left_s == pytest.approx(480) and first.silent_s is None
    told = [(failure.standing, failure.cause, len(failure.runs)) for failure in overview.failures]
    assert told == [("failed", "not_finite", 1), ("infeasible", "out_of_memory", 2)]
    assert "7 GiB" in overview.failures[1].reason
    assert isinstance(last := overview.events[-1], RunEnded) and last.run == names[5]
    json.dumps(overview.to_json(), allow_nan=False)


def test_after_a_kill_nothing_is_said_to_run(tmp_path: Path, gone: int) -> None:
    names = [f"{number:04d}-a-s0" for number in range(3)]
    sweep = planned(tmp_path / "sweep", names)
    journal = Journal(sweep.journal)
    for name in names[:2]:
        start(journal, name)
        put(RunDir(sweep.runs / name), pid=gone, heartbeat=time.time() - 5)
    journal.close()
    overview = read_sweep(sweep, driven=False)
    assert overview.counts == {"waiting": 1, "interrupted": 2}
    (failure,) = overview.failures
    assert failure.runs == tuple(names[:2]) and "cut off" in failure.reason
    put(RunDir(sweep.runs / names[0]))  # `runner train -r` of one of them
    assert read_sweep(sweep, driven=False).counts == {"running": 1, "waiting": 1, "interrupted": 1}


def test_a_paused_sweep_says_so(tmp_path: Path) -> None:
    sweep = planned(tmp_path / "sweep", ["0000-a-s0", "0001-a-s0"])
    journal = Journal(sweep.journal)
    start(journal, "0000-a-s0")
    journal.append(SweepPaused("on request"))
    overview = read_sweep(sweep, driven=True)
    assert overview.paused == "on request" == overview.to_json()["paused"]
    assert "paused: on request; nothing new starts; continue: runner resume" in shown(overview)
    assert read_sweep(sweep, driven=False).paused == ""
    start(journal, "0001-a-s0")  # by the next driver, which is not paused
    assert read_sweep(sweep, driven=True).paused == ""
    journal.append(SweepPaused("on request"))
    journal.append(SweepResumed("on request"))
    journal.close()
    assert read_sweep(sweep, driven=True).paused == ""


def test_a_run_that_waits_for_another_attempt(tmp_path: Path) -> None:
    sweep = planned(tmp_path / "sweep", ["0000-a-s0"])
    run = put(RunDir(sweep.runs / "0000-a-s0"))
    run.write_override(Override("interrupted", "killed by SIGKILL; started again (1 of 2)", 1, 0.0, "crash", 1, final=True))
    journal = Journal(sweep.journal)
    start(journal, run.name)
    journal.append(RunRetried(run.name, 0, "killed by SIGKILL"))
    assert read_sweep(sweep, driven=True).counts == {"interrupted": 1}
    start(journal, run.name, attempt=2)
    journal.close()
    assert read_sweep(sweep, driven=True).counts == {"running": 1}  # it has not written anything yet
    put(run, attempt=2)
    assert read_sweep(sweep, driven=True).counts == {"running": 1}


def test_without_a_journal_or_a_plan_the_runs_tell(tmp_path: Path) -> None:
    for trial, ap in ((0, 0.3), (1, 0.6)):
        for seed in range(2):
            make_run(tmp_path / "sweep", trial, seed, ap=ap + seed / 100, label=f"t{trial}")
    make_run(tmp_path / "sweep", 2, state="pruned", label="t2")
    overview = read_sweep(SweepDir(tmp_path / "sweep"), driven=False)
    assert overview.counts == {"done": 4, "pruned": 1}
    assert overview.best is not None and (overview.best.trial, overview.best.runs) == ("0001-t1", 2)
    assert overview.best.value == pytest.approx(0.605)


def test_a_trial_with_all_seeds_outranks_one_with_some(tmp_path: Path) -> None:
    names = ["0000-a-s0", "0000-a-s1", "0001-b-s0", "0001-b-s1"]
    sweep = planned(tmp_path / "sweep", names, {"name": "bbox/AP", "goal": "minimize"})
    make_run(sweep.path, name=names[2], ap=0.1)
    assert read_sweep(sweep, driven=False).best == Best("0001-b", "bbox/AP", 0.1, 1)
    for name in names[:2]:
        make_run(sweep.path, name=name, ap=0.3)
    assert read_sweep(sweep, driven=False).best == Best("0000-a", "bbox/AP", 0.3, 2)


def test_a_run_whose_directory_was_deleted_waits(tmp_path: Path) -> None:
    sweep = planned(tmp_path / "sweep", ["0000-a-s0"])
    journal = Journal(sweep.journal)
    end(journal, "0000-a-s0", "done", 0.4)
    journal.close()
    assert read_sweep(sweep, driven=False).counts == {"waiting": 1}


def test_thousands_of_runs_are_told_by_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{number:04d}-lr={number}-s0" for number in range(3000)]
    sweep = planned(tmp_path / "sweep", names)
    journal = Journal(sweep.journal)
    for number, name in enumerate(names):
        (sweep.runs / name).mkdir()
        start(journal, name)
        if number != 7:
            end(journal, name, "done", number / 3000)
    journal.close()
    put(RunDir(sweep.runs / names[7]))
    read: list[str] = []
    original = RunDir.status
    monkeypatch.setattr(RunDir, "status", lambda self: (read.append(self.name), original(self))[1])
    overview = read_sweep(sweep, driven=True)
    assert overview.counts == {"done": 2999, "running": 1} and read == [names[7]]
    assert overview.best is not None and overview.best.trial == "2999-lr=2999"


def test_files_cut_off_or_spoilt_anywhere_are_no_problem(tmp_path: Path) -> None:
    names = ["0000-a-s0", "0001-b-s0", "0002-c-s0"]
    sweep = planned(tmp_path / "sweep", names)
    journal = Journal(sweep.journal)
    for name in names[:2]:
        start(journal, name)
    make_run(sweep.path, name=names[0])
    end(journal, names[0], "done", 0.4)
    journal.close()
    run = put(RunDir(sweep.runs / names[1]))
    run.write_override(Override("failed", "killed", 1, 0.0, "crash"))
    numbers = random.Random(20261121)
    files = [sweep.plan_file, sweep.journal, run.status_file, run.override_file, RunDir(sweep.runs / names[0]).metrics]
    looks = 0
    for file in files:
        whole = file.read_bytes()
        for cut in sorted({0, 1, len(whole) - 1, *(numbers.randrange(len(whole)) for _ in range(12))}):
            for text in (whole[:cut], whole[:cut] + b"\xff" + whole[cut:], whole[:cut] + b"[1]\n{}\n" + whole[cut:]):
                file.write_bytes(text)
                overview = read_sweep(sweep, driven=bool(looks % 2))
                assert sum(overview.counts.values()) >= 2
                json.dumps(overview.to_json(), allow_nan=False)
                looks += 1
        file.write_bytes(whole)
    assert looks >= 150
    for text in ("[]", '{"runs": 3}', '{"runs": [3, {"id": "0000-a-s0"}], "spec": {"metric": [3]}}'):
        sweep.plan_file.write_text(text)
        assert sum(read_sweep(sweep, driven=True).counts.values()) == 2


def test_events_of_another_version(tmp_path: Path) -> None:
    sweep = planned(tmp_path / "sweep", ["0000-a-s0"])
    make_run(sweep.path, name="0000-a-s0", ap=0.4)
    lines = [
        {"event": "end", "run": "0000-a-s0", "state": "done", "values": [1]},
        {"event": "dawn", "run": 7},
        {"event": "start", "run": ["x"]},
    ]
    sweep.journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert read_sweep(sweep, driven=True).best == Best("0000-a", "bbox/AP", 0.4, 1)


def test_places(tmp_path: Path) -> None:
    sweep = planned(tmp_path / "runs" / "sweep", ["0000-a-s0"])
    make_run(sweep.path, name="0000-a-s0")
    alone = make_run(tmp_path / "runs" / "deep", name="0001-b-s0")
    direct = tmp_path / "runs" / "direct"
    alone.path.rename(direct)
    make_run(tmp_path / "runs" / "deep", name="0002-c-s0")
    found = [(path.relative_to(tmp_path).as_posix(), [run.name for run in runs]) for path, runs in find_places(tmp_path)]
    assert found == [("runs", ["direct"]), ("runs/deep/runs", ["0002-c-s0"]), ("runs/sweep", [])]
    ((path, runs),) = find_places(direct)
    assert read_runs(path, runs).counts == {"done": 1}
    ((path, runs),) = find_places(sweep.path)
    assert (path, runs) == (sweep.path, [])


def test_a_place_without_runs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path, why in (
        (tmp_path, "neither a sweep nor a run"),
        (tmp_path / "file", "is a file"),
        (tmp_path / "no", "no such directory"),
    ):
        with pytest.raises(InputError, match=why):
            list(find_places(path))


def test_the_final_value_is_the_last_that_counts(tmp_path: Path) -> None:
    run = make_run(tmp_path, ap=0.41, evaluations=[(100, 0.1), (200, 0.2)])
    assert final_value(run.metrics, "bbox/AP") == 0.41
    assert final_value(run.metrics, "bbox/APs") is None and final_value(tmp_path / "none", "bbox/AP") is None
    assert Evaluations(run.metrics, "bbox/AP").newest() == 0.41


def test_nothing_is_no_overview() -> None:
    assert Overview(Path("x"), True, "bbox/AP").to_json()["runs"] == {}


def test_runs_that_hardly_learned_are_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ended or going, with or without a journal; in the order of the seeds."""
    for seed in (0, 2, 10):
        make_run(tmp_path / "sw", 0, seed, box_loss=(0.8, 0.35 if seed == 0 else 0.62))
    sweep = planned(tmp_path / "sw", [])
    marked = [("0000-baseline-s2", "loss_box 0.8 → 0.62"), ("0000-baseline-s10", "loss_box 0.8 → 0.62")]
    assert read_sweep(sweep, driven=False).unlearned == marked
    journal = Journal(sweep.journal)
    for name in sweep.run_names():
        end(journal, name, "done", 0.4)
    journal.close()
    put(make_run(tmp_path / "sw", 0, 11, state="pending"), step=200)
    found = read_sweep(sweep, driven=True)
    assert found.unlearned == marked and found.unjudged == 0
    assert found.to_json()["hardly_learned"] == [{"run": name, "what": what} for name, what in marked]
    text = shown(found)
    assert "hardly learned:\n  0000-baseline-s2: loss_box 0.8 → 0.62\n  0000-baseline-s10: loss_box" in text
    monkeypatch.setattr("runner.monitor.overview._MOST_JUDGED", 2)
    found = read_sweep(sweep, driven=True)
    assert found.unlearned == marked[:1] and found.unjudged > 0 and "not judged for learning" in shown(found)


def shown(overview: Overview) -> str:
    """What `runner status` prints of it."""
    from rich.console import Console  # noqa: PLC0415

    from runner.views.status import render_status  # noqa: PLC0415

    console = Console(width=200)
    with console.capture() as capture:
        console.print(render_status(overview))
    return capture.get()


def test_what_was_stopped_on_request_counts_as_pruned(tmp_path: Path) -> None:
    """Also where it has no directory yet, and where the driver ended before it could record the end of a run."""
    names = [f"{number:04d}-x-s0" for number in range(5)]
    sweep = planned(tmp_path / "sweep", names)
    put(RunDir(sweep.runs / names[0]), "interrupted")
    put(RunDir(sweep.runs / names[4]), "pruned")
    journal = Journal(sweep.journal)
    for number in (0, 1, 4):
        journal.append(TrialPruned(number, "stopped on request" if number < 4 else "below the median"))
    for target in ("0", "1", names[2]):
        journal.append(CommandReceived("stop", target))
    journal.close()
    overview = read_sweep(sweep, driven=False)
    assert overview.counts == {"waiting": 1, "pruned": 4} and overview.waiting == [names[3]]
    assert overview.stopped == names[:3] == overview.to_json()["stopped"]


def test_a_directory_without_a_run_json_that_nothing_planned_is_no_run(tmp_path: Path) -> None:
    sweep = tmp_path / "s"
    make_run(sweep)
    (sweep / "runs" / "junk").mkdir()
    assert read_sweep(planned(sweep, ["0000-baseline-s0"]), driven=False).counts == {"done": 1}
