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


def counted(n: int, noun: str, plural: str = "") -> str:
    """Say how many there are: 1 record, 2 records."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


#: Powers of a thousand and what people call them.
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def engineering(value: float, digits: int = 3) -> str:
    """Write a number with a prefix, such as 50 M: for axes and labels; exponents only where no prefix reaches."""
    rounded = float(f"{value:.{digits}g}")
    if 1e3 <= abs(rounded) < 1e15:
        power, prefix = next(known for known in _PREFIXES if abs(rounded) >= known[0])
        return f"{rounded / power:.{digits}g} {prefix}"
    return f"{rounded:.{digits}g}" if rounded else "0"


def between(low: float, high: float, to: str = " to ") -> str:
    """Write an interval with one unit at both ends: 784 to 1,580 or 784 k to 1.58 M, never 0.784 to 1.58 k."""
    if abs(low) < 999.5 <= abs(high) < 1e15:
        return f"{engineering(low)}{to}{float(f'{high:.3g}'):,.0f}"
    return f"{engineering(low)}{to}{engineering(high)}"
