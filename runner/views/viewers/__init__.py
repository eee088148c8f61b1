"""Live views of runs: the real TensorBoard and VisualDL, started on any number of run directories."""
