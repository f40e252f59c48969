"""Allocation: the global optimum of a sum of utilities, with an upper bound that proves it."""
