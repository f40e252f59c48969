"""Order books walked level by level: what is received for what is given."""

from __future__ import annotations

from escala.kernels.jit import (
    Codes,
    Floats,
    Integers,
    codes_in,
    codes_out,
    floats_in,
    floats_out,
    integer,
    integers_in,
    kernel,
)

BUY = 1  # of a side; 0 sells


@kernel(
    codes_in,
    floats_in,
    integers_in,
    floats_in,
    floats_in,
    floats_in,
    integer,
    integer,
    integer,
    floats_out,
    floats_out,
    floats_out,
    codes_out,
    floats_out,
    floats_out,
    integer,
    integer,
)
def walk(
    sides: Codes,
    mid: Floats,
    offsets: Integers,
    price: Floats,
    quantity: Floats,
    capital: Floats,
    points: int,
    book_step: int,
    side_step: int,
    depth: Floats,
    held: Floats,
    efficiency: Floats,
    filled: Codes,
    reach: Floats,
    worth: Floats,
    start: int,
    stop: int,
) -> None:
    """Walk the snapshots ``start <= i < stop`` with every capital on every side.

    A level of price p and quantity q takes the capital m·q of a seller and gives p·q; it takes p·q of a buyer and gives
    m·q, all in quote currency at the mid price m. Levels are summed in their order.

    Parameters
    ----------
    sides : (sides,) int8
        1 buys (walks the asks), 0 sells (walks the bids).
    mid : (n,) float64
        Mid prices.
    offsets : (2n + 1,) int64
        Bids of snapshot i are the levels ``offsets[2i] <= k < offsets[2i + 1]``, asks those that follow up to
        ``offsets[2i + 2]``. No list is empty.
    price, quantity : float64
        Levels, the best of each list first.
    capital : float64
        The capitals of snapshot i on the side in place s are `points` of them from ``i·book_step + s·side_step`` on.
    depth, held : (n·sides,) float64
        Output: the largest capital that the side can take, and what it holds in quote currency at its own prices.
    efficiency, filled : (n·sides·points,) float64 and int8
        Output: value received over value given, and 1; NaN and 0 where the levels end before the capital.
    reach, worth : float64
        Work, as long as the longest list.
    """
    for i in range(start, stop):
        m = mid[i]
        for s in range(sides.size):
            buys = sides[s] == BUY
            first = offsets[2 * i + 1] if buys else offsets[2 * i]
            last = offsets[2 * i + 2] if buys else offsets[2 * i + 1]
            levels = last - first
            prices, quantities = price[first:last], quantity[first:last]
            taken = given = 0.0
            for k in range(levels):
                at_price, at_mid = prices[k] * quantities[k], m * quantities[k]
                taken += at_price if buys else at_mid
                given += at_mid if buys else at_price
                reach[k] = taken
                worth[k] = given
            row = i * sides.size + s
            depth[row] = taken
            held[row] = taken if buys else given
            begin = i * book_step + s * side_step
            capitals = capital[begin : begin + points]
            answers = efficiency[row * points : (row + 1) * points]
            flags = filled[row * points : (row + 1) * points]
            for j in range(points):
                c = capitals[j]
                if c > taken:
                    answers[j] = float("nan")
                    flags[j] = 0
                    continue
                low, high = 0, levels - 1  # the first level that reaches c
                while low < high:
                    middle = (low + high) >> 1
                    if reach[middle] < c:
                        low = middle + 1
                    else:
                        high = middle
                rate = m / prices[low] if buys else prices[low] / m
                rest = c if low == 0 else c - reach[low - 1]
                value = 0.0 if low == 0 else worth[low - 1]
                answers[j] = min((value + rest * rate) / c, 1.0)  # above by rounding where the spread is next to none
                flags[j] = 1
