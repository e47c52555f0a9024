"""Runs on disk, finished or not: folders and records, comparison, ranking and fusion."""
