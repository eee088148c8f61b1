"""The PyTorch backend: the training loop, and the architectures that it trains."""
