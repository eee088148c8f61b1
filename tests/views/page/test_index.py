"""Cache of what runs said."""

from __future__ import annotations

import math
import os
import shutil
import stat
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from runner.core.errors import InputError
from runner.results.collect import RunResult, collect, read_run
from runner.store.run_dir import RunDir
from runner.sweep.session_results import read_report
from runner.views.page.cache_file import cache_path
from runner.views.page.column_store import ColumnStore
from runner.views.page.facts import RunFacts, read_once
from runner.views.page.index import FactsIndex
from runner.views.page.scan import RunSearch
from tests.support.finished import make_run
from tests.support.many_runs import make_sweep

pytestmark = pytest.mark.usefixtures("cache_folder")


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    return make_sweep(tmp_path, 4, 2, records=24)


def look(sweep: Path) -> tuple[list[RunResult], int]:
    """Return what the runs say, and how many of them the cache knew before."""
    index = FactsIndex(cache_path([sweep]))
    known = len(index.load())
    facts = RunFacts(RunSearch((sweep,)), index)
    facts.look()
    index.close()
    return facts.results(), known


def test_a_second_start_reads_the_cache_alone(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, known = look(sweep)
    assert (len(first), known) == (8, 0)
    monkeypatch.setattr("runner.views.page.facts.read_facts", None)
    assert look(sweep) == (first, 8)


def test_what_is_read_once_is_what_compare_reads(sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that failed, wait, were copied or have an odd config too; those that have ended are not read again."""
    make_run(sweep, 5, 0, label="lr=2", state="failed", reason="no memory")
    make_run(sweep, 6, 0, label="lr=3", state="pending")
    shutil.copytree(sweep / "runs" / "0005-lr=2-s0", sweep / "runs" / "a copy")
    (make_run(sweep, 7, 0, label="lr=4").config).write_text("a: [")
    store = ColumnStore()
    first = read_once([sweep], store.summary)
    assert first == collect([sweep]) and len(first) == 12
    assert all(result.config for result in first if result.trial < 6)
    monkeypatch.setattr("runner.views.page.facts.read_run", partial(refuse_final, sweep))
    assert read_once([sweep], store.summary) == first
    with pytest.raises(InputError, match="no such directory"):
        read_once([sweep, tmp_path / "nowhere"], store.summary)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="a run directory has a run.json"):
        read_once([tmp_path / "empty"], store.summary)


def refuse_final(sweep: Path, run_dir: RunDir, **options: Any) -> RunResult:
    """Read a run that the cache cannot know: it has not ended, or something is wrong with it."""
    assert run_dir.path.name in ("0006-lr=3-s0", "a copy", "0007-lr=4-s0"), run_dir.path
    return read_run(run_dir, **options)


def test_numbers_survive_that_json_does_not_know(sweep: Path) -> None:
    run = make_run(sweep, 4, 0, label="lr=1", evaluations=[(100, float("nan")), (200, float("inf"))], metrics={"bbox/AP50": float("nan")})
    first, _ = look(sweep)
    again, known = look(sweep)
    assert known == 9
    one, other = (next(result for result in results if result.path == run.path) for results in (first, again))
    assert repr(list(one.evaluations)) == repr(list(other.evaluations)) and math.isnan(other.evaluations[0][1]["bbox/AP"])
    assert one.undefined == other.undefined == ("bbox/AP50",)


def test_a_changed_run_is_read_again_and_one_that_is_gone_is_forgotten(sweep: Path) -> None:
    look(sweep)
    runs = sorted((sweep / "runs").iterdir())
    changed = RunDir(runs[0])
    changed.write_status(replace(changed.status(), state="failed", reason="changed"))
    for file in runs[1].iterdir():
        file.unlink()
    runs[1].rmdir()
    results, _ = look(sweep)
    assert next(result for result in results if result.path == runs[0]).reason == "changed"
    assert look(sweep)[1] == 7


def test_runs_that_have_not_ended_are_not_kept(sweep: Path) -> None:
    make_run(sweep, 4, 0, label="lr=1", state="running", ap=None)
    look(sweep)
    assert look(sweep)[1] == 8


def test_only_the_user_may_read_the_cache(sweep: Path) -> None:
    look(sweep)
    path = cache_path([sweep])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_cache_cut_anywhere_is_made_anew(sweep: Path) -> None:
    expected, _ = look(sweep)
    path = cache_path([sweep])
    whole = path.read_bytes()
    cuts = [1, 50, *range(4096, len(whole), 4096), len(whole) - 1]
    assert len(cuts) >= 4
    for cut in cuts:
        path.write_bytes(whole[:cut])
        assert look(sweep)[0] == expected, cut
        assert look(sweep) == (expected, 8), cut


@pytest.mark.parametrize("content", [b"no database at all" * 500, b"\0" * 8192, b""])
def test_another_file_in_its_place_is_replaced(content: bytes, sweep: Path) -> None:
    expected, _ = look(sweep)
    cache_path([sweep]).write_bytes(content)
    assert look(sweep) == (expected, 0)
    assert look(sweep) == (expected, 8)


def test_a_changed_byte_of_the_facts_is_noticed(sweep: Path) -> None:
    expected, _ = look(sweep)
    path = cache_path([sweep])
    whole = path.read_bytes()
    for position in range(len(whole) - 200, len(whole), 20):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        assert look(sweep)[0] == expected


def test_another_version_is_deleted(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, _ = look(sweep)
    monkeypatch.setattr("runner.views.page.index.SCHEMA", 99)
    assert look(sweep) == (expected, 0)
    assert look(sweep) == (expected, 8)


def test_it_works_where_there_can_be_no_cache(sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, _ = look(sweep)
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))  # a folder that even the administrator cannot make
    assert look(sweep) == (expected, 0)
    assert look(sweep) == (expected, 0)


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may write everywhere")
def test_it_works_with_a_folder_that_cannot_be_written(sweep: Path, cache_folder: Path) -> None:
    cache_folder.chmod(0o500)
    assert look(sweep)[1] == 0
    cache_folder.chmod(0o700)


def test_two_servers_share_it(sweep: Path) -> None:
    indices = [FactsIndex(cache_path([sweep])) for _ in range(2)]
    both = [RunFacts(RunSearch((sweep,)), index) for index in indices]
    for facts in both:
        facts.look()
    assert both[0].results() == both[1].results()
    assert indices[0].load() == indices[1].load()
    assert len(indices[0].load()) == 8
    cache_path([sweep]).unlink()  # as the other one does where it finds damage
    make_run(sweep, 4, 0, label="lr=1")
    for facts in both:
        facts.look()
    assert [len(facts.results()) for facts in both] == [9, 9]
    for index in indices:
        index.close()
    assert look(sweep)[0] == both[0].results()


def test_the_report_of_a_live_page_is_that_of_compare(tmp_path: Path) -> None:
    sweep = make_sweep(tmp_path, 3, 3, records=48)
    first, second = (read_report([sweep], runs=read_once([sweep], ColumnStore().summary)).data() for _ in range(2))
    assert first == second == read_report([sweep]).data()


def test_a_config_with_what_json_has_not_is_read_again(sweep: Path) -> None:
    run = make_run(sweep, 5, 0, label="x")
    run.config.write_text(run.config.read_text() + "clip: .nan\n")
    for _ in range(2):
        (found,) = (each for each in read_once([sweep], ColumnStore().summary) if each.path == run.path)
        assert math.isnan(found.config["clip"])
