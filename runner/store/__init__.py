"""Files on disk: run directories, records, checkpoints, sweep journals, control files and locks. Formats only, no decisions."""
