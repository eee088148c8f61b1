"""The model that docs/models.md shows is complete: it is registered, held to the contract, and trained."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = ("cells.py", "cells_network.py", "test_cells.py")


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example's modules and the metadata that its installation would leave."""
    folder = tmp_path_factory.mktemp("cells")
    text = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    found = re.findall(r"```python\n# (\w+\.py)[^\n]*\n(.*?)```", text, flags=re.DOTALL)
    assert tuple(name for name, _ in found) == MODULES
    for name, code in found:
        (folder / name).write_text(code, encoding="utf-8")
    (toml,) = re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL)
    group, entry = toml.splitlines()
    about = folder / "cells-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: cells\nVersion: 1.0\n", encoding="utf-8")
    section = re.fullmatch(r'\[project\.entry-points\."(.+)"\]', group)
    assert section is not None
    (about / "entry_points.txt").write_text(f"[{section[1]}]\n{entry.replace(chr(34), '')}\n", encoding="utf-8")
    return folder


def installed(folder: Path) -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join((str(ROOT), str(folder)))}


@pytest.mark.slow
def test_the_model_that_is_shown_passes_the_contract_suite(cells: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", ROOT / "pyproject.toml", "--rootdir", ROOT]
    done = subprocess.run(
        [*command, cells / "test_cells.py"], env={**os.environ, **installed(cells)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert " passed" in done.stdout  # skipped are the tests of optional keys that it does not honour


def test_it_is_trained(cells: Path, write_config: Callable[..., Path], cli: Callable[..., Any], tmp_path: Path) -> None:
    steps = [{"Decode": {}}, {"Resize": {"target_size": 48, "keep_ratio": False}}, {"NormalizeImage": {}}, {"Permute": {}}]
    config = write_config(
        architecture="Cells",
        Cells={"backbone": "ResNet", "kept": 5},
        ResNet={"depth": 18, "freeze_at": -1, "freeze_norm": False, "num_stages": 2, "return_idx": [1]},
        TrainReader={"sample_transforms": steps, "batch_transforms": [{"PadBatch": {}}], "batch_size": 2},
    )
    cli("train", "-c", config, "--run-dir", "a run", env=installed(cells)).fine()
    assert len(json.loads((tmp_path / "a run" / "predictions.json").read_text())) == 4 * 5
