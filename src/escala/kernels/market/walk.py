"""Positions walk along a path that they share, from trigger to trigger.

Between two events a health factor is a sum of ratios with weights that do not change. Rounded sums and products of
numbers that are not negative never fall when one of these rises, so the lowest and the highest ratios of a block of
steps decide exactly whether it can hold a step at which anything happens. Quiet blocks are skipped, and their part in
the lowest health factor is that of the lowest ratio; of several assets, whose lows need not fall on one step, it is
looked for only where it could be lower than what was seen.
"""

from __future__ import annotations

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
from escala.kernels.layout import market_block as block
from escala.kernels.layout import market_held as h
from escala.kernels.layout import market_output as o
from escala.kernels.layout import market_position as p
from escala.kernels.layout import market_setting as s
from escala.kernels.layout import market_state as w
from escala.kernels.layout import market_status as status
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
def _next_trigger(
    state: Floats, position: Floats, series: Floats, small: Floats, large: Floats, setting: Integers, places: Integers,
    t: int, last: int,
) -> int:  # fmt: skip
    """Give the first step from `t` on at which something happens, or the one after `last`."""
    count, steps = setting[s.ASSETS], setting[s.STEPS]
    size, larger = setting[s.SMALL], setting[s.LARGE]
    barrier = setting[s.BARRIER] == 1
    every = int(position[p.EVERY])
    wanted = max(position[p.STOP_HEALTH], position[p.DELEVERAGE_HEALTH])
    if state[w.WALLET] > 0.0:
        wanted = max(wanted, position[p.TOPUP_HEALTH])
    lower, upper = max(1.0, wanted), position[p.BOOST_HEALTH]
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


@helper
def walk_path(
    setting: Integers,
    position: Floats,
    holdings: Floats,
    loops: Floats,
    steps_of_ladders: Floats,
    i: int,
    series: Floats,
    small: Floats,
    large: Floats,
    places: Integers,
    events: Floats,
    lane: Floats,
    state: Floats,
) -> None:
    """Walk one position along a path; the state holds its outputs."""
    count, steps, rule = setting[s.ASSETS], setting[s.STEPS], setting[s.RULE]
    loop_every = int(position[p.LOOP_EVERY])
    every = int(position[p.EVERY])
    books.open_position(state, position, holdings, series, count, loop_every > 0)
    if loop_every > 0:
        loop.begin(lane, loops, i)
    t = 0
    while t < steps and state[w.OUT_STATUS] == status.OPEN:
        t += 1
        due = steps + 1
        if state[w.LOOPING] > 0.0:
            due = (t + loop_every - 1) // loop_every * loop_every
        if state[w.DEBT] > 0.0:
            t = _next_trigger(state, position, series, small, large, setting, places, t, min(steps, due - 1))
        else:
            t = min(steps + 1, due)
        if t > steps:
            t = steps
            break
        if setting[s.BARRIER] == 1:
            low_phase(state, position, steps_of_ladders, series, places, events, rule, count, t)
        close_phase(state, position, steps_of_ladders, series, places, events, rule, count, t)
        if state[w.OUT_STATUS] == status.OPEN and t % every == 0 and state[w.DEBT] > 0.0:
            act(state, position, steps_of_ladders, series, places, events, count, t)
        if state[w.OUT_STATUS] == status.OPEN and state[w.LOOPING] > 0.0 and t % loop_every == 0:
            loop.grow(state, position, steps_of_ladders, series, places, events, lane, loops, t)
    books.close_books(state, series, count, t)


@helper
def _keep(state: Floats, values: Floats, column: int) -> None:
    """Write the outputs; what only events change was 0 before."""
    first = w.OUT_STATUS
    values[o.STATUS, column] = state[first + o.STATUS]
    values[o.FLAGS, column] = state[first + o.FLAGS]
    values[o.END_STEP, column] = state[first + o.END_STEP]
    values[o.FIRST_LIQUIDATION, column] = state[first + o.FIRST_LIQUIDATION]
    for row in range(o.LOWEST_HEALTH, o.FEES):
        values[row, column] = state[first + row]
    values[o.END_DEBT, column] = state[first + o.END_DEBT]
    values[o.END_WALLET, column] = state[first + o.END_WALLET]
    if state[w.COUNTED] > 0.0:
        for row in range(o.LIQUIDATIONS, o.LOWEST_HEALTH):
            values[row, column] = state[first + row]
        for row in range(o.FEES, o.END_DEBT):
            values[row, column] = state[first + row]


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
    lane : (LENDING_WORK_SIZE,) float64, state : (market_state.END,) float64
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
        for k in range(members[market], members[market + 1]):
            held = holdings[k * count : (k + 1) * count]
            walk_path(
                setting, positions[k], held, loops, steps, k, series, small, large, places, events, lane, state
            )  # fmt: skip
            _keep(state, values, k * setting[s.STRIDE] + path)
