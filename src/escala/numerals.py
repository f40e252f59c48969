"""How numbers are written for people."""

from __future__ import annotations


def amount(value: float) -> str:
    """Write an amount with two decimals where they say something, else with six digits."""
    if value == 0.0:
        return "0.00"
    if 0.01 <= abs(value) < 1e9:
        return f"{value:,.2f}"
    return f"{value:.6g}"


def ratio(value: float) -> str:
    """Write a ratio with four decimals, or in six digits when it is large."""
    return f"{value:.4f}" if abs(value) < 1e6 else f"{value:.6g}"


def capital(value: float) -> str:
    """Write a capital: whole units from 1,000 on, else six digits; a dash for one that is not within a limit."""
    if value == float("inf"):
        return "–"
    return f"{value:,.0f}" if 999.5 <= abs(value) < 1e12 else f"{value:.6g}"
