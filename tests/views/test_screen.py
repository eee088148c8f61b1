"""The screen of a sweep: it fits, it says what there is, and its keys ask for what they say."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from runner.monitor.watch import Watched
from runner.store.commands import Command, Situation
from runner.store.run_dir import RunDir, State, Status
from runner.views.screen import HELP, Menu, Screen, shorten

SIZES = [(80, 19), (120, 35), (40, 8), (20, 4)]
NAMES = [f"{number:04d}-batch_size={8 * number},base_lr=0.00{number}-s{seed}" for number in range(1, 9) for seed in range(5)]


def running(tmp_path: Path, count: int, state: State = "running") -> list[Watched]:
    runs = []
    for index, name in enumerate(NAMES[:count]):
        status = Status(state, None, 1 + (index == 1), 30 * (index % 10), 300, 1.0, 1.0, 1, {"train/loss": 1.5}, "training")
        runs.append(Watched(RunDir(tmp_path / name), status, [(0.0, 0), (10.0, 30 * (index % 10) + 1)]))
    return runs


def lines(screen: Screen) -> list[str]:
    console = Console(file=io.StringIO(), width=screen.width + 10, height=screen.height, color_system=None)
    console.print(screen.render())
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("mode", ["watch", "choose", "stop", "quit", "help"])
@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("count", [0, 1, 4, 40])
def test_it_fits(tmp_path: Path, mode: str, width: int, height: int, count: int) -> None:
    runs = running(tmp_path, count)
    counts = {"done": 12345, "running": count, "waiting": 44, "failed": 3, "infeasible": 1, "pruned": 2}
    situation = Situation(4, count, "the disk is full (…): goes on when there is room", "0007 base_lr=0.02: bbox/AP 0.412 " * 3)
    menu = Menu(mode, runs[-1].name if runs else "", "stopping 0003-something long enough for two lines-s1")  # type: ignore[arg-type]
    for ascii_only in (False, True):
        screen = Screen(
            "größe 'x'", counts, runs, situation, menu, now=20.0, left_s=9999.0, width=width, height=height, ascii_only=ascii_only
        )
        text = lines(screen)
        assert 0 < len(text) <= height
        assert max(map(cell_len, text)) <= width
        assert not ascii_only or all(char.isascii() for char in "".join(text).replace("größe", "").replace("…", ""))


def test_what_it_says(tmp_path: Path) -> None:
    runs = running(tmp_path, 3)
    runs[0].run_dir.path.mkdir()
    runs[0].run_dir.metrics.write_text('{"attempt": 1, "step": 5, "epoch": 1, "time": 1, "values": {"bbox/AP": 0.312}}\n')
    counts = {"done": 12, "running": 3, "waiting": 44, "infeasible": 1, "pruned": 2}
    situation = Situation(4, 3, "", "0007 base_lr=0.02: bbox/AP 0.412")
    text = lines(Screen("batchsize", counts, runs, situation, now=20.0, spent_s=65.0, left_s=3723.0, width=120, height=30))
    assert text[0].startswith("── batchsize ──")
    assert text[1] == "12 of 62 runs done · 3 running · 44 waiting · 1 infeasible · 2 pruned"
    assert text[2] == "3 of 4 slots used · 1:05 so far · about 1:02:03 left"
    assert text[3] == "best so far: 0007 base_lr=0.02: bbox/AP 0.412"
    assert text[4].startswith(shorten(NAMES[0], 34)) and "AP 0.312  loss 1.5" in text[4]
    assert "10 %" in text[5] and "attempt 2" in text[5] and "left" in text[5] and "━━━" in text[5]
    assert text[-1] == "p pause · s stop one · q quit (save and end) · ? help"


def test_without_keys_it_says_why(tmp_path: Path) -> None:
    text = lines(Screen("x", {"running": 1}, running(tmp_path, 1), no_keys="standard input is no terminal"))
    assert text[-1] == "no keys (standard input is no terminal); Ctrl-C saves and ends"


def test_silence_and_starting_are_said(tmp_path: Path) -> None:
    silent, starting = running(tmp_path, 1)[0], Watched(RunDir(tmp_path / "new"), at_work=True)
    text = lines(Screen("x", {"running": 2}, [silent, starting], now=45.0))
    assert "silent for 0:45" in text[3] and text[4].startswith("new ") and text[4].endswith(" starting")


def test_the_chosen_run_is_always_shown(tmp_path: Path) -> None:
    runs = running(tmp_path, 40)
    for chosen in (0, 20, 39):
        text = lines(Screen("x", {"running": 40}, runs, menu=Menu("choose", runs[chosen].name), width=80, height=12))
        (line,) = [line for line in text if line.startswith("▶")]
        assert line.split()[1] == str(chosen + 1)
        assert sum("more running" in line for line in text) == 1


def test_stopping_one() -> None:
    names = [f"r{number}" for number in range(1, 13)]
    menu = Menu()
    assert menu.press("s", names, paused=False) is None and (menu.mode, menu.chosen) == ("choose", "r1")
    moves = [
        ("down", "r2"),
        ("j", "r3"),
        ("up", "r2"),
        ("k", "r1"),
        ("k", "r1"),
        ("1", "r1"),
        ("2", "r12"),
        ("j", "r12"),
        ("7", "r7"),
        ("9", "r9"),
    ]
    for key, expected in moves:
        assert menu.press(key, names, paused=False) is None and menu.chosen == expected, key
    menu.press("enter", names, paused=False)
    assert menu.mode == "stop"
    assert menu.press("y", names, paused=False) == Command("stop", "r9")
    assert menu.mode == "watch" and menu.notice == "stopping r9"


@pytest.mark.parametrize(
    "keys", [["s", "escape"], ["s", "enter", "n"], ["s", "enter", "enter"], ["s", "x", "y"], ["?", "q"], ["q", "n"], ["z"]]
)
def test_nothing_happens_without_a_yes(keys: list[str]) -> None:
    menu = Menu()
    assert [menu.press(key, ["r1"], paused=False) for key in keys] == [None] * len(keys)
    assert menu.mode == "watch"


def test_pausing_and_quitting() -> None:
    menu = Menu()
    assert menu.press("p", [], paused=False) == Command("pause")
    assert menu.press("p", [], paused=True) == Command("resume")
    for yes in ("y", "q"):
        assert menu.press("q", [], paused=False) is None and menu.mode == "quit"
        assert menu.press(yes, [], paused=False) == Command("quit")


def test_a_run_that_ended_meanwhile_is_not_stopped() -> None:
    menu = Menu()
    assert menu.press("s", [], paused=False) is None and menu.mode == "watch" and "no run" in menu.notice
    menu.press("s", ["r1", "r2"], paused=False)
    menu.keep_up(["r2"])
    assert (menu.mode, menu.chosen) == ("choose", "r2")
    menu.press("enter", ["r2"], paused=False)
    menu.keep_up(["r3"])
    assert menu.mode == "watch" and menu.notice == "r2 has ended already"
    menu.press("s", ["r3"], paused=False)
    menu.keep_up([])
    assert menu.mode == "watch"


def test_the_help_names_every_key() -> None:
    assert {line.split()[0] for line in HELP} >= {"p", "s", "q", "Ctrl-C", "Ctrl-Z"}
