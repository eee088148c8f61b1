"""Damage to the files of a sweep, and what the commands say to it.

A mutation changes one file of a finished sweep. Commands run in this process, which takes milliseconds instead of seconds.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import yaml

from runner.cli.main import main
from runner.store.run_dir import find_runs
from runner.trackers.base import rebuild_log
from runner.trackers.hparams import hyper_parameters

TIMEOUT_S = 60.0
CONFIG: Mapping[str, Any] = {
    "backend": "fake",
    "max_iters": 4,
    "step_s": 0,
    "snapshot_iter": 2,
    "eval_at_snapshot": True,
    "log_iter": 1,
    "parameters": {"lr": 0.02},
    "trackers": [],
}
SWEEPS: Mapping[str, Mapping[str, Any]] = {
    "fixed": {"config": "config.yml", "vary": {"parameters.lr": [0.01]}, "seeds": [0, 1]},
    "optuna": {
        "config": "config.yml",
        "design": "optuna",
        "space": {"parameters.lr": {"low": 0.001, "high": 0.1, "log": True}},
        "budget": {"runs": 3},
        "confirm_seeds": 0,
    },
}
BASELINE = "runs/sweep/runs/0000-baseline-s0"
RUN_FILES = (
    *("config.yml", "run.json", "status.json", "override.json", "eval.json", "predictions.json", "metrics.jsonl", "control.jsonl"),
    *("worker.log", "run.lock", "checkpoints/index.json", "checkpoints/step-00000004.json"),
)
FILES = (
    "runs/sweep/plan.json",
    "runs/sweep/journal.jsonl",
    "runs/sweep/sweep.yml",
    "runs/sweep/sweep.lock",
    "runs/sweep/control.jsonl",
    *(
        f"{BASELINE}/{name}"
        for name in (*RUN_FILES, "override.json", "control.jsonl", "run.lock", "predictions.json", "checkpoints/step-00000004.json")
    ),
)
"""Files of a sweep directory; those that a finished sweep does not have are made by the mutation."""

LONG = "9" * 5000
DEEP = "[" * 100_000
WRONG_VALUES = {
    "null": "null",
    "true": "true",
    "negative": "-1",
    "fraction": "0.5",
    "infinite": "1e999",
    "not a number": "NaN",
    "long integer": LONG,
    "integer of 30 digits": "9" * 30,
    "text": '"text"',
    "path": '"../../../outside"',
    "NUL": '"a\\u0000b"',
    "half a character": '"\\ud800"',
    "long text": '"' + "x" * 200_000 + '"',
    "list": "[]",
    "list of lists": "[[1], [2]]",
    "mapping": "{}",
    "mapping of mappings": '{"a": {"b": [1]}}',
    "deep": "[" * 5000 + "]" * 5000,
    "fairly deep": '{"a":' * 300 + "1" + "}" * 300,
}
"""What is put in the place of a field, as JSON."""

WHOLE_FILES: Mapping[str, bytes] = {
    "empty": b"",
    "blank": b"\n\n",
    "NULs": b"\0" * 4096,
    "no UTF-8": b"\xff\xfe{\x80}",
    "not JSON": b"{]",
    "list": b"[]",
    "mapping": b"{}",
    "null": b"null",
    "number": b"3",
    "infinite": b'{"step": 1e999}\n',
    "long integer": b'{"step": ' + LONG.encode() + b"}\n",
    "deep": DEEP.encode(),
    "deep mappings": b'{"a":' * 50_000,
    "closed deep": b"[" * 400 + b"]" * 400,
    "half a character": b'{"event": "\\ud800", "state": "\\ud800"}\n',
    "one long line": b"x" * 6_000_000,
    "alias bomb": b"a: &a [x, x]\n" + b"".join(b"%c: &%c [*%c, *%c]\n" % (n + 1, n + 1, n, n) for n in range(97, 121)),
}


@dataclass(frozen=True)
class Mutation:
    """One change to one file, relative to the folder of a stage."""

    file: str
    name: str
    apply: Callable[[Path], None] = field(compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.file.removeprefix('runs/sweep/').replace('/', ':')}: {self.name}"


def whole_file_mutations(file: str) -> Iterator[Mutation]:
    """Yield what may become of a file as a whole."""
    for name, content in WHOLE_FILES.items():
        yield Mutation(file, name, partial(_put, content=content))
    yield Mutation(file, "cut in the middle", lambda path: _put(path, (found := _bytes(path))[: len(found) // 2]))
    yield Mutation(file, "missing", lambda path: path.unlink(missing_ok=True))
    yield Mutation(file, "folder", lambda path: _special(path, Path.mkdir))
    yield Mutation(file, "FIFO", lambda path: _special(path, os.mkfifo))
    yield Mutation(file, "link to itself", lambda path: _special(path, lambda place: place.symlink_to(place)))
    yield Mutation(file, "link to a device", lambda path: _special(path, lambda place: place.symlink_to("/dev/zero")))
    yield Mutation(file, "link to nowhere", lambda path: _special(path, lambda place: place.symlink_to("nowhere/at all")))


def field_mutations(file: str, text: str) -> Iterator[Mutation]:
    """Yield every field of a JSON file, or of one line of each kind of a file of JSON lines, with each wrong value."""
    lines = text.splitlines() if file.endswith(".jsonl") else [text]
    seen = set()
    for index, line in enumerate(lines):
        value = json.loads(line)
        kind = (value.get("event"), value.get("resumed"), tuple(value)) if file.endswith(".jsonl") else ""
        if kind in seen:
            continue
        seen.add(kind)
        for path in _paths(value):
            for name, wrong in WRONG_VALUES.items():
                changed = json.dumps(_with(value, path, "@@")).replace('"@@"', wrong)
                content = "\n".join([*lines[:index], changed, *lines[index + 1 :], ""])
                where = ".".join(map(str, (*filter(None, [value.get("event")]), *path)))
                yield Mutation(file, f"{where} = {name}", partial(_put, content=content.encode()))


@dataclass(frozen=True)
class Stage:
    """A finished sweep in a folder, with its sweep file and config."""

    folder: Path

    @classmethod
    def make(cls, folder: Path, kind: str) -> Stage:
        """Run a sweep to its end."""
        folder.mkdir(parents=True)
        (folder / "config.yml").write_text(yaml.safe_dump(dict(CONFIG)))
        (folder / "sweep.yml").write_text(yaml.safe_dump(dict(SWEEPS[kind])))
        stage = cls(folder)
        ended = stage.call("sweep", "sweep.yml", "--launcher", "inline")
        assert ended.code == 0, ended
        return stage

    def copy(self, folder: Path) -> Stage:
        """Copy it to a folder, which is emptied."""
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.folder, folder)
        return Stage(folder)

    def call(self, *argv: str) -> Ended:
        """Run a command in the folder, in this process."""
        return call(self.folder, lambda: main(argv))

    def dashboard(self) -> Ended:
        """Do what `runner dashboard --with visualdl` does before it starts the viewer."""

        def show() -> int:
            runs = list(find_runs([Path("runs/sweep")]))
            for run in runs:
                params = hyper_parameters(run, ["parameters.lr"])
                rebuild_log("visualdl", run, Path("logs") / run.name, params)
            return 0

        return call(self.folder, show)


@dataclass(frozen=True)
class Ended:
    """End of a command: `trouble` is what it must not do, empty if it did not."""

    code: int
    out: str
    err: str
    trouble: str = ""
    took_s: float = 0.0


class _Hangs(BaseException):
    """A command took too long."""


def call(folder: Path, command: Callable[[], int]) -> Ended:
    """Run a command as `runner` would, and look at how it ends."""
    out, err = io.StringIO(), io.StringIO()
    before, handlers = os.getcwd(), {number: signal.getsignal(number) for number in (signal.SIGALRM, signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGALRM, _hang)
    signal.setitimer(signal.ITIMER_REAL, TIMEOUT_S)
    started, code, trouble = time.monotonic(), -1, ""
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code = command()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 2
    except _Hangs:
        trouble = "hangs"
    except BaseException as error:  # noqa: BLE001 - a traceback for the user
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        at = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else ""
        trouble = f"traceback: {type(error).__name__}: {str(error)[:150]} at {at}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        os.chdir(before)
        for number, handler in handlers.items():
            signal.signal(number, handler)
    said = err.getvalue()
    if not trouble and code not in (0, 1, 2):
        trouble = f"exit code {code}"
    if not trouble and "Traceback (most recent call last)" in said:
        trouble = f"prints a traceback: {said.strip().splitlines()[-1][:150]}"
    if not trouble and code == 2 and sum(line.startswith("runner: ") for line in said.splitlines()) != 1:
        trouble = f"exit code 2 without one message: {said[-300:]!r}"
    return Ended(code, out.getvalue(), said, trouble, time.monotonic() - started)


def _hang(_number: int, _frame: FrameType | None) -> None:
    raise _Hangs


_LOST = ("is lost", f"{BASELINE.removeprefix('runs/sweep/')}/config.yml: ")
"""Words of findings that no repair can put right: records that are gone; the config of a trial with a single run, which none tells."""

LOOKS: Mapping[str, Sequence[str]] = {
    "ls": ("ls", "runs/sweep"),
    "status": ("status", "runs/sweep"),
    "status --json": ("status", "runs/sweep", "--json"),
    "compare": ("compare", "runs/sweep"),
    "compare --format csv": ("compare", "runs/sweep", "--format", "csv"),
    "compare --format json": ("compare", "runs/sweep", "--format", "json"),
    "compare --format md": ("compare", "runs/sweep", "--format", "md"),
    "sweep --dry-run": ("sweep", "sweep.yml", "--dry-run"),
    "verify": ("verify", "runs/sweep"),
    "verify --json": ("verify", "runs/sweep", "--json"),
    "config diff": ("config", "diff", f"{BASELINE}/config.yml", "config.yml"),
    "config show": ("config", "show", "-c", f"{BASELINE}/config.yml"),
    "stop": ("stop", "runs/sweep"),
    "stop RUN": ("stop", BASELINE),
}
"""Commands that change nothing, or next to nothing."""

SWEEP = ("sweep", "sweep.yml", "--launcher", "inline")
CHANGES: Mapping[str, Sequence[Sequence[str]]] = {
    "retry": [("retry", "--failed", "runs/sweep")],
    "eval": [("eval", BASELINE), ("eval", BASELINE, "--checkpoint", "last")],
    "train -r": [("train", "-r", BASELINE, "--launcher", "inline")],
    "sweep": [SWEEP, SWEEP],
    "sweep elsewhere": [("sweep", "sweep.yml", "--launcher", "inline", "--dir", "runs/other")],
}
"""Commands that change something; each has the damaged sweep for itself."""


def try_all(mutation: Mutation, pristine: Stage, scratch: Path, looks: Sequence[str], changes: Sequence[str]) -> tuple[int, list[str]]:
    """Run commands on a damaged sweep, then repair it and run it again. Return how many commands ran and what was wrong."""
    count, troubles = 0, []

    def note(name: str, ended: Ended, codes: Sequence[int] = (0, 1, 2)) -> None:
        nonlocal count
        count += 1
        trouble = ended.trouble or (f"exit code {ended.code}: {(ended.err or ended.out)[-300:]}" if ended.code not in codes else "")
        if trouble:
            troubles.append(f"{mutation} | {name}: {trouble}")

    def damaged() -> Stage:
        stage = pristine.copy(scratch / "damaged")
        mutation.apply(stage.folder / mutation.file)
        return stage

    stage = damaged()
    for name in looks:
        note(name, stage.call(*LOOKS[name]))
    note("dashboard", stage.dashboard())
    for name in changes:
        for argv in CHANGES[name]:
            note(name, stage.call(*argv))
        stage = damaged()
    note("verify --repair", stage.call("verify", "runs/sweep", "--repair"), (0, 1))
    note("sweep after the repair", stage.call(*SWEEP), (0,))
    verified = stage.call("verify", "runs/sweep")
    left = [line for line in verified.out.splitlines()[:-1] if not line.startswith("note: ") and not any(map(line.__contains__, _LOST))]
    note("verify after that", verified, (0, 1) if not left else (0,))
    return count, troubles


def _paths(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield where the values of a JSON value are, of lists the first item only, of what is recorded for people nothing below."""
    if path:
        yield path
    if path[-1:] in (("facts",), ("pr_curves",)):
        return
    items = value.items() if isinstance(value, dict) else list(enumerate(value))[:1] if isinstance(value, list) else ()
    for key, item in items:
        yield from _paths(item, (*path, key))


def _with(value: Any, path: Sequence[str | int], wrong: Any) -> Any:
    made = json.loads(json.dumps(value))
    place = made
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = wrong
    return made


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _special(path: Path, make: Callable[[Path], None]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    make(path)
