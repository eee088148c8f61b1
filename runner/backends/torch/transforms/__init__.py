"""Transforms of images and their boxes, between the file and the batch."""
