"""Random numbers of a path, by their place: uniforms and normals of one stream over consecutive steps.

A block of Philox serves two steps, the first of which is odd: its counter is (row, (step − 1) div 2, stream, set).
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from escala.kernels.jit import Floats, Integers, helper, routine
from escala.kernels.layout import market_lane as lane
from escala.kernels.layout import market_place as place
from escala.kernels.market.stages import normal_centres, normal_tails
from escala.kernels.philox import block, two_blocks, uniform
from escala.kernels.special import CENTRE, normal_quantile

ROOM: Final = 3  # numbers that are written beyond those that were asked for
_ONE: Final = 0x3FF0000000000000
_HALF_CELL: Final = 2.0**-53
_LEAST: Final = 2.0**-31  # what a coordinate of 0 counts as


@helper
def _spread(first: int, second: int) -> float:
    """Make the number of :func:`escala.kernels.philox.uniform`: vectors have no instruction for its conversion."""
    cell: float = np.int64(((first << 20) | (second >> 12)) | _ONE).view(np.float64)
    return (cell - 1.0) + _HALF_CELL


@routine
def fill_uniforms(
    row: int, flipped: int, stream: int, group: int, low: int, high: int, first: int, n: int, out: Floats
) -> None:
    """Write the uniforms of the steps ``first <= t < first + n``, `first` odd; room for ROOM more is needed."""
    begin = (first - 1) // 2
    for i in range((n + ROOM) // 4):
        here = begin + 2 * i
        v0, v1, v2, v3, w0, w1, w2, w3 = two_blocks(row, here, here + 1, stream, group, low, high)
        out[4 * i] = _spread(v0, v1)
        out[4 * i + 1] = _spread(v2, v3)
        out[4 * i + 2] = _spread(w0, w1)
        out[4 * i + 3] = _spread(w2, w3)
    if flipped:
        for i in range(n):
            out[i] = 1.0 - out[i]


@routine
def fill_normals(
    row: int,
    flipped: int,
    stream: int,
    group: int,
    low: int,
    high: int,
    first: int,
    n: int,
    out: Floats,
    work: Floats,
    places: Integers,
) -> None:
    """Write the normals of the steps ``first <= t < first + n``, `first` odd, n at most a chunk.

    The tails, a seventh of all, have another formula: they are gathered, computed side by side and put back.
    """
    u = work[lane.UNIFORM : lane.UNIFORM + n + ROOM]
    rest, part = work[lane.REST : lane.REST + n], work[lane.PART : lane.PART + n]
    spots, in_tail = places[place.OF_STEP : place.OF_STEP + n + 1], places[place.IN_TAIL : place.IN_TAIL + n]
    z = out[0:n]
    fill_uniforms(row, flipped, stream, group, low, high, first, n, u)
    normal_centres(u, z, rest, part)
    for i in range(n):  # 1 where the difference has a sign
        in_tail[i] = (np.float64(CENTRE - abs(2.0 * u[i] - 1.0)).view(np.int64) >> 63) & 1
    count = np.uint64(0)  # an index without a sign needs no look at it
    for i in range(n):
        spots[count] = i
        count += np.uint64(in_tail[i])
    tails, values = work[lane.TAIL : lane.TAIL + int(count)], u[0 : int(count)]
    for i in range(tails.size):
        tails[i] = u[spots[i]]
    normal_tails(tails, values, rest, part)
    for i in range(values.size):
        z[spots[i]] = values[i]


@routine
def uniform_at(row: int, flipped: int, stream: int, group: int, low: int, high: int, t: int) -> float:
    """Give the uniform of one step."""
    w0, w1, w2, w3 = block(row, (t - 1) // 2, stream, group, low, high)
    u = uniform(w0, w1) if t % 2 == 1 else uniform(w2, w3)
    return 1.0 - u if flipped else u


@routine
def pin(points: Floats, z: Floats, bridge: Floats) -> None:
    """Shift the normals of each block of steps so that their sums are the increments of a Brownian bridge.

    Parameters
    ----------
    points : (K,) float64
        Coordinates of a Sobol point, K a power of two: the bridge's end, then the middles of ever shorter stretches.
    z : (T,) float64
        Normals of the steps 1 … T, changed.
    bridge : (K + 1,) float64
        Workspace.
    """
    count, steps = points.size, z.size
    bridge[0] = 0.0
    bridge[count] = math.sqrt(float(count)) * normal_quantile(max(points[0], _LEAST))
    following = 1
    length = count
    while length > 1:
        spread = math.sqrt(length / 4.0)
        for left in range(0, count, length):
            step = spread * normal_quantile(max(points[following], _LEAST))
            bridge[left + length // 2] = 0.5 * (bridge[left] + bridge[left + length]) + step
            following += 1
        length //= 2
    for i in range(count):
        begin, end = i * steps // count, (i + 1) * steps // count
        n = float(end - begin)
        total = 0.0
        for t in range(begin, end):
            total += z[t]
        missing = ((bridge[i + 1] - bridge[i]) * math.sqrt(n) - total) / n
        for t in range(begin, end):
            z[t] = z[t] + missing
