"""Imports of a warm process in `benchmarks.trial_overhead`: torch with all that a worker needs of it, and the scripted trainer."""

from runner.backends.fake import preload as fake
from runner.backends.torch import preload as torch

__all__ = ["fake", "torch"]
