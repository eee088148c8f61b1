"""Configs in PaddleDetection's language: load, override, resolve, validate."""
