"""Helpers for tests, ours and those of third parties' plug-ins. Nothing here runs outside of tests."""
