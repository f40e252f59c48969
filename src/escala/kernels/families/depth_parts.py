"""What the curve of a depth and its fit are both made of."""

from __future__ import annotations

from escala.kernels.jit import helper
from escala.kernels.special import exp, log_to_two


@helper
def parts(log_x: float, h: float, inverse: float) -> tuple[float, float, float, float]:
    """g = (1 + t)^(−1/h), 1/(1 + t), t/(1 + t)² and ln(1 + min(t, 1/t))/h, of ln(C/D), h and 1/h."""
    above = log_x > 0.0
    q = exp(-h * abs(log_x))
    whole = 1.0 + q
    part = 1.0 / whole
    bend = (log_to_two(whole) + (q - (whole - 1.0)) * part) * inverse  # ln(1 + q), and what 1 + q lost
    g = exp(-((log_x if above else 0.0) + bend))
    turn = q * part
    return g, turn if above else part, turn * part, bend


@helper
def nearer(rest: float) -> float:
    """The smaller of 1/(1 + t) and t/(1 + t)."""
    other = 1.0 - rest
    return rest if rest < other else other
