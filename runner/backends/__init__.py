"""Backends that train: one module per framework, behind the interface in `runner.backends.base`."""
