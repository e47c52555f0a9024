"""Video files: opening, decoding, scanning, encoding."""
