"""Benchmarks: every room beside a peer, in the same run."""
