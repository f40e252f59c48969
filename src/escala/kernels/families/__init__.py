"""Families of curves: one file each, and the dispatch that kernels call."""
