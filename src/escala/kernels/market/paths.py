"""Paths: one future of prices, yields and rates, a chunk of steps side by side.

How it is fast
--------------
* What every step needs is made in loops over a chunk of steps that the compiler vectorises: random words, normals,
  exponentials, quotients. Only sums that build on the step before run one after the other.
* What is the same on all paths of a market is made once: growth of what is supplied, and of the debt at a fixed rate.
* The lowest and highest ratios of blocks of steps go with the path; the walk skips what they show to be quiet.
"""

from __future__ import annotations

import math
from typing import Final

from escala.kernels.jit import (
    Codes,
    Floats,
    Integers,
    codes_in,
    float_rows_in,
    float_rows_out,
    floats_out,
    helper,
    integer,
    integers_in,
    integers_out,
    kernel,
    routine,
)
from escala.kernels.layout import MARKET_CHUNK as CHUNK
from escala.kernels.layout import YEAR, oracles, processes
from escala.kernels.layout import market_asset as a
from escala.kernels.layout import market_block as block
from escala.kernels.layout import market_carried as carried
from escala.kernels.layout import market_carry as carry
from escala.kernels.layout import market_draw as draw
from escala.kernels.layout import market_field as f
from escala.kernels.layout import market_lane as lane
from escala.kernels.layout import market_memo as memo
from escala.kernels.layout import market_place as place
from escala.kernels.layout import market_series as q
from escala.kernels.layout import market_setting as s
from escala.kernels.layout import market_stream as stream
from escala.kernels.layout import market_where as where
from escala.kernels.market import processes as move
from escala.kernels.market.normals import ROOM, fill_normals, fill_uniforms, pin, uniform_at
from escala.kernels.market.rates import growth, kinked_rate
from escala.kernels.market.stages import prices
from escala.kernels.special import exp

_SIXTEEN: Final = 16  # steps of blocks whose extremes are found side by side: a chunk is a whole number of them


@routine
def _prepare(
    setting: Integers, m: Floats, assets: Floats, oracle: Codes, series: Floats, places: Integers, market: int
) -> None:
    """Fill the rows that are the same on all paths of a market."""
    count, steps = setting[s.ASSETS], setting[s.STEPS]
    h = m[f.DT] / YEAR
    for j in range(count):
        index = oracle[j] == oracles.INDEX
        lows = setting[s.BARRIER] == 1 and not index
        places[where.LOW + j] = (q.LOW_RATIO if lows else q.RATIO) * count + j
        places[where.PROTOCOL + j] = (q.PROTOCOL_VALUE if index else q.MARKET_VALUE) * count + j
        supplied, earned = series[q.SUPPLIED * count + j], series[q.YIELD_EARNED * count + j]
        factor = 1.0 + assets[j, a.SUPPLY_YIELD] * h
        total = 1.0
        for t in range(steps + 1):
            supplied[t] = total
            earned[t] = 0.0
            total = total * factor
        if index:
            protocol = series[q.PROTOCOL_VALUE * count + j]
            for t in range(steps + 1):
                protocol[t] = assets[j, a.PRICE] * supplied[t]
    debt = series[q.GROWTH * count]
    debt[0] = 1.0
    if not setting[s.MOVING]:
        usage = m[f.USAGE]
        usage = 0.0 if usage < 0.0 else usage
        rate = kinked_rate(1.0 if usage > 1.0 else usage, m) if setting[s.KINKED] else m[f.RATE]
        factor = growth(rate, m[f.DT], setting[s.COMPOUNDING])
        for t in range(1, steps + 1):
            debt[t] = debt[t - 1] * factor
    places[memo.MARKET] = market


@routine
def _moving_growth(
    setting: Integers, m: Floats, row: int, flipped: int, group: int, first: int, n: int, out: Floats, work: Floats,
    places: Integers,
) -> None:  # fmt: skip
    """Let the usage move and the debt grow by the rate that each step begins with."""
    z, rate = work[lane.NORMAL : lane.NORMAL + n], work[lane.PRICE : lane.PRICE + n]
    low, high = setting[s.SEED_LOW], setting[s.SEED_HIGH]
    fill_normals(row, flipped, stream.USAGE, group, low, high, first, n, z, work, places)
    h = m[f.DT] / YEAR
    keeps = exp(-(m[f.USAGE_REVERSION] * h))
    sd = move.reverting_sd(m[f.USAGE_REVERSION], m[f.USAGE_SIGMA], h)
    mean = m[f.USAGE_MEAN]
    usage = work[carried.USAGE]
    for i in range(n):
        used = 0.0 if usage < 0.0 else usage
        rate[i] = 1.0 if used > 1.0 else used
        usage = (mean + (usage - mean) * keeps) + sd * z[i]
    work[carried.USAGE] = usage
    for i in range(n):
        rate[i] = growth(kinked_rate(rate[i], m), m[f.DT], setting[s.COMPOUNDING])
    total = work[carried.GROWTH]
    for i in range(n):
        total = total * rate[i]
        out[i] = total
    work[carried.GROWTH] = total


@routine
def _replay(price: float, base: float, table: Floats, j: int, row: int, out: Floats) -> None:
    """Follow a column of past prices, or of lows, from a row on; `base` is the price at the path's start."""
    for i in range(out.size):
        out[i] = price * (table[row + i, j] / base)


@routine
def _draw_rows(
    setting: Integers, m: Floats, rows: int, row: int, flipped: int, group: int, first: int, n: int, work: Floats,
    places: Integers,
) -> None:  # fmt: skip
    """Choose the row of past returns of each step."""
    low, high = setting[s.SEED_LOW], setting[s.SEED_HIGH]
    restart = work[lane.UNIFORM : lane.UNIFORM + n + ROOM]
    if setting[s.JOINT] == processes.BOOTSTRAP:
        fill_uniforms(row, flipped, stream.RESTART, group, low, high, first, n, restart)
    here = places[memo.ROW]
    block_length = int(m[f.BLOCK])
    for i in range(n):
        t = first + i
        if setting[s.JOINT] == processes.BOOTSTRAP:
            anew = t == 1 or restart[i] < 1.0 / m[f.BLOCK]
        else:
            anew = (t - 1) % block_length == 0
        if anew:
            here = int(uniform_at(row, flipped, stream.ROW, group, low, high, t) * rows)
        else:
            here = here + 1 if here + 1 < rows else 0
        places[place.OF_STEP + i] = here
    places[memo.ROW] = here


@routine
def _move(
    setting: Integers, m: Floats, p: Floats, kind: int, j: int, row: int, flipped: int, group: int, first: int, n: int,
    z: Floats, work: Floats, places: Integers,
) -> None:  # fmt: skip
    """Move the log price of one asset through a chunk."""
    low, high = setting[s.SEED_LOW], setting[s.SEED_HIGH]
    h = m[f.DT] / YEAR
    x = work[lane.LOG_PRICE : lane.LOG_PRICE + n + 1]
    before = work[lane.BEFORE_JUMP : lane.BEFORE_JUMP + n]
    v = work[lane.VARIANCE : lane.VARIANCE + n]
    x[0] = work[carry.LOG_PRICE + j]
    if kind == processes.GBM:
        sd = p[a.SIGMA] * math.sqrt(h)
        move.brownian(move.drift(kind, p, h), sd, z, x)
        if setting[s.BARRIER]:
            move.without_jumps(sd, x, before, v)
    elif kind == processes.MERTON:
        u = work[lane.UNIFORM : lane.UNIFORM + n + ROOM]
        fill_uniforms(row, flipped, move.stream_of(j, draw.JUMP), group, low, high, first, n, u)
        move.jumping(p, h, u, row, flipped, j, group, low, high, first, z, x, before, v)
    elif kind == processes.OU:
        sd = move.reverting_sd(p[a.REVERSION], p[a.SIGMA], h)
        move.reverting(p, h, sd, z, x)
        if setting[s.BARRIER]:
            move.without_jumps(sd, x, before, v)
    else:
        other = work[lane.PRICE : lane.PRICE + n]
        fill_normals(row, flipped, move.stream_of(j, draw.VARIANCE), group, low, high, first, n, other, work, places)
        work[carry.VARIANCE + j] = move.heston(p, h, work[carry.VARIANCE + j], other, z, x, before, v)
    work[carry.LOG_PRICE + j] = x[n]


@routine
def _lows(
    setting: Integers, price: float, j: int, row: int, flipped: int, group: int, first: int, n: int, work: Floats
) -> None:
    """Give the lowest price within each step of a chunk, in the place of its variance."""
    u = work[lane.UNIFORM : lane.UNIFORM + n + ROOM]
    x = work[lane.LOG_PRICE : lane.LOG_PRICE + n]
    before = work[lane.BEFORE_JUMP : lane.BEFORE_JUMP + n]
    v = work[lane.VARIANCE : lane.VARIANCE + n]
    low, high = setting[s.SEED_LOW], setting[s.SEED_HIGH]
    fill_uniforms(row, flipped, move.stream_of(j, draw.BRIDGE), group, low, high, first, n, u)
    rest, part = work[lane.REST : lane.REST + n], work[lane.PART : lane.PART + n]
    move.lowest(x, before, u, v, rest, part)
    prices(price, v, v, rest, part)


@routine
def _correlate(factor: Floats, count: int, first: int, n: int, series: Floats) -> None:
    """Mix the normals of a chunk, the last asset first: each needs those before it as they were."""
    for j in range(count - 1, -1, -1):
        mixed = series[q.MARKET_VALUE * count + j, first : first + n]
        if j > 0:
            own = factor[j, j]
            head = series[q.MARKET_VALUE * count, first : first + n]
            for i in range(n):
                total = factor[j, 0] * head[i]
                for k in range(1, j):
                    total = total + factor[j, k] * series[q.MARKET_VALUE * count + k, first + i]
                mixed[i] = total + own * mixed[i]
        else:
            for i in range(n):
                mixed[i] = factor[0, 0] * mixed[i]


@routine
def _values(
    count: int, j: int, first: int, n: int, index: bool, earning: bool, with_low: bool, series: Floats, work: Floats
) -> None:
    """Turn the prices of a chunk into what is kept of them."""
    price = work[lane.PRICE : lane.PRICE + n]
    supplied = series[q.SUPPLIED * count + j, first : first + n]
    debt = series[q.GROWTH * count, first : first + n]
    market = series[q.MARKET_VALUE * count + j, first : first + n]
    ratio = series[q.RATIO * count + j, first : first + n]
    if earning:
        for i in range(n):
            market[i] = price[i] * supplied[i]
    else:
        for i in range(n):
            market[i] = price[i]
    if index:
        protocol = series[q.PROTOCOL_VALUE * count + j, first : first + n]
        for i in range(n):
            ratio[i] = protocol[i] / debt[i]
    elif earning:
        for i in range(n):
            ratio[i] = market[i] / debt[i]
    else:
        for i in range(n):
            ratio[i] = price[i] / debt[i]
    if with_low:
        low_price = work[lane.VARIANCE : lane.VARIANCE + n]
        low_ratio = series[q.LOW_RATIO * count + j, first : first + n]
        for i in range(n):
            low_ratio[i] = (low_price[i] * supplied[i]) / debt[i]
    if earning:
        earned = series[q.YIELD_EARNED * count + j, first : first + n]
        before = series[q.SUPPLIED * count + j, first - 1 : first + n - 1]
        total = work[carry.YIELD_EARNED + j]
        for i in range(n):
            total = total + price[i] * (supplied[i] - before[i])
            earned[i] = total
        work[carry.YIELD_EARNED + j] = total


@routine
def _halve(low: Floats, high: Floats, low_of: Floats, high_of: Floats) -> None:
    """Give the lowest and the highest of each two neighbours."""
    n = low_of.size
    low, high, high_of = low[0 : 2 * n], high[0 : 2 * n], high_of[0:n]
    for i in range(n):
        low_of[i] = low[2 * i] if low[2 * i] < low[2 * i + 1] else low[2 * i + 1]
    for i in range(n):
        high_of[i] = high[2 * i] if high[2 * i] > high[2 * i + 1] else high[2 * i + 1]


@routine
def _sixteenths(ratio: Floats, lows: Floats, apart: bool, low_of: Floats, high_of: Floats, work: Floats) -> None:
    """Note the extremes of blocks of sixteen steps: four times those of two neighbours, all blocks side by side."""
    n = low_of.size
    low, high = work[lane.REST : lane.REST + 8 * n], work[lane.PART : lane.PART + 8 * n]
    other, other_high = work[lane.UNIFORM : lane.UNIFORM + 4 * n], work[lane.TAIL : lane.TAIL + 4 * n]
    _halve(ratio, ratio, low, high)
    _halve(low, high, other, other_high)
    _halve(other, other_high, low[0 : 2 * n], high[0 : 2 * n])
    _halve(low, high, low_of, high_of)
    if apart:
        _halve(lows, lows, low, high)
        _halve(low, high, other, other_high)
        _halve(other, other_high, low[0 : 2 * n], high[0 : 2 * n])
        _halve(low, high, other[0:n], other_high[0:n])
        for i in range(n):
            low_of[i] = other[i] if other[i] < low_of[i] else low_of[i]


@routine
def _small_extremes(
    setting: Integers, first: int, n: int, series: Floats, small: Floats, work: Floats, places: Integers
) -> None:
    """Note the lowest and the highest ratio of the blocks that end in a chunk; block b begins at step b·size + 1."""
    count, steps, size = setting[s.ASSETS], setting[s.STEPS], setting[s.SMALL]
    last = first + n - 1
    begin, end = (first - 1) // size, last // size
    for j in range(count):
        row, lows = series[q.RATIO * count + j], series[places[where.LOW + j]]
        low_of, high_of = small[block.LOW * count + j], small[block.HIGH * count + j]
        apart = places[where.LOW + j] != q.RATIO * count + j
        if size == _SIXTEEN:
            from_step, to_step = begin * size + 1, end * size + 1
            closes, under = row[from_step:to_step], lows[from_step:to_step]
            _sixteenths(closes, under, apart, low_of[begin:end], high_of[begin:end], work)
            begin_here = end
        else:
            begin_here = begin
        for b in range(begin_here, (steps + size - 1) // size if last == steps else end):
            piece = row[b * size + 1 : min(steps, (b + 1) * size) + 1]
            low, high = math.inf, -math.inf
            for i in range(piece.size):
                low = piece[i] if piece[i] < low else low
                high = piece[i] if piece[i] > high else high
            if apart:
                under = lows[b * size + 1 : min(steps, (b + 1) * size) + 1]
                for i in range(under.size):
                    low = under[i] if under[i] < low else low
            low_of[b], high_of[b] = low, high


@routine
def _large_extremes(setting: Integers, small: Floats, large: Floats) -> None:
    """Do so for blocks of blocks."""
    count, steps, size = setting[s.ASSETS], setting[s.STEPS], setting[s.SMALL]
    per_large = setting[s.LARGE] // size
    blocks = (steps + size - 1) // size
    for j in range(count):
        low_of, high_of = small[block.LOW * count + j], small[block.HIGH * count + j]
        for b in range((blocks + per_large - 1) // per_large):
            low, high = math.inf, -math.inf
            for k in range(b * per_large, min(blocks, (b + 1) * per_large)):
                low = low_of[k] if low_of[k] < low else low
                high = high_of[k] if high_of[k] > high else high
            large[block.LOW * count + j, b] = low
            large[block.HIGH * count + j, b] = high


@routine
def _start(
    setting: Integers, m: Floats, assets: Floats, oracle: Codes, series: Floats, work: Floats, places: Integers
) -> None:
    """Write what a path begins with."""
    count = setting[s.ASSETS]
    work[carried.USAGE] = m[f.USAGE]
    work[carried.GROWTH] = 1.0
    for j in range(count):
        begin = assets[j, a.BEGIN]
        work[carry.LOG_PRICE + j] = begin
        work[carry.VARIANCE + j] = assets[j, a.VARIANCE]
        work[carry.YIELD_EARNED + j] = 0.0
        market = move.price_of(assets[j, a.PRICE], begin)
        series[q.MARKET_VALUE * count + j, 0] = market
        protocol = assets[j, a.PRICE] if oracle[j] == oracles.INDEX else market
        series[q.RATIO * count + j, 0] = protocol
        series[places[where.LOW + j], 0] = protocol


@routine
def _diffuse(
    setting: Integers, row: int, flipped: int, group: int, first: int, n: int, series: Floats, work: Floats,
    places: Integers,
) -> None:  # fmt: skip
    """Draw the normals of all assets for a chunk, where their market values will be."""
    count = setting[s.ASSETS]
    low, high = setting[s.SEED_LOW], setting[s.SEED_HIGH]
    for j in range(count):
        z = series[q.MARKET_VALUE * count + j, first : first + n]
        fill_normals(row, flipped, move.stream_of(j, draw.DIFFUSION), group, low, high, first, n, z, work, places)


@routine
def _pin_all(
    setting: Integers, points: Floats, row: int, flipped: int, group: int, series: Floats, work: Floats,
    places: Integers,
) -> None:  # fmt: skip
    """Draw the normals of a whole path, and give them the coarse shape that a Sobol point says."""
    count, steps, width = setting[s.ASSETS], setting[s.STEPS], setting[s.SOBOL]
    for first in range(1, steps + 1, CHUNK):
        _diffuse(setting, row, flipped, group, first, min(CHUNK, steps + 1 - first), series, work, places)
    for j in range(count):
        z = series[q.MARKET_VALUE * count + j, 1 : steps + 1]
        pin(points[j * width : (j + 1) * width], z, work[lane.LOG_PRICE : lane.BEFORE_JUMP])


@routine
def _resample(table: Floats, j: int, n: int, work: Floats, places: Integers) -> None:
    """Add the past returns of the rows that were drawn."""
    x = work[lane.LOG_PRICE : lane.LOG_PRICE + n + 1]
    here = work[carry.LOG_PRICE + j]
    for i in range(n):
        here = here + table[places[place.OF_STEP + i], j]
        x[i + 1] = here
    work[carry.LOG_PRICE + j] = here


@helper
def _price(start: float, n: int, work: Floats) -> None:
    """Turn the log prices of a chunk into prices."""
    x, price = work[lane.LOG_PRICE + 1 : lane.LOG_PRICE + n + 1], work[lane.PRICE : lane.PRICE + n]
    prices(start, x, price, work[lane.REST : lane.REST + n], work[lane.PART : lane.PART + n])


@routine
def make_path(
    setting: Integers,
    m: Floats,
    assets: Floats,
    kinds: Codes,
    oracle: Codes,
    factor: Floats,
    table: Floats,
    lows: Floats,
    start_row: int,
    points: Floats,
    path: int,
    market: int,
    group: int,
    series: Floats,
    small: Floats,
    large: Floats,
    work: Floats,
    places: Integers,
) -> None:
    """Make one path of one market: its series, and the extremes of their blocks."""
    count, steps, joint = setting[s.ASSETS], setting[s.STEPS], setting[s.JOINT]
    row, flipped = path, 0
    if setting[s.ANTITHETIC]:
        row, flipped = path // 2, path % 2
    if places[memo.MARKET] != market:
        _prepare(setting, m, assets, oracle, series, places, market)
    _start(setting, m, assets, oracle, series, work, places)
    own = joint < 0
    pinned = own and setting[s.SOBOL] > 0
    mixed = pinned or (own and setting[s.CORRELATED] == 1)  # normals of all assets are there before one moves
    if pinned:
        _pin_all(setting, points, row, flipped, group, series, work, places)
    for first in range(1, steps + 1, CHUNK):
        n = min(CHUNK, steps + 1 - first)
        if setting[s.MOVING]:
            out = series[q.GROWTH * count, first : first + n]
            _moving_growth(setting, m, row, flipped, group, first, n, out, work, places)
        if mixed and not pinned:
            _diffuse(setting, row, flipped, group, first, n, series, work, places)
        if own and setting[s.CORRELATED]:
            _correlate(factor, count, first, n, series)
        if joint in (processes.BOOTSTRAP, processes.BLOCKS):
            _draw_rows(setting, m, table.shape[0], row, flipped, group, first, n, work, places)
        for j in range(count):
            start = assets[j, a.PRICE]
            index = oracle[j] == oracles.INDEX
            with_low = setting[s.BARRIER] == 1 and not index
            price, low_price = work[lane.PRICE : lane.PRICE + n], work[lane.VARIANCE : lane.VARIANCE + n]
            if joint == processes.REPLAY:
                _replay(start, table[start_row, j], table, j, start_row + first, price)
                if with_low:
                    _replay(start, table[start_row, j], lows, j, start_row + first, low_price)
            elif own:
                if mixed:
                    z = series[q.MARKET_VALUE * count + j, first : first + n]
                else:
                    z = work[lane.NORMAL : lane.NORMAL + n]
                    kind = move.stream_of(j, draw.DIFFUSION)
                    low, high = setting[s.SEED_LOW], setting[s.SEED_HIGH]
                    fill_normals(row, flipped, kind, group, low, high, first, n, z, work, places)
                _move(setting, m, assets[j], kinds[j], j, row, flipped, group, first, n, z, work, places)
                if with_low:
                    _lows(setting, start, j, row, flipped, group, first, n, work)
                _price(start, n, work)
            else:
                _resample(table, j, n, work, places)
                _price(start, n, work)
                if with_low:  # what happened within a past step is not known
                    for i in range(n):
                        low_price[i] = price[i]
            _values(count, j, first, n, index, assets[j, a.SUPPLY_YIELD] != 0.0, with_low, series, work)
        if setting[s.SMALL] > 0:
            _small_extremes(setting, first, n, series, small, work, places)
    if setting[s.SMALL] > 0:
        _large_extremes(setting, small, large)


@helper
def row_of_replay(starts: Integers, path: int) -> int:
    """Give the row of past prices that a path begins with."""
    return starts[path] if starts.size > 0 else 0


@kernel(
    integers_in,
    float_rows_in,
    float_rows_in,
    codes_in,
    codes_in,
    float_rows_in,
    float_rows_in,
    float_rows_in,
    integers_in,
    float_rows_in,
    integers_in,
    float_rows_out,
    float_rows_out,
    float_rows_out,
    floats_out,
    integers_out,
    integer,
    integer,
)
def paths(
    setting: Integers,
    markets: Floats,
    assets: Floats,
    kinds: Codes,
    oracle: Codes,
    factor: Floats,
    table: Floats,
    lows: Floats,
    starts: Integers,
    points: Floats,
    groups: Integers,
    series: Floats,
    small: Floats,
    large: Floats,
    work: Floats,
    places: Integers,
    start: int,
    stop: int,
) -> None:
    """Make the paths ``start <= i < stop``; i counts market by market, `paths` of the setting in each.

    Parameters
    ----------
    setting : (market_setting.END,) int64
    markets : (markets, market_field.END) float64
    assets : (markets·A, market_asset.END) float64
    kinds, oracle : (A,) int8
        Codes of the processes and of what the protocol prices an asset by.
    factor : (A, A) float64
        Cholesky factor of the correlation.
    table, lows : (rows, A) float64
        Past returns or prices of joint processes, and low prices.
    starts : (paths,) int64
        Rows of past prices that paths begin with; empty where none is replayed.
    points : (stop − start, K·A) float64
        Sobol's coordinates of each of the paths; no column where they are not used.
    groups : (markets,) int64
        Fourth word of the counters of random numbers.
    series : (market_series.GROWTH·A + 1, T + 1) float64
        Output, of the last path: it is meant for one.
    small, large : (market_block.END·A, blocks) float64
        Output, its extremes.
    work, places : (MARKET_PATH_SIZE,) float64, (MARKET_PLACES,) int64
        Workspace; ``places[market_memo.MARKET]`` is −1 before the first call, and tells which market is prepared.
    """
    count = setting[s.ASSETS]
    for i in range(stop - start):
        market = (start + i) // setting[s.PATHS]
        path = start + i - market * setting[s.PATHS]
        make_path(
            setting, markets[market], assets[market * count : (market + 1) * count], kinds, oracle, factor, table, lows,
            row_of_replay(starts, path), points[i], path, market, groups[market], series, small, large, work, places,
        )  # fmt: skip
