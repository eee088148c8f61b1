"""The order of images in Paddle's environment, which has an older numpy."""

from __future__ import annotations

import subprocess
from pathlib import Path

from runner.training.sampler import epoch_order


def test_it_is_the_same_with_an_old_numpy(paddle_python: Path) -> None:
    code = "from runner.training.sampler import epoch_order; print(epoch_order(7, 3, 400, shuffle=True).tolist())"
    out = subprocess.run([paddle_python, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == str(epoch_order(7, 3, 400, shuffle=True).tolist())
