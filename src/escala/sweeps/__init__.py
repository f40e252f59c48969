"""Sweeps: a whole design run in memory that does not grow with it."""
