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


def short(value: float) -> str:
    """Write a capital in three digits: 68.6 M."""
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if size <= abs(value) < 1000.0 * size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g}"
