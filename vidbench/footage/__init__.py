"""Predict long videos and live cameras: the implementation of ``vidbench predict``."""
