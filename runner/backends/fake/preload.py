"""Imports what a worker of the fake backend will need (see `runner.launch.base.Task.preload`). Starts no thread."""

from runner.backends.fake import backend
from runner.backends.fake.schema import FakeConfig
from runner.backends.fake.script import Script
from runner.training.common_config import rehearse

__all__ = ["backend"]

rehearse(FakeConfig)
Script(FakeConfig()).metrics(1)
