"""Model files: their formats, signatures and descriptions."""
