"""Patches of ppdet, in a process of their own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from runner.core.importing import child_environment

_CODE = """
from runner.backends.paddle.ppdet import load_ppdet
load_ppdet()
import paddle
from ppdet.utils import checkpoint, download
from runner.core.errors import InputError
url = "ppdet://models/a.pdparams"
for get in (
    download.get_weights_path, checkpoint.get_weights_path, lambda url: checkpoint.load_pretrain_weight(None, url),
    paddle.utils.download.get_weights_path_from_url, lambda url: download.get_path(url, "."), lambda url: download._download(url, "."),
):
    try:
        get(url)
    except InputError as error:
        print(error)
"""


@pytest.mark.slow
def test_nothing_is_downloaded(paddle_python: Path, tmp_path: Path) -> None:
    """Files in Paddle's cache are not used either, since their content is not verified."""
    cached = tmp_path / ".cache" / "paddle" / "weights"
    cached.mkdir(parents=True)
    (cached / "a.pdparams").touch()
    environment = child_environment({"HOME": str(tmp_path)})
    done = subprocess.run(
        [str(paddle_python), "-P", "-c", _CODE], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and len(lines) == 6, done
    assert all("and a run downloads nothing: runner weights fetch" in line for line in lines)
    assert not [path for path in tmp_path.rglob("*.pdparams") if path.parent != cached]
