"""Launchers: processes, slots, signals. They know a command and an environment, not a backend."""
