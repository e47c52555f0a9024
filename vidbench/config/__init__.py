"""Options of a run, checks before work starts, and opening of what the options name."""
