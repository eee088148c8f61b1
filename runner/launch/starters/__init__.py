"""Ways to start a task's process."""
