"""Texts with escapes, line ends, marks of direction and markup, in every file, by every command, on a terminal."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from runner.sweep.fake_sweep import FakeSweep

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e\u2028x\r\nrunner: all is well\t[red]:smile:[/red][/]|`<b>"
BARE = "=1+1[link=http://x]"
FILE_NAME = "a\x1b[2J\nrunner: all is well\u202e[red]"
"""What a file may be called."""


def on_a_terminal(arguments: Sequence[str | Path], folder: Path, term: str = "dumb") -> str:
    """What ``runner ARGUMENT…`` shows there; without escapes of its own where the terminal knows none."""
    leader, follower = pty.openpty()
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": term, "COLUMNS": "150", "LINES": "50"}
    command = [sys.executable, "-P", "-m", "runner", *map(str, arguments)]
    process = subprocess.Popen(command, cwd=folder, env=variables, stdin=subprocess.DEVNULL, stdout=follower, stderr=follower)
    os.close(follower)
    shown = b""
    while True:
        try:
            part = os.read(leader, 1 << 16)
        except OSError:  # it has closed the terminal
            break
        if not part:
            break
        shown += part
    os.close(leader)
    assert process.wait(timeout=120) in (0, 1, 2), shown.decode()
    text = shown.decode().replace("\r\n", "\n")
    assert "Traceback" not in text, text
    return text


def check(text: str) -> None:
    """Nothing in it does more than be read."""
    bad = [character for character in text if unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp") and character not in "\n\t"]
    assert not bad, (bad, text)
    assert not re.search(r"^runner: all is well", text, re.MULTILINE), text


def change(path: Path, **changes: Any) -> None:
    data = json.loads(path.read_bytes()) if path.exists() else {}
    path.write_text(json.dumps({**data, **changes}), encoding="utf-8")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> FakeSweep:
    """A sweep whose files say hostile things wherever they can."""
    made = FakeSweep(tmp_path_factory.mktemp("hostile"))
    made.write(config={"max_iters": 5, "step_s": 0.0, "metrics": {"bbox/AP": "0.5", f"bbox/AP/{BARE}": "0.4"}}, seeds=[0, 1])
    ended = made.finish()
    assert ended.code == 0, ended.err
    names = made.sweep.run_names()
    for number, name in enumerate(names):
        run = made.run(name)
        identity = json.loads(run.identity_file.read_bytes())
        varied = {**identity["overrides"], HOSTILE: HOSTILE} if identity["overrides"] else {}
        change(run.identity_file, label=HOSTILE if varied else "baseline", overrides=varied)
        result = json.loads(run.evaluation.read_bytes())
        result["per_class"] = [{"name": HOSTILE, "ap": 0.1, "ap50": 0.2, "ar100": 0.3, "boxes": 3}]
        change(run.evaluation, **{**result, "metrics": {**result["metrics"], f"bbox/AP@{HOSTILE}": 0.5}})
        with open(run.metrics, "ab") as file:
            record = {"attempt": 1, "step": 5, "epoch": 1.0, "time": 1.0, "values": {HOSTILE: 1.0}}
            file.write(json.dumps(record).encode() + b"\n")
        if number % 2:
            change(run.status_file, state="failed", reason=HOSTILE, phase=HOSTILE, host=HOSTILE, cause="crash")
        with open(run.log, "a") as log:
            log.write(HOSTILE)
    plan = json.loads(made.sweep.plan_file.read_bytes())
    change(made.sweep.plan_file, warnings=[HOSTILE], command=["sweep", HOSTILE])
    assert plan["runs"]
    with open(made.sweep.journal, "a") as journal:
        for event in (
            {"event": HOSTILE, "run": HOSTILE, "reason": HOSTILE},
            {"event": "prune", "trial": 1, "reason": HOSTILE, "label": HOSTILE},
            {"event": "refused", "trial": 2, "reason": HOSTILE},
            *({"event": "end", "run": name, "state": "failed", "reason": HOSTILE, "cause": "crash", "attempt": 1} for name in names[1::2]),
        ):
            journal.write(json.dumps({"time": 1.0, **event}) + "\n")
    return made


@pytest.mark.parametrize(
    "arguments",
    [
        ["status", "runs/sweep"],
        ["status", "runs/sweep", "--json"],
        ["status", "runs/sweep/runs/0000-baseline-s0"],
        ["ls", "runs"],
        ["compare", "runs/sweep"],
        ["compare", "runs/sweep", "--format", "csv"],
        ["compare", "runs/sweep", "--format", "md"],
        ["compare", "runs/sweep", "--format", "json"],
        ["compare", "runs/sweep", "--metric", HOSTILE],
        ["compare", "runs/sweep/runs/0000-baseline-s0", "runs/sweep/runs/0000-baseline-s1"],
        ["verify", "runs/sweep"],
        ["verify", "runs/sweep", "--json"],
        ["sweep", "sweep.yml", "--dry-run"],
        ["sweep", "sweep.yml", "--set", f"{HOSTILE}=1"],
        ["retry", "runs/sweep"],
        ["stop", "runs/sweep", HOSTILE],
        ["train", "-r", "runs/sweep/runs/0000-baseline-s1"],
        ["train", "-c", HOSTILE],
        ["train", "-c", "config.yml", "-o", f"{HOSTILE}=1"],
        ["config", "show", "-c", "config.yml", "-o", f"save_dir={json.dumps(HOSTILE)}"],
        ["config", "show", "-c", "config.yml", "-o", f"save_dir={json.dumps(HOSTILE)}", "--format", "json"],
        ["config", "check", "-c", "config.yml", "-o", f"backend={json.dumps(HOSTILE)}"],
        ["data", "check", HOSTILE],
        ["data", "prepare", HOSTILE],
        ["backend", "install", HOSTILE],
        [HOSTILE],
    ],
    ids=lambda arguments: " ".join(arguments).replace(HOSTILE, "HOSTILE")[:60],
)
def test_nothing_reaches_the_terminal(sweep: FakeSweep, arguments: list[str]) -> None:
    check(on_a_terminal(arguments, sweep.folder))


def test_markup_is_text_and_nothing_is_lost(sweep: FakeSweep) -> None:
    for command in (["ls", "runs"], ["status", "runs/sweep"]):
        shown = "".join(on_a_terminal(command, sweep.folder).split())
        assert "\\x1b]0;owned" in shown and "[red]:smile:[/red][/]" in shown, shown


def test_a_terminal_with_colours_gets_no_other_escapes_than_those(sweep: FakeSweep) -> None:
    for command in (["ls", "runs"], ["status", "runs/sweep"], ["compare", "runs/sweep"]):
        check(re.sub(r"\x1b\[[\d;]*m", "", on_a_terminal(command, sweep.folder, "xterm-256color")))


def test_the_screen_of_a_sweep(sweep: FakeSweep) -> None:
    from runner.views.progress import ProgressDisplay
    from runner.views.terminal import Terminal

    for terminal in (True, False):
        console = Terminal(file=io.StringIO(), force_terminal=terminal, color_system=None, width=100, height=30)
        runs = [sweep.run(name) for name in sweep.sweep.run_names()]
        with ProgressDisplay(runs, console, title=HOSTILE) as display:
            display.update()
        assert isinstance(console.file, io.StringIO)
        check(re.sub(r"\x1b\[[\d;?]*[A-Za-z]|\r", "", console.file.getvalue()))


def test_an_evaluation() -> None:
    from runner.views.evaluation import print_evaluation
    from runner.views.terminal import Terminal

    console = Terminal(file=io.StringIO(), width=100)
    metrics = {f"bbox/AP@{HOSTILE}": 0.5}
    print_evaluation({"split": HOSTILE, "step": HOSTILE, "metrics": metrics, "per_class": [{"name": HOSTILE, "boxes": HOSTILE}]}, console)
    assert isinstance(console.file, io.StringIO)
    check(console.file.getvalue())


def test_csv_has_no_formulas_and_a_row_a_run(sweep: FakeSweep) -> None:
    shown = on_a_terminal(["compare", "runs/sweep", "--format", "csv"], sweep.folder)
    lines = shown.strip().split("\n")
    rows = list(csv.reader(lines[next(index for index, line in enumerate(lines) if line.startswith("run,")) :]))
    assert len({len(row) for row in rows}) == 1
    assert not [cell for row in rows for cell in row if re.match(r"[=+@\t\r]|-(?![\d.])", cell)]


def test_files_with_such_names(tmp_path: Path) -> None:
    """Images, folders and classes of a data set, a config, and a run directory."""
    folder = tmp_path / FILE_NAME
    folder.mkdir()
    (folder / "config.yml").write_text("backend: fake\nmax_iters: 4\nparameters: {lr: 0.02}\n")
    check(on_a_terminal(["train", "-c", folder / "config.yml", "--run-dir", folder / FILE_NAME], tmp_path))
    for command in (
        ["ls", folder],
        ["status", folder / FILE_NAME],
        ["compare", folder],
        ["compare", folder, "--format", "md"],
        ["eval", folder / FILE_NAME],
    ):
        check(on_a_terminal(command, tmp_path))
    (folder / "bad.yml").write_text("backend: fake\nno such key: 4\nmax_iters: x\n")
    check(on_a_terminal(["config", "check", "-c", folder / "bad.yml"], tmp_path))


def test_a_data_set_with_such_names(tmp_path: Path) -> None:
    from PIL import Image

    source = tmp_path / "source"
    for side in ("train", "val"):
        (source / "images" / side).mkdir(parents=True)
        (source / "labels" / side).mkdir(parents=True)
        for number in range(2):
            name = f"{FILE_NAME}{side}{number}"
            Image.new("RGB", (32, 32), (number, 9, 9)).save(source / "images" / side / f"{name}.png")
            (source / "labels" / side / f"{name}.txt").write_text("0 0.5 0.5 0.5 0.5\n" + "0 0.9 0.9 0.9 0.9\n" * number)
    (source / "data.yaml").write_text(yaml.safe_dump({"names": [HOSTILE], "train": "images/train", "val": "images/val"}))
    (tmp_path / "mine.yml").write_text(yaml.safe_dump({"name": "mine", "format": "yolo", "title": HOSTILE}))
    shown = [on_a_terminal(["data", action, *more], tmp_path) for action, more in ACTIONS]
    for text in shown:
        check(text)


ACTIONS: list[tuple[str, list[str]]] = [
    ("prepare", ["mine.yml", "--source", "source"]),
    ("list", []),
    ("check", ["mine"]),
    ("stats", ["mine"]),
]


def test_one_console_and_no_markup() -> None:
    """Another console would read markup in names again."""
    for file in sorted((ROOT / "runner").rglob("*.py")):
        if file.name != "terminal.py":
            assert not re.search(r"\bConsole\(|rich\.markup|from_markup", file.read_text(encoding="utf-8")), file
