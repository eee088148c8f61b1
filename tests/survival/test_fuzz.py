"""Every file of a sweep is damaged in many ways and every command is run on it: no traceback, no hang, one message, and a repair helps."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.damage import CHANGES, FILES, LOOKS, Mutation, Stage, field_mutations, try_all, whole_file_mutations

QUICK_LOOKS = ("ls", "status", "compare --format json", "sweep --dry-run", "verify")
QUICK_CHANGES = ("sweep",)


@pytest.fixture(scope="module", params=["fixed", "optuna"])
def pristine(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Stage:
    return Stage.make(tmp_path_factory.mktemp("fuzz") / "pristine", str(request.param))


def mutations(stage: Stage) -> list[Mutation]:
    """All of them, in an order that is mixed and always the same."""
    found = [mutation for file in FILES for mutation in whole_file_mutations(file)]
    for file in FILES:
        path = stage.folder / file
        if path.suffix in (".json", ".jsonl") and path.is_file() and path.stat().st_size:
            found += field_mutations(file, path.read_text())
    random.Random(0).shuffle(found)
    return found


def check(stage: Stage, scratch: Path, chosen: Sequence[Mutation], looks: Sequence[str], changes: Sequence[str]) -> None:
    """Fail with all that went wrong."""
    counts, troubles = 0, []
    for mutation in chosen:
        count, wrong = try_all(mutation, stage, scratch, looks, changes)
        counts, troubles = counts + count, troubles + wrong
    print(f"{len(chosen)} mutations, {counts} commands, {len(troubles)} failures")
    assert not troubles, "\n".join(troubles)


def test_a_selection_of_damage(pristine: Stage, tmp_path: Path) -> None:
    every = mutations(pristine)
    assert len(every) > 2000
    check(pristine, tmp_path, every[:8], QUICK_LOOKS, QUICK_CHANGES)


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.timeout(900)
def test_much_damage(pristine: Stage, tmp_path: Path) -> None:
    check(pristine, tmp_path, mutations(pristine)[8:80], list(LOOKS), list(CHANGES))
