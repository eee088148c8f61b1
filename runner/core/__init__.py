"""Foundation of all other packages: errors, files, processes, locks, values, expressions, plug-in registry. Standard library only."""
