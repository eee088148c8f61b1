"""Logs that other programs wrote for TensorBoard and VisualDL: read within limits, and made into run directories with curves."""
