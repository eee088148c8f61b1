"""Results: collected from run directories, grouped by trial, compared."""
