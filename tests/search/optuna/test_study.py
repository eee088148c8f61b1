"""study.db: what a viewer of Optuna's sees while a sweep runs, and what happens to the file."""

import shutil
import sqlite3
from pathlib import Path

import optuna
import pytest

from runner.search.base import IntermediateResult, Trial, TrialResult
from runner.search.optuna.search import OptunaSearch
from runner.search.spec import Budget, Component, Metric, Span, SweepSpec

AP = "bbox/AP"
SPEC = SweepSpec(
    config="x.yml",
    design="optuna",
    space={"lr": Span(low=1e-4, high=1e-1, log=True), "optimizer": ("Momentum", "AdamW")},
    sampler=Component(name="TPESampler"),
    pruner=Component(name="ThresholdPruner", arguments={"lower": 0.2}),
    budget=Budget(runs=20),
    metric=Metric(name=AP),
    constraints=("resource/memory_gib <= 8",),
)
BASELINE = {"lr": 0.01, "optimizer": "Momentum"}


def make(folder: Path) -> OptunaSearch:
    search = OptunaSearch(SPEC, BASELINE.__getitem__, folder)
    assert search._live.mirror is not None
    search._live.mirror.clock = lambda: 0.0  # however slow the machine is, nothing takes long
    return search


def ask(search: OptunaSearch) -> Trial:
    trial = search.ask()
    assert isinstance(trial, Trial)
    return trial


def done(value: float) -> TrialResult:
    return TrialResult("done", {0: {AP: value, "resource/memory_gib": 3.0}}, {0: [(100, {AP: value})]})


def load(folder: Path) -> list[optuna.trial.FrozenTrial]:
    storage = optuna.storages.RDBStorage(f"sqlite:///{folder / 'study.db'}")
    try:
        return optuna.load_study(study_name=None, storage=storage).get_trials()
    finally:
        storage.engine.dispose()


def shown(folder: Path) -> list[tuple[str, float | None, dict[int, float]]]:
    return [(trial.state.name, trial.value, trial.intermediate_values) for trial in load(folder)]


def some_trials(folder: Path) -> tuple[OptunaSearch, list[Trial]]:
    """Four trials: done, pruned, failed, running."""
    search = make(folder)
    trials = [ask(search) for _ in range(4)]
    search.tell(trials[0], done(0.5))
    search.report(trials[1], IntermediateResult(0, 100, 400, {AP: 0.3}))
    reason = search.report(trials[1], IntermediateResult(0, 200, 400, {AP: 0.1}))
    assert reason
    search.tell(trials[1], TrialResult("pruned", {}, {}, reason))
    search.tell(trials[2], TrialResult("failed", reason="the loss is nan"))
    search.report(trials[3], IntermediateResult(0, 100, 400, {AP: 0.4}))
    return search, trials


EXPECTED = [
    ("COMPLETE", 0.5, {100: 0.5}),
    ("PRUNED", 0.1, {100: 0.3, 200: 0.1}),
    ("FAIL", None, {}),
    ("RUNNING", None, {100: 0.4}),
]


def retell(search: OptunaSearch, trials: list[Trial]) -> None:
    search.tell(trials[0], done(0.5))
    search.tell(trials[1], TrialResult("pruned", {}, {0: [(100, {AP: 0.3}), (200, {AP: 0.1})]}, "x"))
    search.tell(trials[2], TrialResult("failed", reason="the loss is nan"))
    search.resume(trials[3])


@pytest.fixture
def quiet_optuna() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


@pytest.mark.usefixtures("quiet_optuna")
@pytest.mark.parametrize("name", ["sweep", "a b", "日本 %20", "it's {x} ?y=1#z"])
def test_every_state_is_seen_while_the_sweep_runs(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    _, trials = some_trials(folder)
    shutil.copy(folder / "study.db", tmp_path / "study.db")  # a URL cannot name each of these folders
    assert shown(tmp_path) == EXPECTED
    found = load(tmp_path)
    assert [trial.params for trial in found] == [trial.proposal["params"] for trial in trials]
    assert found[0].constraints == {"resource/memory_gib <= 8": -5.0}
    assert found[0].user_attrs["seeds"] == {"0": 0.5}
    assert found[1].user_attrs["label"] == trials[1].label
    assert found[2].user_attrs["reason"] == "the loss is nan"
    storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path / 'study.db'}")
    study = optuna.load_study(study_name=None, storage=storage)
    assert (study.study_name, study.metric_names) == (name, [AP])
    assert study.best_trial.number == 0
    storage.engine.dispose()


@pytest.mark.usefixtures("quiet_optuna")
@pytest.mark.parametrize("harm", ["deleted", "torn", "empty", "text", "another", "newer"])
def test_a_file_that_is_not_this_study_is_made_anew_from_the_past(tmp_path: Path, harm: str) -> None:
    _, trials = some_trials(tmp_path)
    db = tmp_path / "study.db"
    whole = db.read_bytes()
    if harm == "deleted":
        db.unlink()
    elif harm == "another":
        other = tmp_path / "other"
        other.mkdir()
        ask(make(other))
        shutil.copy(other / "study.db", db)
    elif harm == "newer":  # trials that were drawn, but whose run directories were never written
        trials.pop()
    else:
        db.write_bytes({"torn": whole[: len(whole) // 2], "empty": b"", "text": b"no database at all" * 100}[harm])
    search = make(tmp_path)
    retell(search, trials if harm != "newer" else [*trials, Trial(3, {}, "", proposal={})])
    fourth = ask(search)
    assert fourth.number == 4
    states = shown(tmp_path)
    assert states[:3] == EXPECTED[:3]
    assert [state for state, _, _ in states[3:]] == ["RUNNING", "RUNNING"]


@pytest.mark.usefixtures("quiet_optuna")
def test_a_file_that_is_this_study_is_kept(tmp_path: Path) -> None:
    _, trials = some_trials(tmp_path)
    began = load(tmp_path)[0].datetime_start
    inode = (tmp_path / "study.db").stat().st_ino
    search = make(tmp_path)
    retell(search, trials)
    ask(search)
    assert (tmp_path / "study.db").stat().st_ino == inode
    assert shown(tmp_path) == [*EXPECTED, ("RUNNING", None, {})]
    assert load(tmp_path)[0].datetime_start == began
    assert not list(tmp_path.glob("study.db?*"))


@pytest.mark.usefixtures("quiet_optuna")
def test_a_file_deleted_while_the_sweep_runs_comes_back(tmp_path: Path) -> None:
    search, trials = some_trials(tmp_path)
    (tmp_path / "study.db").unlink()
    search.tell(trials[3], done(0.4))
    assert [state for state, _, _ in shown(tmp_path)] == ["COMPLETE", "PRUNED", "FAIL", "COMPLETE"]


@pytest.mark.usefixtures("quiet_optuna")
def test_a_long_past_is_written_piece_by_piece_and_whole_at_the_end(tmp_path: Path) -> None:
    first = make(tmp_path / "none")
    told = [(trial, done(0.3 + trial.number / 100)) for trial in (ask(first) for _ in range(19))]
    search = make(tmp_path)
    ticks = iter(range(10_000))
    assert search._live.mirror is not None
    search._live.mirror.clock = lambda: float(next(ticks))  # each trial written takes longer than a call may
    for trial, result in told:
        search.tell(trial, result)
    last = ask(search)
    assert len(load(tmp_path)) == 2
    search.tell(last, done(0.9))
    assert len(load(tmp_path)) == 3
    search.finish()
    while search.ask() is not None:
        pass
    assert [trial.number for trial in load(tmp_path)] == list(range(20))
    assert {state for state, _, _ in shown(tmp_path)} == {"COMPLETE"}


@pytest.mark.usefixtures("quiet_optuna")
def test_a_locked_file_is_said_once_and_mended_later(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    search, trials = some_trials(tmp_path)
    now = [0.0]
    assert search._live.mirror is not None
    search._live.mirror.clock = lambda: now[0]
    viewer = sqlite3.connect(tmp_path / "study.db", isolation_level=None)
    viewer.execute("BEGIN EXCLUSIVE")
    search.tell(trials[3], done(0.4))
    more = [ask(search) for _ in range(3)]
    now[0] += 60
    search.tell(more[0], done(0.6))  # locked still
    viewer.execute("COMMIT")
    viewer.close()
    assert caplog.text.count("cannot be written") == 1
    assert "locked" in caplog.text
    now[0] += 60
    search.tell(more[1], done(0.7))
    states = [state for state, _, _ in shown(tmp_path)]
    assert states == ["COMPLETE", "PRUNED", "FAIL", "COMPLETE", "COMPLETE", "COMPLETE", "RUNNING"]


@pytest.mark.usefixtures("quiet_optuna")
def test_a_folder_that_cannot_be_written_ends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "gone"
    search = make(folder)
    trials = [ask(search) for _ in range(3)]
    search.tell(trials[0], done(0.5))
    assert caplog.text.count("cannot be written") == 1
    assert "unable to open database file" in caplog.text
