"""How many runs fit: with made-up figures, and with processes that hold memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.launch.base import Capacity
from runner.launch.local import LocalLauncher
from runner.launch.packing import Packing
from runner.testing.launchers import LONG_S, task, wait_until


def test_the_first_goes_alone_until_its_peak_is_known() -> None:
    packing = Packing(8, total_gib=16)
    assert packing.room(0) and not packing.room(1)
    packing.observe("a", 1.0, settled=False)
    assert not packing.room(1)
    packing.observe("a", 2.0, settled=True)
    assert packing.fits() == 6  # 16 / (2 x 1.15)
    assert packing.room(5) and not packing.room(6)


def test_no_more_than_the_slots() -> None:
    packing = Packing(3, total_gib=16)
    packing.observe("a", 0.1, settled=True)
    assert packing.fits() == 3


@pytest.mark.parametrize(("limit", "total_gib", "fits"), [(2, 16, 2), (2, 15.9, 1), (16, 256, 16), (1, 4, 1), (4, None, 4)])
def test_where_there_is_plenty_no_task_waits(limit: int, total_gib: float | None, fits: int) -> None:
    assert Packing(limit, total_gib).fits() == fits


def test_plenty_is_corrected_by_what_is_seen() -> None:
    packing = Packing(2, total_gib=16)
    packing.observe("a", 12.0, settled=False)
    assert not packing.room(1)


def test_upward_at_once_and_downward_when_the_large_one_is_long_ago() -> None:
    packing = Packing(8, total_gib=16)
    packing.observe("small", 1.0, settled=True)
    assert packing.fits() == 8
    packing.observe("large", 6.0, settled=False)
    assert packing.fits() == 2
    packing.observe("large", 3.0, settled=True)  # its peak stays
    assert packing.fits() == 2
    for index in range(15):
        packing.observe(f"r{index}", 1.0, settled=True)
    assert packing.fits() == 2
    packing.observe("r15", 1.0, settled=True)
    assert packing.fits() == 8


def test_one_that_does_not_fit_at_all_may_run_alone() -> None:
    packing = Packing(4, total_gib=16)
    packing.observe("a", 30.0, settled=True)
    assert packing.room(0) and not packing.room(1)


def test_runs_that_share_a_gpu() -> None:
    packing = Packing(4, total_gib=None, gpu_total_gib=24, runs_per_gpu=2)  # on 2 GPUs
    assert packing.fits() == 1  # however much of the machine's memory there is
    packing.observe("a", 0.0, 10.0, settled=True)
    assert packing.fits() == 4
    packing.observe("b", 0.0, 12.0, settled=True)  # with the reserve, two are too many for one GPU
    assert packing.fits() == 2


def test_runs_that_share_no_gpu_are_not_counted_there() -> None:
    packing = Packing(2, total_gib=None, gpu_total_gib=24, runs_per_gpu=1)
    packing.observe("a", 3.0, 23.0, settled=True)
    assert packing.fits() == 2


def test_for_the_room_of_a_launcher() -> None:
    assert Packing.of(Capacity(4, memory_gib=12)).fits() == 1
    assert Packing.of(Capacity(4)).fits() == 4


def test_processes_that_hold_memory(tmp_path: Path) -> None:
    launcher = LocalLauncher(4, close_grace_s=1)
    packing = Packing(4, total_gib=0.4)
    try:
        for index in range(4):
            if not packing.room(index):
                break
            name = f"t{index}"
            launcher.submit(task(name, tmp_path, "hold", "100", "touch", tmp_path / name, "sleep", str(LONG_S)))
            wait_until((tmp_path / name).exists)
            for other, held_gib in launcher.held_gib().items():
                packing.observe(other, held_gib, settled=True)
        assert len(launcher.held_gib()) == 3  # a bit more than 0.1 GiB each, and the reserve
    finally:
        launcher.close()
