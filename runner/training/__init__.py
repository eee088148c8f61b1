"""Parts shared by all training loops, whatever the framework."""
