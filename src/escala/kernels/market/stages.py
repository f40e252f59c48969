"""Functions of :mod:`escala.kernels.special` over the steps of a chunk, to the same bits, in stages.

In Horner's form each operation waits for the one before. The processor looks ahead only so far: over a whole polynomial
that is one or two elements, over a piece of it many, and so pieces over all steps take half the time of all pieces
over one step. What a stage leaves for the next lies in a row of the workspace.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from escala.kernels import special as c
from escala.kernels.jit import Floats, helper, routine

FURTHEST: Final = 300.0  # of a log price that counts


@helper
def clipped(x: float) -> float:
    """Bring a log price to where its exponential is a number."""
    x = -FURTHEST if x < -FURTHEST else x
    return FURTHEST if x > FURTHEST else x


@routine
def prices(start: float, x: Floats, out: Floats, rest: Floats, power: Floats) -> None:
    """Write the prices of log prices over a start price, ``start·exp_within(clipped(x))``; `out` may be `x`."""
    n = out.size
    x, rest, power = x[0:n], rest[0:n], power[0:n]
    for i in range(n):
        t = clipped(x[i])
        rounded = t * c.LOG2_E + c.ROUND
        k = rounded - c.ROUND
        power[i] = rounded
        rest[i] = (t - k * c.LN2_HI) - k * c.LN2_LO
    for i in range(n):
        r = rest[i]
        out[i] = c.E8 + r * (c.E9 + r * (c.E10 + r * c.E11))
    for i in range(n):
        r = rest[i]
        out[i] = c.E5 + r * (c.E6 + r * (c.E7 + r * out[i]))
    for i in range(n):
        r = rest[i]
        out[i] = r + r * r * (c.E2 + r * (c.E3 + r * (c.E4 + r * out[i])))
    for i in range(n):
        half = np.int64((np.float64(power[i]).view(np.int64) << 52) + (c.ONE - (1 << 52))).view(np.float64)
        out[i] = start * ((half * out[i] + half) * 2.0)


@routine
def logs(x: Floats, out: Floats, rest: Floats, power: Floats) -> None:
    """Write natural logarithms of positive normal numbers; `out` may be `x`."""
    n = out.size
    x, rest, power = x[0:n], rest[0:n], power[0:n]
    for i in range(n):
        bits = np.float64(x[i]).view(np.int64)
        m: float = np.int64((bits & c.MANTISSA) | c.ONE).view(np.float64)
        large = m > c.SQRT_2
        m = 0.5 * m if large else m
        power[i] = 1.0 * (((bits >> 52) - 1023) + large)
        rest[i] = (m - 1.0) / (m + 1.0)
    for i in range(n):
        z = rest[i] * rest[i]
        out[i] = c.L9 + z * (c.L11 + z * (c.L13 + z * c.L15))
    for i in range(n):
        s = rest[i]
        z = s * s
        p = c.L3 + z * (c.L5 + z * (c.L7 + z * out[i]))
        out[i] = power[i] * c.LN2_HI + (2.0 * s + (s * z * p + power[i] * c.LN2_LO))


@routine
def normal_centres(u: Floats, out: Floats, rest: Floats, part: Floats) -> None:
    """Write what :func:`escala.kernels.special.normal_centre` gives; in the tails it means nothing."""
    n = out.size
    u, rest, part = u[0:n], rest[0:n], part[0:n]
    for i in range(n):
        x = 2.0 * u[i] - 1.0
        s = c.CENTRE_SQUARE - x * x
        rest[i] = s
        part[i] = (((c.CENTRE_N8 * s + c.CENTRE_N7) * s + c.CENTRE_N6) * s + c.CENTRE_N5) * s + c.CENTRE_N4
    for i in range(n):
        s = rest[i]
        part[i] = (((part[i] * s + c.CENTRE_N3) * s + c.CENTRE_N2) * s + c.CENTRE_N1) * s + c.CENTRE_N0
    for i in range(n):
        s = rest[i]
        out[i] = (((c.CENTRE_D8 * s + c.CENTRE_D7) * s + c.CENTRE_D6) * s + c.CENTRE_D5) * s + c.CENTRE_D4
    for i in range(n):
        s = rest[i]
        d = (((out[i] * s + c.CENTRE_D3) * s + c.CENTRE_D2) * s + c.CENTRE_D1) * s + c.CENTRE_D0
        out[i] = (2.0 * u[i] - 1.0) * (part[i] / d)


@routine
def normal_tails(u: Floats, out: Floats, rest: Floats, part: Floats) -> None:
    """Write what :func:`escala.kernels.special.normal_tail` gives; in the centre it means nothing."""
    n = out.size
    u, rest, part = u[0:n], rest[0:n], part[0:n]
    for i in range(n):
        other = 1.0 - u[i]
        out[i] = u[i] if u[i] < other else other
    logs(out, out, rest, part)
    for i in range(n):
        s = math.sqrt(-out[i]) - c.TAIL_SHIFT
        rest[i] = s
        part[i] = (((c.TAIL_N8 * s + c.TAIL_N7) * s + c.TAIL_N6) * s + c.TAIL_N5) * s + c.TAIL_N4
    for i in range(n):
        s = rest[i]
        part[i] = (((part[i] * s + c.TAIL_N3) * s + c.TAIL_N2) * s + c.TAIL_N1) * s + c.TAIL_N0
        out[i] = (((c.TAIL_D8 * s + c.TAIL_D7) * s + c.TAIL_D6) * s + c.TAIL_D5) * s + c.TAIL_D4
    for i in range(n):
        s = rest[i]
        d = (((out[i] * s + c.TAIL_D3) * s + c.TAIL_D2) * s + c.TAIL_D1) * s + c.TAIL_D0
        z = part[i] / d
        out[i] = -z if u[i] < 1.0 - u[i] else z
