"""Allocation of money over instruments by marginal utility, with a proof."""
