"""Datasets: sources of videos and labels, one file each."""
