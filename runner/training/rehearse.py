"""What a worker does first, done once in the process that workers are forked from: it takes a tenth of the time from then on."""

from __future__ import annotations

from typing import Any

from runner.config.bind import bind, section_classes
from runner.config.load import parse
from runner.config.node import Source


def rehearse(config_class: type[Any]) -> None:
    """Read a small YAML text and the annotations of all of `config_class`, and bind one to the other. Starts no thread."""
    section_classes(config_class)
    bind(parse("{seed: 0, log_iter: 1, use_gpu: false, trackers: [], save_dir: runs}", lambda line: Source("", line)), config_class)
