"""The screen of a sweep: it fits, and it says what there is."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from runner.monitor.live import LiveRun, live_run
from runner.store.commands import Situation
from runner.store.run_dir import Status
from runner.views.screen import Screen, shorten

SIZES = [(80, 19), (120, 35), (40, 8), (20, 4)]
NAMES = [f"{number:04d}-batch_size={8 * number},base_lr=0.00{number}-s{seed}" for number in range(1, 9) for seed in range(5)]


def running(count: int, silence_s: float = 1.0) -> list[LiveRun]:
    runs = []
    for index, name in enumerate(NAMES[:count]):
        step = 30 * (index % 10)
        status = Status("running", None, 1 + (index == 1), step, 300, 1.0, 1.0, 1, {"train/loss": 1.5}, "training")
        runs.append(live_run(name, status, value=0.312 if index == 0 else None, pace_s=10 / (step + 1), silence_s=silence_s))
    return runs


def lines(screen: Screen) -> list[str]:
    console = Console(file=io.StringIO(), width=screen.width + 10, height=screen.height, color_system=None)
    console.print(screen.render())
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("count", [0, 1, 4, 40])
def test_it_fits(width: int, height: int, count: int) -> None:
    counts = {"done": 12345, "running": count, "waiting": 44, "failed": 3, "infeasible": 1, "pruned": 2}
    situation = Situation(4, count, "the disk is full (…): goes on when there is room", "0007 base_lr=0.02: bbox/AP 0.412 " * 3)
    for ascii_only in (False, True):
        screen = Screen("größe 'x'", counts, running(count), situation, left_s=9999.0, width=width, height=height, ascii_only=ascii_only)
        text = lines(screen)
        assert 0 < len(text) <= height
        assert max(map(cell_len, text)) <= width
        assert not ascii_only or all(char.isascii() for char in "".join(text).replace("größe", "").replace("…", ""))


def test_what_it_says() -> None:
    counts = {"done": 12, "running": 3, "waiting": 44, "infeasible": 1, "pruned": 2}
    situation = Situation(4, 3, "", "0007 base_lr=0.02: bbox/AP 0.412")
    text = lines(Screen("batchsize", counts, running(3), situation, metric="bbox/AP", spent_s=65.0, left_s=3723.0, width=120, height=30))
    assert text[0].startswith("── batchsize ──")
    assert text[1] == "12 of 62 runs done · 3 running · 44 waiting · 1 infeasible · 2 pruned"
    assert text[2] == "3 of 4 slots used · 1:05 so far · about 1:02:03 left"
    assert text[3] == "best so far: 0007 base_lr=0.02: bbox/AP 0.412"
    assert text[4].startswith(shorten(NAMES[0], 34)) and "AP 0.312  loss 1.5" in text[4]
    assert "10 %" in text[5] and "attempt 2" in text[5] and "left" in text[5] and "━━━" in text[5]
    assert text[-1] == "Ctrl-C saves and ends · from another terminal: runner pause, stop, status"


def test_silence_and_starting_are_said() -> None:
    text = lines(Screen("x", {"running": 2}, [*running(1, silence_s=45.0), LiveRun("new")]))
    assert "silent for 0:45" in text[3] and text[4].startswith("new ") and text[4].endswith(" starting")


def test_runs_without_room_are_counted() -> None:
    text = lines(Screen("x", {"running": 40}, running(40), width=80, height=12))
    assert "… and 33 more running" in text and len(text) == 12
