"""The state of a checkout: what Git itself would say, without a single program that the checkout names."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.core import checkout
from runner.core.checkout import UNKNOWN, code_state

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="no git")
VARIABLES = {
    **os.environ,
    **{f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}
Change = Callable[[Path], object]


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], env=VARIABLES, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The git settings of the user who runs the tests do not count."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)


@pytest.fixture(params=["sha1", "sha256"])
def repository(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A checkout with a commit: files, a program, a link, a folder, odd names."""
    root = tmp_path / "some 'code' ü"
    root.mkdir()
    git(root, "init", "-q", f"--object-format={request.param}")
    (root / "a.py").write_text("print(1)\n")
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    (root / "deep" / "er").mkdir(parents=True)
    (root / "deep" / "er" / "new\nline ü").write_text("x\n")
    (root / "crlf.txt").write_bytes(b"one\r\ntwo\r\n")
    (root / "link").symlink_to("a.py")
    git(root, "add", ".")
    git(root, "commit", "-qm", "first")
    return root


CHANGES: dict[str, Change] = {
    "nothing": lambda root: None,
    "untracked": lambda root: (root / "b.py").write_text("x"),
    "touched": lambda root: os.utime(root / "a.py", (1, 1)),
    "edited": lambda root: (root / "a.py").write_text("print(2)\n"),
    "edited, same size and time": lambda root: ((root / "a.py").write_text("print(2)\n"), os.utime(root / "a.py", (1, 1))),
    "staged": lambda root: ((root / "a.py").write_text("print(2)\n"), git(root, "add", ".")),
    "staged and taken back": lambda root: (
        (root / "a.py").write_text("print(2)\n"),
        git(root, "add", "."),
        (root / "a.py").write_text("print(1)\n"),
    ),
    "added": lambda root: ((root / "b.py").write_text("x"), git(root, "add", ".")),
    "deleted": lambda root: (root / "a.py").unlink(),
    "taken out of the index": lambda root: git(root, "rm", "-q", "--cached", "a.py"),
    "no program any more": lambda root: (root / "run.sh").chmod(0o644),
    "another link": lambda root: ((root / "link").unlink(), (root / "link").symlink_to("run.sh")),
    "a file for a link": lambda root: ((root / "link").unlink(), (root / "link").write_text("a.py")),
    "a folder for a file": lambda root: ((root / "a.py").unlink(), (root / "a.py").mkdir()),
    "a linked folder": lambda root: ((root / "deep").rename(root.parent / "deep"), (root / "deep").symlink_to(root.parent / "deep")),
    "packed": lambda root: git(root, "gc", "-q"),
    "split index": lambda root: git(root, "update-index", "--split-index"),
    "detached": lambda root: git(root, "checkout", "-q", "--detach"),
    "modes do not count": lambda root: (git(root, "config", "core.fileMode", "false"), (root / "run.sh").chmod(0o644)),
    "edited beside ordinary attributes": lambda root: (
        (root / ".gitattributes").write_text("*.py text diff=python\n"),
        (root / "a.py").write_text("print(2)\n"),
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_it_agrees_with_git(repository: Path, name: str) -> None:
    CHANGES[name](repository)
    found = code_state(repository / "deep")
    assert found["commit"] == git(repository, "rev-parse", "HEAD")
    assert bool(found["diff"]) == bool(git(repository, "diff", "HEAD")) and found["diff"] != UNKNOWN
    assert code_state(repository) == found


def test_other_changes_are_told_apart(repository: Path) -> None:
    (repository / "a.py").write_text("print(2)\n")
    one = code_state(repository)["diff"]
    (repository / "a.py").write_text("print(3)\n")
    other = code_state(repository)["diff"]
    (repository / "a.py").write_text("print(2)\n")
    assert len({one, other, ""}) == 3 and code_state(repository)["diff"] == one and len(one) == 12


@pytest.mark.parametrize("attributes", ["*.py filter=x", "*.py working-tree-encoding=utf-16", "[attr]lfs filter=x\n*.py lfs"])
@pytest.mark.parametrize("where", [".gitattributes", ".git/info/attributes"])
def test_a_file_that_a_filter_may_convert_is_unknown(repository: Path, attributes: str, where: str) -> None:
    (repository / where).parent.mkdir(exist_ok=True)
    (repository / where).write_text(f"{attributes}\n")
    assert code_state(repository)["diff"] == ""  # all that is committed is there, byte by byte
    (repository / "a.py").write_text("print(2)\n")
    assert code_state(repository)["diff"] == UNKNOWN


@pytest.mark.parametrize("content", [b"print(1)\r\n", b"$Id: 123 $\n"], ids=["line ends", "ident"])
def test_what_may_be_the_committed_text_in_another_form_is_unknown(repository: Path, content: bytes) -> None:
    (repository / "a.py").write_bytes(b"$Id$\n" if b"Id" in content else b"print(1)\n")
    git(repository, "commit", "-qam", "second", "--allow-empty")
    (repository / "a.py").write_bytes(content)
    assert code_state(repository)["diff"] == UNKNOWN


def test_a_linked_work_tree_a_submodule_and_a_sparse_one(repository: Path, tmp_path: Path) -> None:
    git(repository, "worktree", "add", "-q", "-b", "other", str(tmp_path / "linked"))
    (tmp_path / "linked" / "a.py").write_text("print(2)\n")
    git(tmp_path / "linked", "commit", "-qam", "second")
    found = code_state(tmp_path / "linked" / "deep")
    assert found == {"commit": git(tmp_path / "linked", "rev-parse", "HEAD"), "diff": ""} != code_state(repository)
    git(tmp_path / "linked", "sparse-checkout", "set", "--no-cone", "/a.py")
    assert not (tmp_path / "linked" / "run.sh").exists() and code_state(tmp_path / "linked")["diff"] == ""
    git(repository, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(tmp_path / "linked"), "sub")
    git(repository, "commit", "-qm", "third")
    assert code_state(repository)["diff"] == UNKNOWN
    shutil.rmtree(repository / "sub")
    (repository / "sub").mkdir()  # not fetched
    assert code_state(repository)["diff"] == ""


def test_no_program_of_the_checkout_is_started(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by its configuration, nor by its hooks, nor to fetch what it says others have."""
    ran = repository.parent / "RAN"
    script = repository.parent / "script.sh"
    script.write_text(f'#!/bin/sh\necho "$0" >> "{ran}"\n')
    script.chmod(0o755)
    (repository / ".gitattributes").write_text("* filter=x diff=x merge=x\n")
    keys = "diff.external core.fsmonitor core.sshCommand core.pager core.editor core.askPass core.gitProxy core.alternateRefsCommand"
    keys += " filter.x.clean filter.x.smudge filter.x.process diff.x.command diff.x.textconv merge.x.driver credential.helper"
    keys += " pager.ls-tree pager.ls-files gpg.program uploadpack.packObjectsHook remote.origin.uploadpack"
    for key in keys.split():
        git(repository, "config", key, str(script))
    for name in ("ls-tree", "ls-files", "rev-parse"):
        git(repository, "config", f"alias.{name}", f"!{script}")
    git(repository, "config", "remote.origin.url", f"ext::{script}")
    git(repository, "config", "remote.origin.promisor", "true")
    git(repository, "config", "extensions.partialClone", "origin")
    git(repository, "config", "core.repositoryFormatVersion", "1")
    git(repository, "config", "protocol.ext.allow", "always")
    git(repository, "config", "core.hooksPath", str(repository.parent / "hooks"))
    for name in ("post-index-change", "reference-transaction", "post-checkout", "fsmonitor-watchman"):
        (repository.parent / "hooks").mkdir(exist_ok=True)
        shutil.copy(script, repository.parent / "hooks" / name)
    commit = (repository / ".git" / (repository / ".git" / "HEAD").read_text().removeprefix("ref:").strip()).read_text().strip()
    for name in ("GIT_EXTERNAL_DIFF", "GIT_SSH_COMMAND", "GIT_PAGER"):
        monkeypatch.setenv(name, str(script))
    assert code_state(repository) == {"commit": commit, "diff": ""}
    (repository / "a.py").write_text("print(2)\n")
    os.utime(repository / "run.sh", (1, 1))
    assert code_state(repository) == {"commit": commit, "diff": UNKNOWN}
    shutil.rmtree(repository / ".git" / "objects")  # Git would fetch them
    (repository / ".git" / "objects").mkdir()
    assert code_state(repository) == {"commit": commit, "diff": UNKNOWN}
    assert not ran.exists()


def test_variables_of_git_do_not_lead_elsewhere(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = code_state(repository)
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"):
        monkeypatch.setenv(name, str(tmp_path))
    assert code_state(repository) == found


DAMAGE: dict[str, Change] = {
    "index": lambda git_dir: (git_dir / "index").write_bytes(b"DIRC\0\0\0\2\xff\xff\xff\xff"),
    "index is a pipe": lambda git_dir: ((git_dir / "index").unlink(), os.mkfifo(git_dir / "index")),
    "no index": lambda git_dir: (git_dir / "index").unlink(),
    "no objects": lambda git_dir: shutil.rmtree(git_dir / "objects"),
    "no such commit": lambda git_dir: (git_dir / "HEAD").write_text("1" * 40),
    "a tracked file is a pipe": lambda git_dir: ((git_dir.parent / "a.py").unlink(), os.mkfifo(git_dir.parent / "a.py")),
    "HEAD is no commit": lambda git_dir: (git_dir / "HEAD").write_text("what?"),
    "HEAD leads out": lambda git_dir: (git_dir / "HEAD").write_text("ref: refs/../../a.py"),
    "HEAD leads round": lambda git_dir: (git_dir / "HEAD").write_text("ref: HEAD"),
    "HEAD is huge": lambda git_dir: (git_dir / "HEAD").write_bytes(b"x" * (2 << 20)),
    "another way of keeping branches": lambda git_dir: (
        (git_dir / "reftable").mkdir(),
        (git_dir / "HEAD").write_text("ref: refs/heads/.invalid"),
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_what_cannot_be_read_is_unknown(repository: Path, name: str) -> None:
    DAMAGE[name](repository / ".git")
    found = code_state(repository)
    if name == "a tracked file is a pipe":
        assert found["diff"] not in ("", UNKNOWN)  # a pipe is not that file
    else:
        assert found["diff"] == UNKNOWN
    assert (found["commit"] == UNKNOWN) == name.startswith(("HEAD", "another"))


def test_outside_a_checkout_and_before_the_first_commit(tmp_path: Path) -> None:
    assert code_state(tmp_path) == {}
    (tmp_path / ".git").write_text("gitdir: nowhere")
    assert code_state(tmp_path) == {}
    (tmp_path / ".git").unlink()
    git(tmp_path, "init", "-q")
    assert code_state(tmp_path) == {}


def test_a_large_one_is_left_alone(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkout, "_MAX_BYTES", 20)
    assert code_state(repository)["diff"] == UNKNOWN
    monkeypatch.setattr(checkout, "_MAX_BYTES", 1 << 20)
    monkeypatch.setattr(checkout, "_MAX_LIST_BYTES", 20)
    assert code_state(repository)["diff"] == UNKNOWN


def test_without_git_the_commit_is_known(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    monkeypatch.setenv("PATH", "/nowhere")
    assert code_state(repository) == {"commit": commit, "diff": UNKNOWN}
