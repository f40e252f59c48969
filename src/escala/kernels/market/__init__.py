"""Compiled core of positions in a market: paths of prices and rates, and positions that walk along them."""
