"""The import path of our processes and of their children."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner.core.importing import child_environment, find_program, leave_working_directory_out

ROOT = Path(__file__).resolve().parents[2]
EXCEPT = {
    "core/checkout.py": "git, with variables of its own",
    "views/viewers/watchdog.py": "a script that was started with them itself",
    "backends/probe.py": "no Python",
    "environments/interpreters.py": "a Python that may be too old to know -P; it starts in the root folder",
    "testing/tasks.py": "tests only",
}
STARTS = {"run", "Popen", "call", "check_call", "check_output"}


def test_a_child_gets_the_absolute_entries_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", str(ROOT), ".", "lib", str(tmp_path), ""]))
    environment = child_environment({"A": "1"}, {"A": "2"})
    assert environment["PYTHONPATH"] == os.pathsep.join([str(ROOT), str(tmp_path)])
    assert (environment["PYTHONSAFEPATH"], environment["A"]) == ("1", "2")


def test_pythonpath_is_not_made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    found = subprocess.run([sys.executable, "-P", "-c", "import runner"], cwd="/", env=child_environment(), check=False)
    assert found.returncode == 0


def test_a_package_found_in_the_working_directory_is_found_by_its_children(tmp_path: Path) -> None:
    (tmp_path / "runner").symlink_to(ROOT / "runner", target_is_directory=True)
    code = (
        "import os, sys; from runner.core.importing import child_environment as made; "
        "sys.path[:] = [entry for entry in sys.path if not os.path.exists(os.path.join(entry, 'runner'))]; "
        "print(made().get('PYTHONPATH'))"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(tmp_path)


def test_relative_entries_leave_the_import_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", "lib", "/elsewhere"]))
    rest = list(sys.path[sys.path.index(os.path.dirname(os.__file__)) :])
    for first, kept in ((str(tmp_path), ["/elsewhere"]), ("/script", ["/script", "/elsewhere"])):
        monkeypatch.setattr(sys, "path", [first, str(tmp_path), str(tmp_path / "lib"), "/elsewhere", *rest])
        assert leave_working_directory_out(first=True) == ["", "lib"]
        assert sys.path == [*kept, *rest]


def test_an_absolute_entry_that_is_the_working_directory_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), "."]))
    monkeypatch.setattr(sys, "path", [str(tmp_path), os.path.dirname(os.__file__)])
    leave_working_directory_out()
    assert sys.path[0] == str(tmp_path)


def test_a_program_in_the_working_directory_is_not_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tool").touch(mode=0o755)
    monkeypatch.setenv("PATH", os.pathsep.join(["", ".", "/nowhere"]))
    assert find_program("tool") is None
    monkeypatch.setenv("PATH", os.pathsep.join([".", str(tmp_path)]))
    assert find_program("tool") == str(tmp_path / "tool")


def test_every_child_is_given_its_variables_and_a_safe_python() -> None:
    """No process is started with the variables as they are, and no Python without -P or -I."""
    found = []
    files = {*(ROOT / "runner").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")} - {ROOT / "runner" / name for name in EXCEPT}
    for file in sorted(files):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name("subprocess"), attr=name)) if name in STARTS:
                    if not any(word.arg in ("env", None) for word in node.keywords):
                        found.append(f"{file}:{node.lineno} has no env=")
                case ast.List(elts=[first, *words]) | ast.Tuple(elts=[first, *words]) if not isinstance(first, ast.Constant):
                    texts = [word.value if isinstance(word, ast.Constant) else None for word in words]
                    for option in {"-m", "-c"} & set(texts[:2]):
                        if not {"-P", "-I"} & set(texts[: texts.index(option)]):
                            found.append(f"{file}:{node.lineno} starts Python without -P")
    assert not found, "\n".join(found)
