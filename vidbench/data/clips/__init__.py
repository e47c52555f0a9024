"""Decoded clips: made by worker processes, cached by content."""
