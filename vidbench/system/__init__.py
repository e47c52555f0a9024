"""The machine and its processes, and Python modules found by name."""
