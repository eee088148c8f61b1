"""Who trains: one module a framework behind `runner.backends.base`."""
