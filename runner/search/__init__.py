"""What to try next: fixed designs here, adaptive searches beside them. Knows nothing of launching."""
