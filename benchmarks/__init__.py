"""Benchmarks, one command each (`python -m benchmarks.NAME`); what was measured stands in LOG.md."""
