"""Python environments of backends: where each one is, how it is built, and what it contains."""
