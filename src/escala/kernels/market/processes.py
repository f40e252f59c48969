"""How log prices move: one process over the steps of a chunk, from the normals that are there.

``x[0]`` is the log price before the chunk and ``x[i + 1]`` that after its step i; ``before[i]`` is the one before a
jump, and ``v[i]`` the variance of the step, which the lowest price within it needs.
"""

from __future__ import annotations

import math

from escala.kernels.jit import Floats, helper, routine
from escala.kernels.layout import STREAMS_OF_ASSET, processes
from escala.kernels.layout import market_asset as a
from escala.kernels.layout import market_draw as draw
from escala.kernels.layout import market_stream as stream
from escala.kernels.market.normals import uniform_at
from escala.kernels.market.stages import clipped, logs
from escala.kernels.special import exp, exp_within, expm1, log, normal_quantile


@helper
def price_of(start: float, x: float) -> float:
    """Give the price of a log price over a start price."""
    return start * exp_within(clipped(x))


@helper
def stream_of(j: int, kind: int) -> int:
    """Give the stream of an asset's random numbers of one kind."""
    return stream.ASSET + STREAMS_OF_ASSET * j + kind


@routine
def jump_chance(p: Floats, h: float) -> float:
    """Give the probability of a jump in a step."""
    return -expm1(-(p[a.JUMP_RATE] * h))


@routine
def drift(kind: int, p: Floats, h: float) -> float:
    """Give what a log price moves by without noise; jumps are compensated, so that E P = P₀·e^(μt) is exact."""
    moved = (p[a.MU] - 0.5 * p[a.SIGMA] * p[a.SIGMA]) * h
    if kind == processes.MERTON:
        mean = p[a.JUMP_MEAN] + 0.5 * p[a.JUMP_SD] * p[a.JUMP_SD]
        moved = moved - log(1.0 + jump_chance(p, h) * expm1(mean))
    return moved


@routine
def reverting_sd(reversion: float, sigma: float, h: float) -> float:
    """Give the standard deviation of a step of an Ornstein–Uhlenbeck process."""
    return sigma * math.sqrt(-expm1(-2.0 * (reversion * h)) / (2.0 * reversion))


@routine
def brownian(moved: float, sd: float, z: Floats, x: Floats) -> None:
    """Geometric Brownian motion."""
    here = x[0]
    for i in range(z.size):
        here = here + (moved + sd * z[i])
        x[i + 1] = here


@helper
def without_jumps(sd: float, x: Floats, before: Floats, v: Floats) -> None:
    """Note what the lows of steps need that have one variance and no jump."""
    for i in range(v.size):
        before[i] = x[i + 1]
        v[i] = sd * sd


@routine
def jumping(
    p: Floats,
    h: float,
    u: Floats,
    row: int,
    flipped: int,
    j: int,
    group: int,
    low: int,
    high: int,
    first: int,
    z: Floats,
    x: Floats,
    before: Floats,
    v: Floats,
) -> None:
    """Merton's jump diffusion; a jump is so rare that its size is drawn when there is one."""
    moved, sd, chance = drift(processes.MERTON, p, h), p[a.SIGMA] * math.sqrt(h), jump_chance(p, h)
    here = x[0]
    for i in range(z.size):
        here = here + (moved + sd * z[i])
        before[i] = here
        v[i] = sd * sd
        if u[i] < chance:
            size = normal_quantile(uniform_at(row, flipped, stream_of(j, draw.JUMP_SIZE), group, low, high, first + i))
            here = here + (p[a.JUMP_MEAN] + p[a.JUMP_SD] * size)
        x[i + 1] = here


@routine
def reverting(p: Floats, h: float, sd: float, z: Floats, x: Floats) -> None:
    """Ornstein–Uhlenbeck: exact for any step."""
    keeps = exp(-(p[a.REVERSION] * h))
    mean = p[a.MEAN]
    here = x[0]
    for i in range(z.size):
        here = (mean + (here - mean) * keeps) + sd * z[i]
        x[i + 1] = here


@routine
def heston(
    p: Floats, h: float, variance: float, other: Floats, z: Floats, x: Floats, before: Floats, v: Floats
) -> float:
    """Heston's model by full truncation; gives the variance after the chunk.

    References
    ----------
    Lord, Koekkoek, van Dijk: A comparison of biased simulation schemes for stochastic volatility models. Quantitative
    Finance 10, 2010, doi:10.1080/14697680802392496.
    """
    rho = p[a.RHO]
    rest = math.sqrt(1.0 - rho * rho)
    here = x[0]
    for i in range(z.size):
        positive = 0.0 if variance < 0.0 else variance
        s = math.sqrt(positive * h)
        here = here + ((p[a.MU] - 0.5 * positive) * h + s * z[i])
        noise = rho * z[i] + rest * other[i]
        pull = p[a.REVERSION] * (p[a.LONG_VARIANCE] - positive) * h
        variance = variance + (pull + p[a.VOL_OF_VOL] * s * noise)
        x[i + 1] = here
        before[i] = here
        v[i] = s * s
    return variance


@routine
def lowest(x: Floats, before: Floats, u: Floats, v: Floats, rest: Floats, part: Floats) -> None:
    """Give the lowest log price within each step, in the place of its variance; `u` is overwritten.

    It is that of a Brownian bridge from ``x[i]`` to ``before[i]``: the quantile ``u[i]`` of its minimum.

    References
    ----------
    Glasserman: Monte Carlo methods in financial engineering. Springer, 2003, 6.4.
    """
    n = v.size
    x, before, u = x[0:n], before[0:n], u[0:n]
    logs(u, u, rest, part)
    for i in range(n):
        start, end = x[i], before[i]
        d = start - end
        v[i] = 0.5 * ((start + end) - math.sqrt(d * d - 2.0 * v[i] * u[i]))
