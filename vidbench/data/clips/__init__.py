"""Decoded clips: prepared in workers, cached by content."""
