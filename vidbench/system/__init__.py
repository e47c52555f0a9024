"""The machine: resources, worker processes and provenance; validation; modules found by name."""
