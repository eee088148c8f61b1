"""`runner backend install | list | remove`, by real virtual environments, real pip and real kills, on a backend of a few lines."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from runner.core.errors import InputError, RunnerError
from runner.core.shipped import shipped
from runner.environments import build, install
from runner.environments import interpreters as environments

Fake = Any
"""`Fake` of conftest.py."""


def works(python: Path) -> bool:
    """Whether the environment runs: its packages and `runner`."""
    code = "import fakeframe, fakedet, runner.core.errors"
    return subprocess.run([str(python), "-c", code], cwd="/", check=False).returncode == 0


def wait_for(condition: Callable[[], bool], timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


def processes_in(place: Path) -> list[int]:
    """Processes that run an interpreter below `place`."""
    return [process.pid for process in psutil.process_iter(["cmdline"]) if str(place) in " ".join(process.info["cmdline"] or [])]


# --------------------------------------------------------------------------------------------------- install and remove
@pytest.mark.slow
def test_from_nothing_to_an_environment_and_back(fake: Fake) -> None:
    done = fake.run("backend", "install", "fake")
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == ["making the environment", "installing packages", "checking it with a training step"]
    [name] = fake.folders()
    assert "fake: ready after" in done.stdout and str(fake.place / name) in done.stdout
    record = json.loads((fake.place / "fake.json").read_text(encoding="utf-8"))
    assert record["directory"] == name and record["gpu"] is False and record["linked"] is True and record["check"]["loss"] == 1.0
    assert record["versions"].items() >= {"fakeframe": "1.0", "fakehelper": "1.0", "fakedet": "2.6.0", "hotcoco": "1.3"}.items()
    found = environments.interpreter("fake")
    assert found == environments.Environment(fake.place / name / "bin" / "python", "installed") and works(found.python)
    assert (fake.place / name).stat().st_mode == fake.place.stat().st_mode, "others may read it where they may read the place"

    again = fake.run("backend", "install", "fake")
    assert again.returncode == 0 and "already there" in again.stdout and again.stderr == "" and fake.folders() == [name]

    table = fake.run("backend", "list").stdout
    assert re.search(r"fake +installed +fakeframe 1.0, fakedet 2.6.0 +CPU +0.0 GiB", table)
    assert f"fake: {found.python}" in table

    gone = fake.run("backend", "remove", "fake")
    assert gone.returncode == 0 and re.search(r"removed .* \(0.0 GiB\)", gone.stdout) and list(fake.place.iterdir()) == []
    twice = fake.run("backend", "remove", "fake")
    assert twice.returncode == 2 and "no environment of fake to remove" in twice.stderr


@pytest.mark.slow
def test_a_checkout_replaces_the_release_until_the_release_is_asked_for_again(installed: Fake, checkout: Path) -> None:
    done = installed.run("backend", "install", "fake", "--ppdet", str(checkout))
    assert done.returncode == 0, done.stderr
    [name] = installed.folders()
    record = json.loads((installed.place / "fake.json").read_text(encoding="utf-8"))
    version = record["versions"]["fakedet"]
    assert (
        re.fullmatch(r"2\.7\.0\+[0-9a-f]{8}", version) and name.endswith(f"-{version}") and record["wish"]["source"] == f"fakedet {version}"
    )
    assert version in installed.run("backend", "list").stdout.replace("\n", "")

    again = installed.run("backend", "install", "fake", "--ppdet", str(checkout))
    assert again.returncode == 0 and "already there" in again.stdout and installed.folders() == [name]

    (checkout / "fakedet" / "core" / "workspace.py").unlink()
    wrong = installed.run("backend", "install", "fake", "--ppdet", str(checkout))
    assert wrong.returncode == 2 and "is no checkout of FakeDetection" in wrong.stderr and installed.folders() == [name]

    back = installed.run("backend", "install", "fake")
    assert back.returncode == 0 and installed.folders() != [name] and len(installed.folders()) == 1
    assert json.loads((installed.place / "fake.json").read_text(encoding="utf-8"))["versions"]["fakedet"] == "2.6.0"


@pytest.mark.slow
def test_a_new_request_replaces_the_old_environment_once_it_is_unused(installed: Fake) -> None:
    [old] = installed.folders()
    with subprocess.Popen([installed.place / old / "bin" / "python", "-c", "input()"], stdin=subprocess.PIPE) as user:
        refused = installed.run("backend", "remove", "fake")
        assert refused.returncode == 2 and f"in use by process {user.pid}" in refused.stderr
        address = installed.newer.as_uri()
        made = installed.run("backend", "install", "fake", "--gpu", "--index", address, PIP_NO_INDEX="0", PIP_INDEX_URL=address)
        assert made.returncode == 0, made.stderr
        assert "fakeframe 2.0" in made.stdout and "this is the GPU build, and no GPU was found" in made.stdout
        new = environments.interpreter("fake").python.parents[1].name
        assert set(installed.folders()) == {old, new} and old != new
        user.kill()
    assert re.search(r"fake +installed +fakeframe-gpu 2.0, fakedet 2.6.0 +GPU", installed.run("backend", "list").stdout)
    assert installed.folders() == [new]


def test_a_broken_one_is_made_anew_but_never_touched_before_the_new_one_works(installed: Fake) -> None:
    [old] = installed.folders()
    shutil.rmtree(next((installed.place / old).glob("lib/*/site-packages/fakehelper-1.0.dist-info")))
    with pytest.raises(InputError, match="no longer in .*: fakehelper; runner backend install fake makes it anew"):
        environments.interpreter("fake")
    failed = installed.run("backend", "install", "fake", FAKE_CHECK="fail", FAKE_SAYS="loss is nan")
    assert failed.returncode == 1 and failed.stdout == "" and "Traceback" not in failed.stderr
    assert "checking it with a training step failed (exit code 7); the last lines of" in failed.stderr
    assert "fakedet: loss is nan" in failed.stderr and installed.folders() == [old]
    assert str(installed.place / "fake-install.log") in failed.stderr
    assert "loss is nan" in (installed.place / "fake-install.log").read_text(encoding="utf-8")


def test_pip_that_fails_leaves_nothing_and_its_last_lines(fake: Fake) -> None:
    failed = fake.run("backend", "install", "fake", changes={"cpu": "no-such-package==1"})
    assert failed.returncode == 1 and "installing packages failed (exit code 1)" in failed.stderr
    assert "No matching distribution found for no-such-package==1" in failed.stderr
    assert fake.folders() == [] and environments.installed("fake") is None


def test_the_reason_is_named_where_it_is_known(tmp_path: Path, fake: Fake) -> None:
    builder = build.Builder("fake", fake.spec, tmp_path, tmp_path / "log", lambda _stage, _seconds: None)
    for text, reason in (
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("Retrying (Retry(total=4", "cannot be reached"),
    ):
        with pytest.raises(RunnerError, match=reason):
            builder._step("a stage", [sys.executable, "-c", f"import sys; sys.exit({text!r})"])


def test_what_cannot_be_made_is_refused_before_anything_is_written(fake: Fake) -> None:
    with pytest.raises(InputError, match="no environment to install for 'fakr'; did you mean 'fake'"):
        install.install("fakr")
    with pytest.raises(InputError, match="runs in this interpreter's environment: pip install"):
        install.install("torch")
    with pytest.raises(InputError, match="needs --gpu"):
        install.install("fake", index="file:///nowhere")
    with pytest.raises(InputError, match="no environment of fake to remove"):
        install.remove("fake")
    assert not fake.place.exists()


def test_too_little_room_is_said_before_anything_is_downloaded(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(install.SPECS, "fake", dataclasses.replace(fake.spec, size_gib=1e9))
    with pytest.raises(InputError, match="GiB free, 1500000000.0 GiB needed; free some space, or set RUNNER_ENVIRONMENTS"):
        install.install("fake")
    assert fake.folders() == []


def test_a_place_that_cannot_be_written(fake: Fake) -> None:
    fake.place.write_text("a file", encoding="utf-8")
    with pytest.raises(InputError, match="environments cannot be kept here"):
        install.install("fake")


# ------------------------------------------------------------------------------------------------- interrupted and killed
def test_a_second_install_says_who_is_at_it(fake: Fake) -> None:
    first = fake.start("backend", "install", "fake", FAKE_CHECK="60")
    try:
        wait_for(lambda: (fake.place / ".fake.lock").exists() and (fake.place / ".fake.lock").stat().st_size > 0)
        for arguments in (("install", "fake"), ("remove", "fake")):
            second = fake.run("backend", *arguments)
            assert second.returncode == 2 and f"process {first.pid} is changing the environment of fake since" in second.stderr
        assert fake.run("backend", "list").returncode == 0, "looking is allowed meanwhile, and sweeps nothing away"
        assert len(fake.folders()) <= 1
    finally:
        os.killpg(first.pid, signal.SIGINT)
        _, err = first.communicate(timeout=30)
    assert first.returncode == 130 and "runner: interrupted" in err and "Traceback" not in err
    assert fake.folders() == [] and processes_in(fake.place) == [], "Ctrl-C cleans up"


def test_what_a_killed_install_left_is_swept_and_nothing_else(installed: Fake) -> None:
    [name] = installed.folders()
    (installed.place / ".fake.lock").write_text('{"pid": 1, "since": "yesterday"}', encoding="utf-8")
    for other in ("fake-12345678", "fake-not-of-ours", "other-12345678"):
        (installed.place / other / "lib").mkdir(parents=True)
    assert installed.run("backend", "list").returncode == 0
    assert sorted(path.name for path in installed.place.glob("*/")) == sorted([name, "fake-not-of-ours", "other-12345678"])
    assert works(environments.interpreter("fake").python)


@pytest.mark.slow
@pytest.mark.parametrize("there_is_one", [pytest.param(False, marks=pytest.mark.exhaustive), True])
def test_killed_at_any_moment_the_old_one_works_or_there_is_none(fake: Fake, made: Path, there_is_one: bool) -> None:
    if there_is_one:
        shutil.copytree(made, fake.place, symlinks=True)
    old = fake.folders()
    numbers = random.Random(f"{time.time()} {there_is_one}")
    started = time.monotonic()
    fast = fake.start("backend", "install", "fake", "--force")
    _, err = fast.communicate(timeout=120)
    assert fast.returncode == 0, err
    takes_s = time.monotonic() - started
    if there_is_one:
        assert fake.folders() != old
    else:
        assert fake.run("backend", "remove", "fake").returncode == 0
    outcomes = set()
    for _ in range(2 if there_is_one else 4):  # more where it is exhaustive
        before = fake.run("backend", "list").stdout
        moment = numbers.uniform(0, takes_s * 1.05)
        process = fake.start("backend", "install", "fake", "--force")
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
        environments.forget()
        try:
            assert works(environments.interpreter("fake").python), f"killed after {moment:.2f} s"
            outcomes.add("works")
        except InputError as error:
            assert "needs an environment of its own" in str(error), f"killed after {moment:.2f} s: {error}"
            assert "fake +installed" not in before and not there_is_one
            outcomes.add("none")
    assert outcomes
    wait_for(lambda: processes_in(fake.place) == [])
    assert fake.run("backend", "install", "fake").returncode == 0
    assert len(fake.folders()) == 1 and works(environments.interpreter("fake").python)
    assert not list(fake.place.glob(".*")), "neither a lock nor a temporary file is left"


# --------------------------------------------------------------------------------------------------------- what goes in
def test_the_interpreter_is_looked_for_where_it_may_be(fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert install.find_python("fake", fake.spec) == Path(sys.executable)
    other = dataclasses.replace(fake.spec, python=(3, 99))
    with pytest.raises(InputError) as caught:
        install.find_python("fake", other)
    for part in (
        "needs Python 3.99 (the test says so)",
        "this interpreter (3.",
        "python3.99 on PATH (not found)",
        "--python /path/to/python3.99",
    ):
        assert part in str(caught.value)
    with pytest.raises(InputError, match=r"nowhere/python .*does not start: No such file"):
        install.find_python("fake", fake.spec, str(tmp_path / "nowhere" / "python"))
    (tmp_path / "python3.99").write_text("#!/bin/sh\necho '{\"python\": [3, 99, 2]}'\n", encoding="utf-8")
    (tmp_path / "python3.99").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert install.find_python("fake", other) == tmp_path / "python3.99"


def test_a_wish_keeps_no_password_and_changes_with_the_pins(fake: Fake) -> None:
    wish = install.wish_of(fake.spec, gpu=True, index="https://user:secret@index.example/gpu/")
    assert wish["index"] == "https://index.example/gpu/" and wish["framework"] == "fakeframe-gpu>=2" and "secret" not in json.dumps(wish)
    assert install.wish_of(fake.spec, gpu=True, index="")["framework"] == "fakeframe-gpu==0.9"
    pins = Path(fake.spec.constraints)
    other = fake.place.parent / "pins.txt"
    other.write_text("# another comment\n" + pins.read_text(encoding="utf-8"), encoding="utf-8")
    same = install.wish_of(dataclasses.replace(fake.spec, constraints=str(other)), gpu=False, index="")
    assert same == install.wish_of(fake.spec, gpu=False, index="")
    other.write_text("fakehelper==2.0\n", encoding="utf-8")
    assert same != install.wish_of(dataclasses.replace(fake.spec, constraints=str(other)), gpu=False, index="")


def test_what_runner_requires_is_known_without_its_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {re.split(r"[^\w-]", requirement)[0] for requirement in build.own_requirements()}
    assert names == {"hotcoco", "numpy", "pillow", "psutil", "pyyaml", "rich"}
    monkeypatch.setattr(build, "_DISTRIBUTION", "no-such-package")
    assert {re.split(r"[^\w-]", requirement)[0] for requirement in build.own_requirements()} == names


def test_runner_is_copied_where_there_are_no_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: Any, **_options: Any) -> None:
        raise OSError("no links here")

    assert build._put_runner(tmp_path) is True and (tmp_path / "runner").is_symlink()
    (tmp_path / "runner").unlink()
    monkeypatch.setattr(Path, "symlink_to", refuse)
    assert build._put_runner(tmp_path) is False
    assert (tmp_path / "runner" / "core" / "process.py").is_file() and not (tmp_path / "runner").is_symlink()


def test_variables_that_lead_pip_elsewhere_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_PREFIX", "PIP_USER"):
        monkeypatch.setenv(name, "1")
    found = build._variables()
    assert found["PIP_USER"] == "0" and not found.keys() & {"PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_PREFIX"}


def test_paddles_pins_are_plain_and_fit_its_spec() -> None:
    lines = (shipped("constraints") / "paddle.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    spec = install.SPECS["paddle"]
    assert pins["paddlepaddle"] == spec.cpu.split("==")[1] and spec.bare == (f"paddledet=={pins['paddledet']}",)
    assert "paddlepaddle-gpu" not in pins, "a pin would forbid one of the two GPU builds"
    lower = {environments._normalised(name) for name in pins}
    for requirement in (*spec.packages, *build.own_requirements()):
        assert environments._normalised(re.split(r"[<>=]", requirement)[0]) in lower, f"{requirement} has no pin"
