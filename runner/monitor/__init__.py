"""Status of runs and sweeps, read from their files: for the screen, `runner status` and the page."""
