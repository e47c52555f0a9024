"""Engines: run an evaluation on this machine or on a cluster."""
