"""Search: fixed designs here, adaptive searches beside them. It knows nothing of launching."""
