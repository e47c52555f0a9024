"""The terminal: progress, logs, tables, signals, and text made safe to print."""
