"""Designs: which scenarios to run."""
