"""Location of the files that come with the program: configs, constraints, data specs and sweeps."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import runner
from runner.core.errors import RunnerError


def shipped(kind: Literal["configs", "constraints", "datasets", "sweeps"]) -> Path:
    """Return the folder of shipped `kind`: ``runner/shipped/<kind>`` in an installed package, ``<kind>`` beside the package in a checkout.

    Raises:
        RunnerError: neither is there, so the installation is incomplete.
    """
    package = Path(runner.__file__).resolve().parent
    installed, checkout = package / "shipped" / kind, package.parent / kind
    if installed.is_dir():
        return installed
    # another package of that name may lie beside an installed package (Hugging Face's `datasets`)
    if checkout.is_dir() and not (checkout / "__init__.py").exists():
        return checkout
    raise RunnerError(f"the installation is incomplete: neither {installed} nor {checkout} exists; install the package again")
