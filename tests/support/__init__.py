"""Code that several test files share: run directories without training, damaged sweeps, workers forked from a preloaded process."""
