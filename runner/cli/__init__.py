"""The command line: thin commands over the packages. Nothing heavy is imported before a command needs it, and nothing from the
working directory: this package is the first that loads, so it says so."""

from runner.core.importing import leave_working_directory_out

LEFT_OUT = leave_working_directory_out()
"""Entries of PYTHONPATH that mean the working directory."""
