"""Positions in a market: prices, interest, liquidation, and what their owners do about it."""
