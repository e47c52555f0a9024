"""What a run is asked for: options, checks before work, and opening what they name."""
