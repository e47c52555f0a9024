"""Predictions that another program made, read from its files; nothing is unpickled or run."""
