"""The PyTorch backend: PaddleDetection's FCOS on torchvision's backbones, and the training loop."""
