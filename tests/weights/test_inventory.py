"""List, verify and remove: what is locked, what is stored."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.weights import lock, pdparams

from runner.core.errors import InputError
from runner.weights.inventory import inventory, remove
from runner.weights.lockfile import read_lock

NAMES = ("a/b", "c/d", "e/f")


@pytest.fixture
def paths(store: Path) -> list[Path]:
    """Three locked files with different contents, and one of another project."""
    made = [lock(name, pdparams({"w": [float(index)]}), ".pdparams") for index, name in enumerate((*NAMES, "x/y"))]
    remove_entry = [entry for entry in read_lock(Path("weights.lock")) if entry.name != "x/y"]
    from runner.weights.lockfile import change_lock

    change_lock(Path("weights.lock"), lambda entries: remove_entry)
    return made


def test_states(paths: list[Path]) -> None:
    paths[1].unlink()
    paths[2].chmod(0o644)
    paths[2].write_bytes(b"z" + paths[2].read_bytes()[1:])
    read = inventory(read=True)
    assert [item.state for item in read] == ["intact", "missing", "damaged", "intact"]
    assert [item.entry.name if item.entry else item.path for item in read] == [*NAMES, paths[3]]
    assert [item.state for item in inventory(read=False)] == ["stored", "missing", "stored", "stored"]
    assert [item.state for item in inventory(["c/d"], read=True)] == ["missing"]
    with pytest.raises(InputError, match="has no entry 'c/e'; did you mean"):
        inventory(["c/e"], read=True)


def test_remove(paths: list[Path]) -> None:
    assert remove("a/b", keep_lock=False, say=print).name == "a/b"
    assert not paths[0].exists() and [entry.name for entry in read_lock(Path("weights.lock"))] == ["c/d", "e/f"]
    remove("c/d", keep_lock=True, say=print)
    assert not paths[1].exists() and len(read_lock(Path("weights.lock"))) == 2
    remove("c/d", keep_lock=False, say=print)
    assert paths[2].exists() and paths[3].exists()
    with pytest.raises(InputError, match="has no entry 'a/b'"):
        remove("a/b", keep_lock=False, say=print)


def test_a_file_with_two_names_stays_for_the_other(store: Path) -> None:
    for name in ("a/b", "c/d"):
        path = lock(name, pdparams(), ".pdparams")
    remove("a/b", keep_lock=False, say=print)
    assert path.exists()
    remove("c/d", keep_lock=False, say=print)
    assert not path.exists()
