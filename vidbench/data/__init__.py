"""The data pipeline, from a server to the model: fetch, decode, process, cache, load."""
