"""Renderers of reports: what `runner compare --format NAME` prints."""
