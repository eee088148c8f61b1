"""Layers that architectures share: backbones, the feature pyramid, norms, non-maximum suppression, with their config and checks."""
