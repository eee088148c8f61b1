"""No process of ours imports from the folder the user stands in, whatever lies there and however it was started."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from support.run_dirs import make_run_dir

from runner.launch.base import Exit, Task, Warm
from runner.launch.inline import InlineLauncher
from runner.launch.local import LocalLauncher
from runner.store.run_dir import RunDir
from runner.sweep.fake_sweep import FakeSweep
from runner.testing.launchers import collect

ROOT = Path(__file__).resolve().parents[1]
MODULES = "random queue json types copy torch numpy yaml PIL paddle ppdet tensorboard visualdl cv2 psutil rich sitecustomize usercustomize"
PROGRAM = "import sys\nfrom runner.cli.main import main\nsys.exit(main())\n"


@pytest.fixture
def poisoned(tmp_path: Path) -> Path:
    """A folder with files that have the names of modules, and a package `runner`; each leaves a file ``RAN-NAME`` and fails."""
    folder = tmp_path / "stands here"
    folder.mkdir()
    for name in (*MODULES.split(), "runner/__init__", "runner/__main__", "hotcoco/__init__"):
        file = folder / f"{name}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(
            f"open({str(tmp_path / 'RAN-')!r} + {name.replace('/', '.')!r}, 'w').close()\nraise SystemExit('{name} of this folder')\n"
        )
    return folder


def ran(folder: Path) -> list[str]:
    """The names of the files that were executed."""
    return sorted(path.name for path in folder.parent.glob("RAN-*"))


def variables(**more: str) -> Mapping[str, str]:
    return {**{name: value for name, value in os.environ.items() if name != "PYTHONPATH"}, "PYTHONPATH": str(ROOT), **more}


@pytest.fixture
def run(poisoned: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """``runner ARGUMENT…`` in the poisoned folder, as the installed command does it."""
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "runner"
    script.write_text(PROGRAM)

    def start(*arguments: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(script), *map(str, arguments)]
        return subprocess.run(command, cwd=poisoned, env=variables(**more), capture_output=True, text=True, timeout=240, check=False)

    return start


def test_a_sweep(poisoned: Path, run: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    FakeSweep(poisoned).write()
    done = run("sweep", "sweep.yml")
    assert done.returncode == 0, done.stderr
    for arguments in (["compare", "runs/sweep"], ["status", "runs/sweep"], ["verify", "runs/sweep"], ["ls", "runs"], ["doctor"]):
        assert run(*arguments).returncode == 0, arguments
    assert ran(poisoned) == []


@pytest.mark.parametrize("launcher", ["local", pytest.param("inline", marks=pytest.mark.exhaustive)])
def test_training(
    poisoned: Path, run: Callable[..., subprocess.CompletedProcess[str]], tiny_file: Callable[..., Path], launcher: str
) -> None:
    tiny_file(poisoned / "tiny.yml", worker_num=1, use_gpu="auto", trackers=["tensorboard", "visualdl"])
    done = run("train", "-c", "tiny.yml", "--launcher", launcher, "--run-dir", "out")
    assert done.returncode == 0, done.stderr
    assert run("eval", "out").returncode == 0
    assert ran(poisoned) == []


@pytest.mark.slow
@pytest.mark.parametrize("processes", [pytest.param(1, marks=pytest.mark.exhaustive), 2])
def test_paddle(
    poisoned: Path,
    run: Callable[..., subprocess.CompletedProcess[str]],
    tiny_file: Callable[..., Path],
    processes: int,
    paddle_python: Path,
) -> None:
    changes = {} if processes == 1 else {"processes": 2}
    tiny_file(poisoned / "tiny.yml", backend="paddle", worker_num=1, **changes)
    done = run("train", "-c", "tiny.yml", "--run-dir", "out")
    assert done.returncode == 0, done.stderr
    assert ran(poisoned) == []


@pytest.mark.parametrize("entries", ["", ".", "lib", ":"])
def test_pythonpath_that_means_the_working_directory(poisoned: Path, entries: str) -> None:
    """Python itself reads it before anything of ours runs, but that is the user's process; the workers are ours."""
    (poisoned / "lib").mkdir()
    (poisoned / "random.py").rename(poisoned / "lib" / "random.py")
    for task_env in ({}, {"PYTHONPATH": os.pathsep.join([entries, str(ROOT), ""])}):
        for warm in ("no", "fork", "standby"):
            _launch(LocalLauncher(1), poisoned, warm, task_env)
    assert ran(poisoned) == []


@pytest.mark.parametrize("warm", ["no", "fork", "standby"])
@pytest.mark.parametrize("safe", [["-P"], []], ids=["-P", "plain"])
def test_a_task(poisoned: Path, monkeypatch: pytest.MonkeyPatch, warm: Warm, safe: list[str]) -> None:
    monkeypatch.chdir(poisoned)
    _launch(LocalLauncher(1), poisoned, warm, {}, safe)
    assert ran(poisoned) == []


def test_an_inline_task(poisoned: Path) -> None:
    _launch(InlineLauncher(), poisoned, "no", {}, ["-P"])
    assert ran(poisoned) == []


def _launch(
    launcher: LocalLauncher | InlineLauncher, folder: Path, warm: Warm, env: Mapping[str, str], safe: list[str] | None = None
) -> None:
    """Run a task that imports what lies in the folder, and starts a process of its own that does."""
    log, answer = folder.parent / "log", folder.parent / "answer"
    argv = [sys.executable, *(["-P"] if safe is None else safe), "-m", "runner.testing.tasks", "draw", str(answer), "folder", str(answer)]
    env = {"PYTHONPATH": str(ROOT), **env}
    try:
        for _ in range(2):
            launcher.submit(Task("one", argv, folder, log, env, ("runner.testing.tasks",), warm))
            assert collect(launcher, 1, within_s=60) == [Exit("one", 0)], log.read_text()
        assert answer.read_text() == str(folder.resolve())
        assert "started in a new process" not in log.read_text()
    finally:
        launcher.close()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tensorboard", "visualdl"])
def test_a_viewer(poisoned: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    from runner.views.viewers.processes import start_viewer

    shown: RunDir = make_run_dir(poisoned / "r", steps=20, resumed_at=None)
    monkeypatch.chdir(poisoned)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", str(ROOT), "."]))
    with start_viewer(kind, [shown]):
        pass
    assert ran(poisoned) == []


@pytest.mark.parametrize("option", [[], ["-P"]], ids=["plain", "-P"])
def test_as_a_module(poisoned: Path, option: list[str]) -> None:
    """``python -m runner``: Python looks for the package itself in the working directory, and that is all that is taken from there."""
    if not option:
        (poisoned / "runner").rename(poisoned / "other")
        for name in ("types", "copy"):  # Python itself imports them on its way to us
            (poisoned / f"{name}.py").unlink()
    FakeSweep(poisoned).write()
    command = [sys.executable, *option, "-m", "runner", "sweep", "sweep.yml"]
    done = subprocess.run(command, cwd=poisoned, env=variables(), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert ran(poisoned) == []


def test_from_a_checkout_that_is_not_installed(tmp_path: Path) -> None:
    """``python -m runner`` in a folder that has the package: the workers run the same code, also where another one is installed."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "runner").symlink_to(ROOT / "runner", target_is_directory=True)
    FakeSweep(folder).write()
    other = tmp_path / "installed" / "runner"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("raise SystemExit('the installed one')\n")
    command = [sys.executable, "-m", "runner", "sweep", "sweep.yml"]
    done = subprocess.run(command, cwd=folder, env=variables(PYTHONPATH=str(other.parent)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
