"""One attempt at one run: `python -m runner.worker RUN_DIR` reads the resolved config, trains, evaluates, and appends records."""
