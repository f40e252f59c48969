"""Positions walk along a path that they share, from trigger to trigger.

Between two events a health factor is a sum of ratios with weights that do not change. Rounded sums and products of
numbers that are not negative never fall when one of these rises, so the lowest and the highest ratios of a block of
steps decide exactly whether it can hold a step at which anything happens. Quiet blocks are skipped, and their part in
the lowest health factor is that of the lowest ratio; of several assets, whose lows need not fall on one step, it is
looked for only where it could be lower than what was seen.
"""

from __future__ import annotations

from typing import Final

from escala.kernels.jit import (
    Codes,
    Floats,
    Integers,
    codes_in,
    float_rows_in,
    float_rows_out,
    floats_in,
    floats_out,
    helper,
    integer,
    integers_in,
    integers_out,
    kernel,
)
from escala.kernels.layout import MARKET_TURNS as TURNS
from escala.kernels.layout import market_block as block
from escala.kernels.layout import market_held as h
from escala.kernels.layout import market_output as o
from escala.kernels.layout import market_position as p
from escala.kernels.layout import market_series as q
from escala.kernels.layout import market_setting as s
from escala.kernels.layout import market_state as w
from escala.kernels.layout import market_status as status
from escala.kernels.layout import market_where as where
from escala.kernels.market import loop
from escala.kernels.market import position as books
from escala.kernels.market.paths import make_path, row_of_replay
from escala.kernels.market.policies import act
from escala.kernels.market.rules import close_phase, low_phase


@helper
def _is_quiet(state: Floats, extremes: Floats, count: int, b: int, lower: float, upper: float) -> bool:
    """Tell whether no step of a block can be below `lower` or above `upper`, and count its lowest health factor."""
    low = state[h.KAPPA] * extremes[block.LOW * count, b]
    high = state[h.KAPPA] * extremes[block.HIGH * count, b]
    for j in range(1, count):
        low = low + state[h.KAPPA + j] * extremes[block.LOW * count + j, b]
        high = high + state[h.KAPPA + j] * extremes[block.HIGH * count + j, b]
    if low < lower or high > upper:
        return False
    if low < state[w.OUT_LOWEST_HEALTH]:
        if count > 1:
            return False
        state[w.OUT_LOWEST_HEALTH] = low
    return True


@helper
def _next_of_one(
    state: Floats, series: Floats, small: Floats, large: Floats, setting: Integers, places: Integers, t: int, last: int,
    wanted: float, upper: float, every: int,
) -> int:  # fmt: skip
    """Do what :func:`_next_trigger` does for one asset: what it looks at again and again stays in registers."""
    steps, size, larger = setting[s.STEPS], setting[s.SMALL], setting[s.LARGE]
    kappa, lowest = state[h.KAPPA], state[w.OUT_LOWEST_HEALTH]
    lower = max(1.0, wanted)
    low_of, high_of = small[block.LOW], small[block.HIGH]
    low_of_large, high_of_large = large[block.LOW], large[block.HIGH]
    closes, under = series[q.RATIO], series[places[where.LOW]]
    found = 0
    while t <= last and found == 0:
        end = last
        if size > 0:
            b = (t - 1) // larger
            end = min(steps, (b + 1) * larger)
            low = kappa * low_of_large[b]
            if t - 1 == b * larger and end <= last and not low < lower and not kappa * high_of_large[b] > upper:
                lowest = low if low < lowest else lowest
                t = end + 1
                continue
            end = min(end, last)
        b = (t - 1) // size if size > 0 else 0
        while t <= end and found == 0:
            inner = end
            if size > 0:
                inner = min(steps, (b + 1) * size)
                low = kappa * low_of[b]
                quiet = t - 1 == b * size and inner <= last and not low < lower and not kappa * high_of[b] > upper
                b += 1
                if quiet:
                    lowest = low if low < lowest else lowest
                    t = inner + 1
                    continue
                inner = min(inner, last)
            for i in range(max(t, 1), inner + 1):  # of an index that is above 0 no sign is looked at
                health, low = kappa * closes[i], kappa * under[i]
                if (low < lower) | (health < lower) | (health > upper):
                    acts = (health < wanted or health > upper) and (every == 1 or i % every == 0)
                    if low < 1.0 or health < 1.0 or acts:
                        found = i
                        break
                lowest = low if low < lowest else lowest
                lowest = health if health < lowest else lowest
            t = inner + 1
    state[w.OUT_LOWEST_HEALTH] = lowest
    return found if found > 0 else last + 1


@helper
def _next_trigger(
    state: Floats, series: Floats, small: Floats, large: Floats, setting: Integers, places: Integers, count: int,
    t: int, last: int, wanted: float, upper: float, every: int,
) -> int:  # fmt: skip
    """Give the first step from `t` on at which something happens, or the one after `last`."""
    steps = setting[s.STEPS]
    size, larger = setting[s.SMALL], setting[s.LARGE]
    barrier = setting[s.BARRIER] == 1
    lower = max(1.0, wanted)
    while t <= last:
        end = last
        if size > 0:
            b = (t - 1) // larger
            end = min(steps, (b + 1) * larger)
            if t - 1 == b * larger and end <= last and _is_quiet(state, large, count, b, lower, upper):
                t = end + 1
                continue
            end = min(end, last)
        while t <= end:
            inner = end
            if size > 0:
                b = (t - 1) // size
                inner = min(steps, (b + 1) * size)
                if t - 1 == b * size and inner <= last and _is_quiet(state, small, count, b, lower, upper):
                    t = inner + 1
                    continue
                inner = min(inner, last)
            while t <= inner:
                health = books.health_at_close(state, series, count, t)
                low = books.health_at_low(state, series, places, count, t) if barrier else health
                if low < 1.0 or health < 1.0:
                    return t
                if (health < wanted or health > upper) and t % every == 0:
                    return t
                books.see(state, low)
                books.see(state, health)
                t += 1
    return last + 1


#: Outputs that most positions on most paths leave at 0.
_SELDOM: Final = (o.STATUS, o.FLAGS, o.SUPPLY_YIELD, o.END_WALLET)
_OFTEN: Final = (
    o.END_STEP, o.FIRST_LIQUIDATION, o.LOWEST_HEALTH, o.HEALTH, o.START_EQUITY, o.END_EQUITY, o.PRICE_PNL, o.INTEREST,
    o.END_DEBT, o.END_PRICE,
)  # fmt: skip


@helper
def _keep(state: Floats, values: Floats, column: int) -> None:
    """Write the outputs, each to a line of the cache of its own: what is 0 was so before."""
    first = w.OUT_STATUS
    for row in _OFTEN:
        values[row, column] = state[first + row]
    for row in _SELDOM:
        if state[first + row] != 0.0:
            values[row, column] = state[first + row]
    if state[w.COUNTED] > 0.0:
        for row in range(o.LIQUIDATIONS, o.LOWEST_HEALTH):
            values[row, column] = state[first + row]
        for row in range(o.FEES, o.END_DEBT):
            values[row, column] = state[first + row]


@helper
def _advance(
    setting: Integers,
    position: Floats,
    loops: Floats,
    steps_of_ladders: Floats,
    count: int,
    series: Floats,
    small: Floats,
    large: Floats,
    places: Integers,
    events: Floats,
    lane: Floats,
    state: Floats,
) -> bool:
    """Walk a position to the next step at which something happens, and let it; tell whether there may be another."""
    steps, rule = setting[s.STEPS], setting[s.RULE]
    loop_every, every = int(position[p.LOOP_EVERY]), int(position[p.EVERY])
    t = int(state[w.STEP]) + 1
    due = steps + 1
    if state[w.LOOPING] > 0.0:
        due = (t + loop_every - 1) // loop_every * loop_every
    if state[w.DEBT] > 0.0:
        wanted = max(position[p.STOP_HEALTH], position[p.DELEVERAGE_HEALTH])
        if state[w.WALLET] > 0.0:
            wanted = max(wanted, position[p.TOPUP_HEALTH])
        last, upper = min(steps, due - 1), position[p.BOOST_HEALTH]
        if count == 1:
            t = _next_of_one(state, series, small, large, setting, places, t, last, wanted, upper, every)
        else:
            t = _next_trigger(state, series, small, large, setting, places, count, t, last, wanted, upper, every)
    else:
        t = due
    state[w.STEP] = min(t, steps)
    if t > steps:
        return False
    if setting[s.BARRIER] == 1:
        low_phase(state, position, steps_of_ladders, series, places, events, rule, count, t)
    if state[w.DEBT] > 0.0:
        health = books.health_at_close(state, series, count, t)
        books.see(state, health)
        if health < 1.0:
            close_phase(state, position, steps_of_ladders, series, places, events, rule, count, t)
    if state[w.OUT_STATUS] == status.OPEN and state[w.DEBT] > 0.0 and (every == 1 or t % every == 0):
        act(state, position, steps_of_ladders, series, places, events, count, t)
    if state[w.OUT_STATUS] == status.OPEN and state[w.LOOPING] > 0.0 and t % loop_every == 0:
        loop.grow(state, position, steps_of_ladders, series, places, events, lane, loops, t)
    return t < steps and state[w.OUT_STATUS] == status.OPEN


@helper
def _walk_some(
    setting: Integers,
    positions: Floats,
    holdings: Floats,
    loops: Floats,
    steps_of_ladders: Floats,
    first: int,
    last: int,
    count: int,
    series: Floats,
    small: Floats,
    large: Floats,
    places: Integers,
    events: Floats,
    lane: Floats,
    states: Floats,
    values: Floats,
    path: int,
) -> None:
    """Walk the positions ``first <= k < last`` along a path, one event of each in turn, and write their outputs."""
    under_way = last - first
    for k in range(last - first):
        state, position = states[k * w.END : (k + 1) * w.END], positions[first + k]
        held = holdings[(first + k) * count : (first + k + 1) * count]
        books.open_position(state, position, held, series, count, position[p.LOOP_EVERY] > 0.0)
        if position[p.LOOP_EVERY] > 0.0:
            loop.begin(lane, loops, first + k)
    while under_way > 0:
        under_way = 0
        for k in range(last - first):
            state, position = states[k * w.END : (k + 1) * w.END], positions[first + k]
            if state[w.UNDER_WAY] > 0.0:
                on = _advance(
                    setting, position, loops, steps_of_ladders, count, series, small, large, places, events, lane, state
                )
                state[w.UNDER_WAY] = 1.0 if on else 0.0
                under_way += 1 if on else 0
    for k in range(last - first):
        state = states[k * w.END : (k + 1) * w.END]
        books.close_books(state, series, count, int(state[w.STEP]))
        _keep(state, values, (first + k) * setting[s.STRIDE] + path)


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
    integers_in,
    float_rows_in,
    float_rows_in,
    float_rows_in,
    floats_in,
    float_rows_out,
    float_rows_out,
    float_rows_out,
    float_rows_out,
    float_rows_out,
    floats_out,
    integers_out,
    floats_out,
    floats_out,
    integer,
    integer,
)
def walk(
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
    members: Integers,
    positions: Floats,
    holdings: Floats,
    loops: Floats,
    steps: Floats,
    values: Floats,
    events: Floats,
    series: Floats,
    small: Floats,
    large: Floats,
    work: Floats,
    places: Integers,
    lane: Floats,
    state: Floats,
    start: int,
    stop: int,
) -> None:
    """Make the paths ``start <= i < stop``, market by market, and walk all positions of its market along each.

    Parameters
    ----------
    setting … groups, series … places
        As in :func:`escala.kernels.market.paths.paths`.
    members : (markets + 1,) int64
        Where the positions of each market begin: they lie market by market.
    positions : (n, market_position.END) float64
    holdings : (n·A, market_holding.END) float64
    loops : (inputs of the lending loop, n) float64
        Strategies; no column where no loop runs.
    steps : (s,) float64
        Those of the ladders among the depths.
    values : (outputs, n·stride) float64
        Output; zeros before. The one of position k on path q of its market is in column k·stride + q.
    events : (market_event_row.END, most) float64
        Output, of the last position and path: it is meant for one. ``state[market_state.COUNTED]`` is their number.
    lane : (LENDING_WORK_SIZE,) float64, state : (MARKET_STATE_SIZE,) float64
        Workspace.
    """
    count = setting[s.ASSETS]
    for i in range(stop - start):
        market = (start + i) // setting[s.PATHS]
        path = start + i - market * setting[s.PATHS]
        make_path(
            setting, markets[market], assets[market * count : (market + 1) * count], kinds, oracle, factor, table, lows,
            row_of_replay(starts, path), points[i], path, market, groups[market], series, small, large, work, places,
        )  # fmt: skip
        turns = TURNS if loops.shape[1] == 0 else 1  # there is one workspace of the loop
        for k in range(members[market], members[market + 1], turns):
            end = min(members[market + 1], k + turns)
            if count == 1:  # compiled a second time, for the number that most positions have
                _walk_some(
                    setting, positions, holdings, loops, steps, k, end, 1, series, small, large, places, events, lane,
                    state, values, path,
                )  # fmt: skip
            else:
                _walk_some(
                    setting, positions, holdings, loops, steps, k, end, count, series, small, large, places, events,
                    lane, state, values, path,
                )  # fmt: skip
