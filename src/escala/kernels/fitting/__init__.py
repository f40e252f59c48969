"""Least-squares fits."""
