"""Statistics of a few repeats: intervals, effects, simultaneous comparisons, power. Imports nothing but the core."""
