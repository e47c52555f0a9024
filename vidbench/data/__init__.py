"""Videos on their way from a server to the model: fetch, decode, process, cache, load."""
