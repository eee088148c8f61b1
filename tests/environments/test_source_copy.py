from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runner.core.errors import InputError, RunnerError
from runner.environments.source_copy import read_checkout
from runner.environments.specs import SourceSpec


@pytest.fixture
def spec(fake: Any) -> SourceSpec:
    found: SourceSpec = fake.spec.source
    return found


def commit(folder: Path) -> str:
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *words], check=True)
    return subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()


def test_the_version_names_commit_and_content(checkout: Path, spec: SourceSpec) -> None:
    without = read_checkout(checkout, spec)
    assert without.version == f"2.7.0+{without.digest[:8]}" and without.commit == ""
    head = commit(checkout)
    found = read_checkout(checkout, spec)
    assert found.version == f"2.7.0+{head[:10]}.{without.digest[:8]}" and found.commit == head
    assert found.files == ("fakedet/__init__.py", "fakedet/check.py", "fakedet/core/__init__.py", "fakedet/core/workspace.py")
    (checkout / "README.md").write_text("still not copied\n", encoding="utf-8")
    assert read_checkout(checkout, spec).version == found.version
    (checkout / "fakedet" / "new.py").touch()  # nobody has added it to the repository
    changed = read_checkout(checkout, spec)
    assert changed.commit == head and changed.version != found.version


def test_the_copy_is_an_installed_distribution_and_stays_as_it_was(checkout: Path, spec: SourceSpec, tmp_path: Path) -> None:
    found, place = read_checkout(checkout, spec), tmp_path / "site-packages"
    place.mkdir()
    found.copy_to(place)
    (checkout / "fakedet" / "core" / "workspace.py").write_text("WHO = 'the second'\n", encoding="utf-8")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from importlib.metadata import version; import fakedet.version as v;"
        "from fakedet.core.workspace import WHO; print(version('fakedet'), v.full_version, repr(v.commit), WHO)"
    )
    done = subprocess.run([sys.executable, "-I", "-B", "-c", code, str(place)], check=True, capture_output=True, text=True)
    assert done.stdout == f"{found.version} {found.version} '' the first\n"
    assert not (checkout / "it-ran").exists() and not list(place.rglob("*.pyc"))


def test_a_checkout_that_changes_in_between_is_not_copied(checkout: Path, spec: SourceSpec, tmp_path: Path) -> None:
    found = read_checkout(checkout, spec)
    (checkout / "fakedet" / "core" / "workspace.py").write_text("WHO = 'the second'\n", encoding="utf-8")
    with pytest.raises(RunnerError, match="was changed while it was being copied"):
        found.copy_to(tmp_path / "site-packages")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("setup.py", "FAKE_VERSION = version()\n", "does not set FAKE_VERSION to a version"),
        ("setup.py", "FAKE_VERSION = '../../x'\n", "does not set FAKE_VERSION to a version"),
        ("setup.py", "not ( Python\n", "is no Python file"),
        ("setup.py", "(" * 100_000, "is no Python file"),
        ("fakedet/core/workspace.py", None, "is no checkout of FakeDetection: it has no fakedet/core/workspace.py"),
        ("setup.py", None, "is no checkout of FakeDetection: it has no setup.py"),
    ],
)
def test_what_is_no_checkout_is_refused(checkout: Path, spec: SourceSpec, name: str, text: str | None, expected: str) -> None:
    (checkout / name).unlink()
    if text is not None:
        (checkout / name).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=expected.replace("(", r"\(")):
        read_checkout(checkout, spec)


def test_links_and_files_are_refused(checkout: Path, spec: SourceSpec) -> None:
    (checkout / "fakedet" / "secrets").symlink_to("/etc")
    with pytest.raises(InputError, match="secrets: is a symbolic link"):
        read_checkout(checkout, spec)
    with pytest.raises(InputError, match="is not a folder; expected a checkout of FakeDetection"):
        read_checkout(checkout / "setup.py", spec)
