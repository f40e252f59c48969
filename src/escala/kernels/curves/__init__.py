"""Evaluation of curves, and where they saturate."""
