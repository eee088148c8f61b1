"""runner: say what to vary in a detector's YAML config, and learn which change made it better and how sure that is."""

__version__ = "0.1.0"
