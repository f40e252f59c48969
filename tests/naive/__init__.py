"""Slow, readable oracles: the definitions, as plain Python, one file a room."""
