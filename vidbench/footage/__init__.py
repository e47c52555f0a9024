"""Long videos and cameras: what ``vidbench predict`` does."""
