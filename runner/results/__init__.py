"""What came out: collected from run directories, grouped by trial, compared."""
