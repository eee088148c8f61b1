"""What a run does with names of weights: it finds the locked file, or says which command gets it."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest
from support.weights import lock, pdparams

from runner.core.errors import InputError, Missing
from runner.weights.locate import locked, weights_file, weights_fingerprint, weights_problems

NAME = "ResNet18_Weights.IMAGENET1K_V1"
CONTENT = pdparams()
DIGEST = sha256(CONTENT).hexdigest()


@pytest.mark.parametrize("name", [NAME, "PekingU/rtdetr_r18vd", "https://example.org/a.pdparams", "ppdet://a.pdparams"])
def test_a_name_that_is_not_locked(store: Path, name: str) -> None:
    (problem,) = weights_problems(name)
    assert isinstance(problem, Missing) and problem.key == "pretrain_weights"
    assert f"{name} is not in weights.lock" in problem.message and problem.message.endswith(f": runner weights fetch {name}")
    assert locked(name) == name and weights_fingerprint(name) == name
    with pytest.raises(InputError):
        weights_file(name)


def test_a_locked_name_is_its_stored_file(store: Path) -> None:
    path = lock(NAME, CONTENT, ".pth")
    assert not weights_problems(NAME) and weights_file(NAME) == path
    assert locked(NAME) == f"{NAME}#sha256={DIGEST}"
    assert weights_fingerprint(locked(NAME)) == DIGEST


def test_a_pinned_name_needs_no_lock(store: Path) -> None:
    path = lock(NAME, CONTENT, ".pth")
    Path("weights.lock").unlink()
    pinned = f"{NAME}#sha256={DIGEST}"
    assert weights_file(pinned) == path and locked(pinned) == pinned
    path.unlink()
    (problem,) = weights_problems(pinned)
    assert problem.message == f"{NAME} is locked, but its file is not on this machine: runner weights fetch '{pinned}'"


def test_a_damaged_stored_file_is_not_used(store: Path) -> None:
    path = lock(NAME, CONTENT, ".pth")
    path.chmod(0o644)
    path.write_bytes(b"y" + CONTENT[1:])
    (problem,) = weights_problems(NAME)
    assert f"{path} is damaged: runner weights fetch {NAME}" in problem.message


def test_a_file_counts_by_content(tmp_path: Path) -> None:
    file = tmp_path / "w.pdparams"
    file.write_bytes(CONTENT)
    assert weights_fingerprint(str(file)) == weights_fingerprint(str(file.with_suffix(""))) == DIGEST
    assert not weights_problems(str(file)) and weights_file(str(file)) == file
    pinned = f"{file}#sha256={DIGEST}"
    assert not weights_problems(pinned) and weights_file(pinned) == file and weights_fingerprint(pinned) == DIGEST
    file.write_bytes(b"changed")
    (problem,) = weights_problems(pinned)
    assert not isinstance(problem, Missing) and "is not the pinned file" in problem.message and DIGEST in problem.message
    file.unlink()
    assert isinstance(weights_problems(pinned)[0], Missing)
    assert weights_fingerprint(None) == "" and weights_fingerprint(str(file)) == str(file)


def test_a_damaged_lock_is_one_problem(store: Path) -> None:
    Path("weights.lock").write_text("not toml")
    (problem,) = weights_problems(NAME)
    assert "is not TOML" in problem.message
