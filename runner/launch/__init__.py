"""How a run is started and watched: processes, slots, signals. Knows an argv and an environment, not a backend."""
