"""What everything else stands on: errors, files, identities, the run directory, records. Standard library only."""
