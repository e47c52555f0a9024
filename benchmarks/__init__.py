"""Measurements of speed and size, as ratios of things run side by side."""
