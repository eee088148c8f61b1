"""Live views of runs: the viewers that trackers declare, started on any number of run directories."""
