"""TensorFlow graphs: imports, freezing, weights and streaming."""
