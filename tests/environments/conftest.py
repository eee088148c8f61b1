"""A backend that needs an environment of its own, in small: wheels of a few lines, in a folder that real pip installs from, offline."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.sharing import made_once

from runner.environments import interpreters as environments
from runner.environments.build import own_requirements
from runner.environments.interpreters import PLACE_VARIABLE
from runner.environments.specs import SPECS, EnvironmentSpec, SourceSpec

ROOT = Path(__file__).resolve().parents[2]
SPEC = EnvironmentSpec(
    modules=("fakeframe", "fakedet"),
    shown=("fakeframe", "fakeframe-gpu", "fakedet"),
    python=sys.version_info[:2],
    why_python="the test says so",
    cpu="fakeframe==1.0",
    gpu="fakeframe-gpu==0.9",
    newer_gpu="fakeframe-gpu>=2",
    packages=("fakehelper<3",),
    bare=("fakedet==2.6.0",),
    size_gib=0.001,
    gpu_size_gib=0.001,
    minutes=1,
    constraints="",
    check="fakedet.check",
    source=SourceSpec(
        shown="FakeDetection",
        module="fakedet",
        distribution="fakedet",
        version_file="setup.py",
        version_name="FAKE_VERSION",
        version_module="fakedet/version.py",
        landmarks=("fakedet/core/workspace.py",),
        packages=(),
    ),
)
_CHECK = """
import json, os, sys, time
from importlib import metadata
import fakeframe
if os.environ.get("FAKE_CHECK") == "fail":
    print("fakedet: " + os.environ.get("FAKE_SAYS", "the step failed"))
    sys.exit(7)
time.sleep(float(os.environ.get("FAKE_CHECK") or 0))
with open(sys.argv[1], "w") as file:
    json.dump({"versions": {"fakeframe": fakeframe.VERSION}, "gpus": [], "loss": 1.0}, file)
"""
_DRIVER = """
import json, sys
from runner.environments.specs import SPECS, EnvironmentSpec, SourceSpec
def made(cls, given):
    return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in given.items()})
given = json.loads(sys.argv.pop(1))
SPECS["fake"] = made(EnvironmentSpec, {**given, "source": made(SourceSpec, given["source"])})
from runner.cli.main import main
sys.exit(main())
"""


@dataclasses.dataclass(frozen=True)
class Fake:
    """The backend `fake`, and ``runner`` as a process that knows it.

    Args:
        wheels: what pip finds.
        newer: a package index that has a newer GPU build.
        spec: of its environment.
        place: where environments are installed.
    """

    wheels: Path
    newer: Path
    spec: EnvironmentSpec
    place: Path

    def command(self, *arguments: str, **changes: Any) -> list[str]:
        """The argv of ``runner ARGUMENT…``; `changes` are of the spec."""
        spec = dataclasses.asdict(dataclasses.replace(self.spec, **changes))
        return [sys.executable, "-c", _DRIVER, json.dumps(spec), *arguments]

    def variables(self, **more: str) -> dict[str, str]:
        """Variables that keep pip offline and the environments in `place`."""
        ours = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": self.wheels.as_uri(), "PIP_CONFIG_FILE": os.devnull, PLACE_VARIABLE: str(self.place)}
        return {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120", "NO_COLOR": "1", **ours, **more}

    def start(self, *arguments: str, changes: Mapping[str, Any] | None = None, **variables: str) -> subprocess.Popen[str]:
        """Start ``runner ARGUMENT…`` in a session of its own."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
        return subprocess.Popen(self.command(*arguments, **(changes or {})), env=self.variables(**variables), **pipes)  # type: ignore[call-overload,no-any-return]

    def run(self, *arguments: str, changes: Mapping[str, Any] | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
        """``runner ARGUMENT…``, waited for."""
        process = self.start(*arguments, changes=changes, **variables)
        out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def folders(self) -> list[str]:
        """Names of the environments' folders, whole or not."""
        return sorted(path.name for path in self.place.glob("fake-*/"))


@pytest.fixture(scope="session")
def fake_index(tmp_path_factory: pytest.TempPathFactory) -> Fake:
    """Wheels in a folder; its path has no spaces, which separate addresses for pip."""
    return make_index(tmp_path_factory.mktemp("index"))


@pytest.fixture
def fake(fake_index: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    """The backend `fake`, known in this process too, with an empty place for its environment."""
    here = dataclasses.replace(fake_index, place=tmp_path / "some 'place' ü")
    monkeypatch.setitem(SPECS, "fake", here.spec)
    monkeypatch.setenv(PLACE_VARIABLE, str(here.place))
    environments.forget()
    yield here
    environments.forget()


@pytest.fixture(scope="session")
def made(fake_index: Fake, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place with the environment of `fake` in it, made once. Copy it."""

    def install(folder: Path) -> None:
        done = dataclasses.replace(fake_index, place=folder / "place").run("backend", "install", "fake")
        assert done.returncode == 0, done.stderr

    return made_once(tmp_path_factory, "made", install) / "place"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout of fakedet 2.7.0, whose setup.py must not be run."""
    files = {
        "setup.py": "import os\nFAKE_VERSION = '2.7.0'\nos.mkdir('it-ran')\n",
        "README.md": "not copied\n",
        "fakedet/__init__.py": "from .version import commit\n",
        "fakedet/check.py": _CHECK,
        "fakedet/version.py": "commit = 'of another installation'\n",
        "fakedet/core/__init__.py": "",
        "fakedet/core/workspace.py": "WHO = 'the first'\n",
        "fakedet/core/__pycache__/workspace.pyc": "old",
    }
    folder = tmp_path / "some check out"
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def installed(fake: Fake, made: Path) -> Fake:
    """`fake` with its environment installed: a copy, since a virtual environment's interpreter works wherever it lies."""
    shutil.copytree(made, fake.place, symlinks=True)
    return fake


def make_index(folder: Path) -> Fake:
    """Build the wheels."""
    wheels, newer = folder / "wheels", folder / "newer" / "fakeframe-gpu"
    wheels.mkdir()
    newer.mkdir(parents=True)
    for name, version in (("fakeframe", "1.0"), ("fakeframe-gpu", "0.9")):
        write_wheel(wheels, name, version, {"fakeframe/__init__.py": f"VERSION = {version!r}\n"})
    file = write_wheel(newer, "fakeframe-gpu", "2.0", {"fakeframe/__init__.py": "VERSION = '2.0'\n"})
    (newer / "index.html").write_text(f'<a href="{file.name}">{file.name}</a>', encoding="utf-8")
    for version in ("1.0", "2.0"):  # the pin takes the older one
        write_wheel(wheels, "fakehelper", version, {"fakehelper.py": ""})
    write_wheel(wheels, "fakedet", "2.6.0", {"fakedet/__init__.py": "", "fakedet/check.py": _CHECK}, requires="no-such-package")
    for requirement in own_requirements():
        found = re.match(r"([\w.-]+).*?>=([\d.]+)", requirement)
        assert found is not None, requirement
        write_wheel(wheels, found[1], found[2], {})
    pins = folder / "pins.txt"
    pins.write_text("# pins\nfakehelper==1.0\n", encoding="utf-8")
    return Fake(wheels, newer.parent, dataclasses.replace(SPEC, constraints=str(pins)), folder)


def write_wheel(folder: Path, name: str, version: str, files: Mapping[str, str], requires: str = "") -> Path:
    """A wheel with these files."""
    stem = f"{name.replace('-', '_')}-{version}"
    information = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n" + (f"Requires-Dist: {requires}\n" if requires else "")
    every = {
        **files,
        f"{stem}.dist-info/METADATA": information,
        f"{stem}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = f"{stem}.dist-info/RECORD"
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in every.items():
            archive.writestr(file, text)
        archive.writestr(record, "".join(f"{file},,\n" for file in [*every, record]))
    return path
