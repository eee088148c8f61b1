"""Which interpreter a backend runs in, and what is said of one that cannot be used."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import runner
from runner.backends.status import BackendStatus, backend_status
from runner.core.errors import InputError
from runner.environments import interpreters as environments
from runner.environments.interpreters import Environment, interpreter
from runner.environments.specs import SPECS

Fake = Any
"""`Fake` of conftest.py."""


def refusal(backend: str, given: str | Path | None = None) -> list[str]:
    """What is wrong, as a user reads it."""
    environments.forget()
    with pytest.raises(InputError) as caught:
        interpreter(backend, None if given is None else str(given))
    assert {problem.key for problem in caught.value.problems} == {"backend" if given is None else "backend_python"}
    return [problem.message for problem in caught.value.problems]


def program(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The interpreter of a user's own environment, in a folder with a hostile name; nothing is in it."""
    home = tmp_path / "my 'env' ü"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    return home / "bin" / "python"


def put(python: Path, **modules: str) -> None:
    """Modules with this content into the environment."""
    for name, text in modules.items():
        folder = next(python.parents[1].glob("lib/*/site-packages")) / name
        folder.mkdir()
        (folder / "__init__.py").write_text(text, encoding="utf-8")


# ------------------------------------------------------------------------------------------------------------- which one
def test_a_backend_without_an_environment_of_its_own_runs_in_this_one() -> None:
    assert interpreter("torch") == Environment(Path(sys.executable), "this")
    assert interpreter("another-backend") == Environment(Path(sys.executable), "this")
    assert backend_status("fake") == BackendStatus("this interpreter", Path(sys.executable)), "it needs no package"


def test_this_interpreter_if_it_has_the_packages(fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in fake.spec.modules:
        (tmp_path / name).mkdir()
    assert "needs an environment of its own" in refusal("fake")[0], "a mere folder of that name is no package"
    for name in fake.spec.modules:
        (tmp_path / name / "__init__.py").touch()
    assert interpreter("fake") == Environment(Path(sys.executable), "this")
    assert backend_status("fake").state == "this interpreter"
    assert not set(fake.spec.modules) & sys.modules.keys(), "looking imports nothing"


def test_without_any_the_message_says_what_to_run_and_what_it_costs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(environments.PLACE_VARIABLE, str(tmp_path))
    monkeypatch.setattr(environments, "has_modules", lambda _modules: False)
    how = "runner backend install paddle (about 1.5 GiB, 2 minutes), or give backend_python"
    assert refusal("paddle") == [f"the backend paddle needs an environment of its own: {how}"]
    assert backend_status("paddle").state == "not installed"


def test_where_environments_lie(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(environments.PLACE_VARIABLE, raising=False)
    assert environments.folder() == Path(sys.prefix) / "share" / "runner" / "environments"
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "not there"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert environments.folder() == tmp_path / "data" / "runner" / "environments"
    installed = tmp_path / "not there" / "share" / "runner" / "environments" / "paddle.json"
    installed.parent.mkdir(parents=True)
    installed.touch()
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert environments.record_file("paddle") == installed, "what an administrator installed is found"
    monkeypatch.setenv(environments.PLACE_VARIABLE, "somewhere")
    assert environments.folder() == Path.cwd() / "somewhere"


# ------------------------------------------------------------------------------------------------------- one that is given
def test_one_that_is_given_comes_first_and_is_not_resolved(fake: Fake, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(own, fakeframe="", fakedet="", runner=f"__version__ = {runner.__version__!r}")
    assert own.is_symlink()
    assert interpreter("fake", str(own)) == Environment(own, "given")
    monkeypatch.chdir(own.parent)
    assert interpreter("fake", "./python") == Environment(own, "given")
    monkeypatch.setenv("PATH", str(own.parent), prepend=os.pathsep)
    monkeypatch.chdir("/")
    assert interpreter("fake", "python") == Environment(own, "given"), "a bare name is looked for on PATH"
    assert interpreter("torch", str(own)) == Environment(own, "given")


def test_what_is_no_interpreter(tmp_path: Path, own: Path) -> None:
    assert refusal("paddle", "no such/python") == [f"{Path.cwd()}/no such/python does not exist; give the path of a Python interpreter"]
    folder = own.parents[1]
    assert refusal("paddle", folder) == [f"{folder} is a folder; give the path of a Python interpreter: {own}"]
    text = tmp_path / "notes.txt"
    text.write_text("not a program", encoding="utf-8")
    assert refusal("paddle", text) == [f"{text} does not start: Permission denied"]
    shell = program(tmp_path / "python", "echo 'python: command not found' >&2; exit 127")
    assert refusal("paddle", shell) == [f"{shell} is not a working Python interpreter: python: command not found"]
    silent = program(tmp_path / "silent", "true")
    assert refusal("paddle", silent) == [f"{silent} is not a working Python interpreter: exit code 0"]


def test_one_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "_ANSWER_TIMEOUT_S", 0.2)
    assert "hangs: it did not answer within 0.2 s" in refusal("paddle", program(tmp_path / "python", "exec sleep 20"))[0]


@pytest.mark.parametrize("version", ["[2, 7, 18]", "[3, 13, 1]"])
def test_a_wrong_python(tmp_path: Path, version: str) -> None:
    path = program(tmp_path / "python", f"echo '{{\"python\": {version}}}'")
    text = ".".join(map(str, json.loads(version)))
    why = "paddledet 2.6.0 needs numpy<1.24, which has no build for a newer one"
    assert refusal("paddle", path) == [f"{path} is Python {text}; the backend paddle needs Python 3.11: {why}"]


def test_a_python_that_is_too_old_for_runner(tmp_path: Path) -> None:
    path = program(tmp_path / "python", "echo '{\"python\": [3, 8, 1]}'")
    assert refusal("torch", path) == [f"{path} is Python 3.8.1; runner needs 3.11 or newer"]


def test_one_that_lacks_packages_and_runner_is_told_all_at_once(fake: Fake, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.chdir(Path(runner.__file__).parents[1])  # a checkout in the current folder does not count
    advice = f"pip install '.[fake]' in a checkout of runner {runner.__version__}, by that Python"
    assert refusal("fake", own) == [f"{own} has no fakeframe and no fakedet: {advice}", f"{own} has no runner: {advice}"]
    put(own, fakeframe="", runner="__version__ = '9.9'")
    assert refusal("fake", own) == [f"{own} has no fakedet: {advice}", f"{own} has runner 9.9, this is {runner.__version__}: {advice}"]


def test_a_strangers_package_of_that_name(fake: Fake, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    put(own, fakeframe="", fakedet="", runner="")
    [message] = refusal("fake", own)
    assert message.startswith(f"{own} has runner of another kind, this is {runner.__version__}")


def test_it_is_started_once_a_process(fake: Fake, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(own, fakeframe="raise SystemExit('imported')", fakedet="", runner=f"__version__ = {runner.__version__!r}")
    interpreter("fake", str(own))
    monkeypatch.setattr(subprocess, "run", None)
    assert interpreter("fake", str(own)).origin == "given"


def test_versions_of_what_is_there() -> None:
    found = environments.versions(Path(sys.executable), ("NumPy", "types_PyYAML", "no-such-package"))
    assert found.keys() == {"NumPy", "types_PyYAML"} and found["NumPy"][0].isdigit()


# -------------------------------------------------------------------------------------------- an installed one that is broken
def broken(fake: Fake) -> str:
    [message] = refusal("fake")
    assert message.startswith("the environment of the backend fake is broken: ")
    assert message.endswith("; runner backend install fake makes it anew")
    found = backend_status("fake")
    assert found.state == "broken" and found.problem in message
    return message


def test_a_whole_one_is_used(installed: Fake) -> None:
    found = interpreter("fake")
    assert found.origin == "installed" and found.python == installed.place / installed.folders()[0] / "bin" / "python"
    assert backend_status("fake").versions == {"fakeframe": "1.0", "fakedet": "2.6.0"}


def test_ways_to_break_one(installed: Fake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home = installed.place / installed.folders()[0]
    packages = next(home.glob("lib/*/site-packages"))

    (packages / "fakeframe").rename(tmp_path / "fakeframe")
    assert f"no longer in {home}: fakeframe" in broken(installed)
    (tmp_path / "fakeframe").rename(packages / "fakeframe")

    (packages / "runner").unlink()
    monkeypatch.delenv("PYTHONPATH", raising=False)
    assert f"runner can no longer be imported in {home}" in broken(installed)
    (packages / "runner").symlink_to(tmp_path / "moved away")
    assert "runner can no longer be imported" in broken(installed)
    (packages / "runner").unlink()

    put(home / "bin" / "python", runner=f"__version__ = {runner.__version__!r}")
    assert f"{home} belongs to the runner in {packages / 'runner'}, this is the one in {environments.package_folder()}" in broken(installed)
    other = "__version__ = '0.0.1'\n"  # of another length: within a second Python takes a file of the same size for the one it compiled
    (packages / "runner" / "__init__.py").write_text(other, encoding="utf-8")
    assert f"{home} has runner 0.0.1, this is {runner.__version__}" in broken(installed)

    (home / "bin" / "python").unlink()
    (home / "bin" / "python").symlink_to(tmp_path / "no python")
    assert f"{home}/bin/python is gone" in broken(installed)
    (home / "bin" / "python").unlink()
    program(home / "bin" / "python", "echo 'error while loading shared libraries' >&2; exit 127")
    assert "is not a working Python interpreter: error while loading shared libraries" in broken(installed)

    shutil.rmtree(home)
    assert f"{home}/bin/python is gone" in broken(installed)
    (installed.place / "fake.json").write_text('{"directory": "fa', encoding="utf-8")
    assert f"{installed.place}/fake.json is damaged" in broken(installed)


def test_the_copy_on_a_file_system_without_links_is_told_from_a_stranger(installed: Fake) -> None:
    home = installed.place / installed.folders()[0]
    packages = next(home.glob("lib/*/site-packages"))
    (packages / "runner").unlink()
    shutil.copytree(environments.package_folder(), packages / "runner", ignore=shutil.ignore_patterns("__pycache__"))
    record = json.loads((installed.place / "fake.json").read_text(encoding="utf-8"))
    (installed.place / "fake.json").write_text(json.dumps({**record, "linked": False}), encoding="utf-8")
    assert interpreter("fake").origin == "installed"


def test_every_spec_names_what_exists() -> None:
    for name, spec in SPECS.items():
        if name != "fake":
            assert spec.constraints.endswith(".txt") and spec.modules and spec.shown
            module, _, function = spec.module_registry.partition(":")
            assert callable(getattr(__import__(module, fromlist=[function]), function))
