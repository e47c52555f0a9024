"""Finished and unfinished runs: what is on disk, compared, ranked and fused."""
