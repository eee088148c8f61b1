"""Projections of a run's records into other programs' logs. Any log here can be rebuilt from the records."""
