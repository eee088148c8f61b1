"""`python -P -m runner.backends.probe NAME FILE`: asks a backend what this machine has, in a process of its own, and writes the answer
as JSON."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from runner.backends.base import BACKENDS, Backend


def main(name: str, answer: str) -> None:
    """Write the `Probe` of backend `name` to the file `answer`."""
    backend: Backend = BACKENDS.get(name)()
    Path(answer).write_text(json.dumps(asdict(backend.probe())), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
