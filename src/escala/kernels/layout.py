"""Names for the rows of packed arrays and workspaces, made from :mod:`escala.tables`: no position is a bare number.

Each set of rows is a namespace of integers, ``r.NAME``; to the compiler they are constants, as literals are.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import Any, Final

from escala import tables


def rows(*names: str, first: int = 0, lanes: int = 1) -> Any:
    """Name consecutive rows, of `lanes` elements each, from `first` on.

    Parameters
    ----------
    names : str
        In the order of the rows; their upper-case forms are the attributes.
    first, lanes : int
        Where the first row begins, and how many elements a row has.

    Returns
    -------
    module
        An integer for each name, and ``END``: where the rows end, which no row may be called.
    """
    made = ModuleType("rows")
    for place, name in enumerate(names):
        attribute = name.upper()
        if attribute == "END" or hasattr(made, attribute):
            raise ValueError(f"a row cannot be called {name!r}: there is one already")
        setattr(made, attribute, first + place * lanes)
    made.END = first + len(names) * lanes  # type: ignore[attr-defined]
    return made


def of(table: Iterable[Any], *, first: int = 0, lanes: int = 1) -> Any:
    """Name the rows that a table of :mod:`escala.tables` has."""
    return rows(*(row.name for row in table), first=first, lanes=lanes)


def codes(table: Iterable[Any]) -> Any:
    """Name the codes of a table: an integer for each upper-case name."""
    made = ModuleType("codes")
    for row in table:
        setattr(made, row.name.upper(), row.value)
    return made


#: Coefficients of a curve, and squared: the widths of arrays of them and of their covariance.
PARAMS: Final = tables.PARAMS
COVARIANCE: Final = PARAMS * PARAMS
#: Places of a curve's coefficients.
coefficients = of(tables.Quantity(name, "") for name in tables.COEFFICIENTS)

#: Rows of a ladder's steps.
ladder_step = of(tables.LADDER_STEP)

families = codes((*tables.FAMILIES, *tables.WISHES))
#: One more than the largest code of a family.
FAMILIES: Final = 1 + max(row.value for row in tables.FAMILIES)
#: How many coefficients the fit of the family of each code finds; 0 for a code that none has.
COUNTS: Final = tuple(
    float(sum(row.fitted for row in tables.FAMILIES if row.value == code)) for code in range(FAMILIES)
)
#: Distinct capitals that a fit of the family of each code needs, and those from which on ``auto`` considers it.
LEAST_CAPITALS: Final = tuple(
    float(sum(row.least_capitals for row in tables.FAMILIES if row.value == code)) for code in range(FAMILIES)
)
LEAST_FOR_AUTO: Final = tuple(
    float(sum(max(row.auto_from, row.least_capitals) for row in tables.FAMILIES if row.value == code))
    for code in range(FAMILIES)
)
#: The families that ``auto`` chooses from: of two that are as good, the first.
CHOICES: Final = tuple(row.value for row in sorted(tables.FAMILIES, key=lambda row: row.auto) if row.auto)

fit_status = codes(tables.FIT_STATUS)
fit_stats = of(tables.FIT_STATS)
FIT_STATS: Final = len(tables.FIT_STATS)
limits = of(tables.LIMITS)
#: Columns of the inverse root of a fit's normal matrix: see :mod:`escala.kernels.curves.basis`.
root = rows("i0", "m1", "i1", "m2", "k", "i2")
ROOT: Final = root.END
#: Columns of the covariance of a curve's coefficients.
covariance = rows(*(first + second for first in tables.COEFFICIENTS for second in tables.COEFFICIENTS))
#: The kind of a curve in an allocation is its family, but exponentials that rise with capital are apart.
RISING: Final = FAMILIES
KINDS: Final = FAMILIES + 1

# ---- The lending loop ----

LENDING_LANES = 32
#: The streak's: none, stalling, stalled.
LENDING_REGIMES = 3

lending_input = of(tables.LENDING_INPUTS)
lending_value = of(tables.LENDING_VALUES)
lending_count = of(tables.LENDING_COUNTS)
lending_operation = of(tables.LENDING_TRACE)
stops = codes(tables.STOPS)
softened = codes(tables.SOFTENED)
#: What a call of `lending` leaves for the next: how many scenarios may have something left to do, the next to be
#: loaded, lanes in use, young lanes to be taken over, sweeps until then at most, scenarios to be loaded one by one.
lending_cursor = rows("active", "following", "lanes", "waiting", "youth", "singly")
#: What a call of `trace` leaves: operations recorded so far, and the stop code.
trace_cursor = rows("operation", "stop")

#: A lane: what every sweep reads of its scenario, then state and sums.
lending_lane = rows(
    *tables.names(tables.LENDING_HOT),
    "buffer",
    "streak",
    *(
        row.name  # what is summed up: all that comes out but the state at the end and the reason of it
        for row in (*tables.LENDING_VALUES, *tables.LENDING_COUNTS)
        if row.unit != "code" and not row.name.startswith("final_")
    ),
    "before",  # supply before the operation
    "flag",  # what the sweep leaves to the scalar code: NOTHING, CHECK or OPERATE
    "scenario",  # index of the scenario in this lane
    "last_drawn",  # from here on the last operation, for the table of operations
    "last_repaid",
    "last_fee",
    "last_reinvested",
    "last_profit",
    "last_attempts",
    "last_softened",
    "last_executed",
    "ended",  # in a young lane: the code of the stop at this sweep, GOES_ON, or STORED where it ended before
    lanes=LENDING_LANES,
)
#: What the streak's regime fixes: it changes rarely, so the sweep reads it instead of choosing.
lending_regime = rows(
    "streak_low",
    "streak_high",
    "rho",
    "ltv",
    "share_far",
    "share_mid",
    "share_near",
    "ltv_steps",  # times that the limit, then the repayment is lowered before the limit is raised
    "repay_steps",
    "ltv_last",  # limit and repayment after those steps
    "rho_last",
    "raised_attempt",  # number of the attempt after the limit was raised, 0 when attempts run out before
    "q_last",  # multiplier of the last attempt, when all of them soften what is reinvested
    "q_last_raised",  # the same when the limit was raised first
    first=lending_lane.END,
    lanes=LENDING_LANES,
)
#: The rows of a regime, in numbers of the workspace.
LENDING_REGIME_SIZE = lending_regime.END - lending_lane.END
#: Where those rows begin for each regime; NaN in the first until the lane enters it. They end where the lanes do.
LENDING_KEPT = lending_regime.END
LENDING_LANES_END = LENDING_KEPT + LENDING_REGIMES * LENDING_REGIME_SIZE
#: Behind the lanes: the last ladder of each regime, its inputs and its outcome.
lending_memo = rows(
    "ltv",
    "rho",
    "ltv_floor",
    "ltv_step",
    "repay_floor",
    "repay_step",
    "limit",
    "decay",
    "ltv_steps",
    "repay_steps",
    "ltv_last",
    "rho_last",
    "raised_attempt",
    "q_last",
    "q_last_raised",
)
#: Lanes and ladders, in whole cache lines; once for the lanes proper, once for the young.
LENDING_BLOCK_SIZE = (LENDING_LANES_END + LENDING_REGIMES * lending_memo.END + 7) // 8 * 8
LENDING_WORK_SIZE = 2 * LENDING_BLOCK_SIZE
#: Where in a lane each number lies that comes out.
LENDING_VALUE_ROWS = tuple(
    getattr(lending_lane, row.name.removeprefix("final_").upper()) for row in tables.LENDING_VALUES
)
LENDING_COUNT_ROWS = tuple(
    lending_lane.ENDED if row.unit == "code" else getattr(lending_lane, row.name.upper())
    for row in tables.LENDING_COUNTS
)

# ---- Plans of a leveraged position ----

PLAN_LANES = 64
#: Operations of a round: borrow, buy, deposit, or withdraw, sell, repay.
ROUND_OPERATIONS = 3

plan_input = of(tables.PLAN_INPUTS)
leverage_value = of(tables.LEVERAGE_VALUES)
leverage_count = of(tables.LEVERAGE_COUNTS)
unwind_value = of(tables.UNWIND_VALUES)
unwind_count = of(tables.UNWIND_COUNTS)
plan_operation = of(tables.PLAN_TRACE)
plan_status = codes(tables.PLAN_STATUS)
plan_targets = codes(tables.PLAN_TARGETS)
plan_actions = codes(tables.PLAN_ACTIONS)
#: A lane of plans: what was given, and the state. A plan that goes alone uses the first lane.
plan_lane = rows(
    *tables.names(tables.PLAN_INPUTS),
    "top",  # debt/supply that a step may leave
    "limit",  # the same, a little below, so that rounding never exceeds it
    "growth",  # what a unit of debt drawn or of collateral sold becomes
    "slope",  # how fast the distance to the target falls with it
    "missing",  # distance to the target
    "small",  # distance that counts as none
    "total",  # what must be drawn or sold in all, NaN where no number of rounds reaches the target
    "step",  # the largest that the next round may draw or sell; 0: none follows
    "factor",  # from one largest step to the next
    "reach",  # drawn or sold so far
    "possible",  # 1 where some number of rounds reaches the target
    "fitted",  # 1 once the last step was cut to size
    "going",  # 1 while rounds follow, of a plan that goes alone
    "made",  # rounds made
    lanes=PLAN_LANES,
)
#: Behind that what is computed.
leverage_out = of((*tables.LEVERAGE_VALUES, *tables.LEVERAGE_COUNTS), first=plan_lane.END, lanes=PLAN_LANES)
unwind_out = of((*tables.UNWIND_VALUES, *tables.UNWIND_COUNTS), first=plan_lane.END, lanes=PLAN_LANES)
PLAN_WORK_SIZE = max(leverage_out.END, unwind_out.END)

# ---- Allocations ----

#: Relative: money that is not there.
NOTHING: Final = tables.NOTHING
#: Problems among which a search may begin where the one before ended.
WARM: Final = tables.WARM

settings = of(tables.ALLOCATION_SETTINGS)
controls = of((*tables.ALLOCATION_CONTROLS, *tables.ALLOCATION_SWITCHES, *tables.ALLOCATION_GOAL))
targets = codes(tables.ALLOCATION_TARGETS)
solution = of(tables.ALLOCATION_SOLUTION)
allocation_status = codes(tables.ALLOCATION_STATUS)
bindings = codes(tables.BINDINGS)

#: Solves of one problem: each kind begins where the last of its kind ended.
solves = rows(
    "first",  # under the threshold
    "relaxed",  # the same where that cannot take all the money
    "second",  # without it, the first amounts as lower bounds
    "after_greedy",  # the same after a greedy first solve
    "anew",  # without it, and without the first amounts, which stand in the way of spending all
)
#: What a solve leaves for the next of its kind.
trail = rows("price", "falls", "money")
#: Answers to one problem, of which the better is kept.
drafts = rows("first", "second", "greedy_first", "after_greedy")
#: What the search with whole lots and counts notes of every instrument, behind the drafts.
whole = rows(
    "empty",  # what holding nothing is worth
    "at",  # the best amount at a price, 0 where the instrument is not chosen
    "short",  # the same at the highest price that leaves money, and at the lowest that asks for more than there is
    "over",
    "trial",  # an allocation that is tried
    "worth",  # what the amount of the trial returns, and one lot more or less
    "more",
    "less",
    "low",  # the domain of the node
    "high",
    "reach",
    "state",
    first=drafts.END,
)
#: A node of the search, integers: how it came about, and how it is split.
node = rows("parent", "changed", "action", "branch", "split")
#: A node of the search, numbers.
node_bound = rows("low", "high", "bound", "point")
#: How groups lie in one another: integers of each.
forest = rows(
    "parent",  # the group around it, or −1
    "size",  # instruments, those of inner groups included
    "begin",  # of its stretch in the order of the groups
    "first_block",
    "last_block",  # the one behind
    "next",  # where its next instrument, or inner group, goes
    "inner",
)
group_limits = of(tables.ALLOCATION_GROUPS)
#: Numbers of each group.
fences = rows(
    "most",
    "least",
    "start_full",  # where the next search for its prices begins
    "start_least",
    "full_at",  # the price at which it is full, or −inf
    "least_at",  # that at which it holds its least, or inf
    "price",
    "around",  # the price of what lies around it
    "noted",  # price beyond that
    "found",  # the same, of the whole problem
    "holds",
    "inner_most",  # what the groups right inside may hold
    "inner_at",  # the lowest price at which one of them is full, −inf where one is not
    "under",  # with whole lots or counts: its price is no lower than that, and no higher than what follows
    "over",
    "root_under",  # the same, of the whole problem
    "root_over",
)
#: Numbers of each limit where groups overlap: those of the groups, then that of the money.
crossing_limits = rows(
    "price",
    "most",
    "least",
    "holds",
    "rest",  # what rounding takes from that sum
    "over",  # what is held beyond the limit that counts; below 0: short of it
    "step",
    "begin",  # the price at which a step begins
    "counts",  # 1 where the limit has a price, or is missed
    "diagonal",  # of the matrix: how what is held falls with the price
    "free",  # the limits that a step is solved for, one behind the other
    "solved",  # their steps
    "kept",  # the last price that answered
)
#: Numbers of each instrument where groups overlap.
crossing_lanes = rows("own", "anchor", "share")
#: How the last attempt to keep to the limits of groups ended, behind that a problem's own one, and the first one.
verdict = rows(
    "status", "culprit", "excess", "noted", "noted_culprit", "noted_excess", "whole", "whole_culprit", "whole_excess"
)
#: Where the search for the total of a target is.
quest = rows(
    "low",
    "high",
    "at",
    "ceiling",
    "tried",
    "nearest",  # what can be met
    "last",  # 1: the total is found, and is allocated as it was asked for; or: some money keeps the efficiency
    "kept",  # 1 − reserve
    "scanned",  # totals tried downwards, while that goes on
)
#: Of two lines above the drawn utilities of a stretch: value and slope at its left end, and at its right one.
drawn_line = rows("left", "left_slope", "right", "right_slope")
drawn_node = rows("utility", "marginal")
#: Integers of every instrument: where it lies in the blocks, and what searches note of it.
marks = rows(
    "slot",
    "marked",
    "tickets",
    "dirty",  # the search touched its domain
    "twin",  # the identical instruments next before and after it
    "after",
    "heap",  # of the greedy rule
    "order",  # of the groups
    "lane",  # where it lies in the blocks, in that order
)

# ---- The market ----

#: Assets that a position has room for: the distance of rows that have one element an asset.
MARKET_ASSETS: Final = tables.MOST_ASSETS
MOST_LIQUIDATIONS: Final = tables.MOST_LIQUIDATIONS
TRADE_ROUNDS: Final = tables.TRADE_ROUNDS
YEAR: Final = tables.YEAR

processes = codes(tables.PROCESSES)
oracles = codes(tables.ORACLES)
compounding = codes(tables.COMPOUNDING)
liquidation_rules = codes(tables.RULES)
depths = codes(tables.DEPTHS)
market_status = codes(tables.MARKET_STATUS)
market_flags = codes(tables.MARKET_FLAGS)
market_events = codes(tables.MARKET_EVENTS)

#: What is the same for all scenarios of a call, integers.
market_setting = rows(
    "assets",
    "steps",
    "barrier",  # 1: steps have a low
    "joint",  # code of the process that moves all assets, or -1
    "compounding",
    "kinked",  # 1: the rate follows the usage
    "moving",  # 1: the usage moves
    "correlated",
    "antithetic",
    "sobol",  # coordinates an asset of the points that drive the normals; 0: none
    "seed_low",
    "seed_high",
    "paths",
    "rule",
    "small",  # steps in a block that may be skipped, and in a larger one; 0: nothing is skipped
    "large",
    "stride",  # columns between two positions in the outputs
)
#: Numbers of a market, one row a market.
market_field = rows(
    "dt",
    *tables.names(tables.FIXED_RATE_FIELDS),
    *tables.names(tables.KINKED_RATE_FIELDS),
    "block",  # mean length, or length, of a stretch of past returns
)
#: Numbers of an asset, one row a market and asset.
market_asset = rows(
    *tables.names(tables.MARKET_ASSET),
    *dict.fromkeys(tables.names((*tables.GBM_FIELDS, *tables.MERTON_FIELDS, *tables.OU_FIELDS, *tables.HESTON_FIELDS))),
    "begin",  # log price over the start price at the start
)
#: Numbers of a position and asset, one row each.
market_holding = of((*tables.MARKET_HOLDINGS, *tables.PROTOCOL_ASSET))
#: A depth: the code of its form, what describes it, and where a curve counts from.
_DEPTH = ("form", *tables.COEFFICIENTS, "origin")
#: Numbers of a position, one row each.
market_position = rows(
    *tables.names(tables.MARKET_BALANCES),
    *tables.names(tables.PROTOCOL_FIELDS),
    *(f"liquidator_{name}" for name in _DEPTH),
    *tables.names(tables.POLICY_FIELDS),
    *(f"depth_{name}" for name in _DEPTH),
)
market_output = of(tables.MARKET_OUTPUTS)
#: What is kept of a path over the steps: a row an asset each, then one row for the growth of the debt.
market_series = rows(
    "ratio",
    "low_ratio",
    "market_value",
    "yield_earned",
    "protocol_value",
    "supplied",  # units that a unit supplied at the start has become
    "growth",
)
#: Extremes of the ratios in a block of steps, a row an asset each.
market_block = rows("low", "high")
#: Steps that a path is made of at a time: what belongs to them fits a first-level cache.
MARKET_CHUNK: Final = 384
#: Workspace of a path: what belongs to the steps of a chunk,
market_lane = rows(
    "uniform",
    "tail",
    "normal",
    "log_price",
    "before_jump",
    "variance",
    "price",
    "rest",  # what the stages of a long expression leave for each other
    "part",
    lanes=MARKET_CHUNK + 8,
)
#: what the last step left for the next, one an asset,
market_carry = rows("log_price", "variance", "yield_earned", first=market_lane.END, lanes=tables.MOST_ASSETS)
#: and of all assets.
market_carried = rows("usage", "growth", first=market_carry.END)
MARKET_PATH_SIZE: Final = market_carried.END
#: Integers of a path: one a step of a chunk, then in which rows the walk finds an asset's numbers.
market_place = rows("of_step", "in_tail", lanes=MARKET_CHUNK + 8)
market_where = rows("low", "protocol", first=market_place.END, lanes=tables.MOST_ASSETS)
#: And what it was prepared for: the market, and the row of past returns.
market_memo = rows("market", "row", first=market_where.END)
MARKET_PLACES: Final = market_memo.END
#: Streams of random numbers; those of asset j begin at ASSET + 8·j.
market_stream = rows("restart", "row", "usage", "asset", first=61)
STREAMS_OF_ASSET: Final = 8
market_draw = rows("diffusion", "jump", "jump_size", "variance", "bridge")
#: What the walk knows of each asset.
market_held = rows(
    "collateral",
    "kappa",  # health factor a unit of ratio
    "liquidation_threshold",
    "loan_to_value",
    "bonus",
    "liquidation_factor",
    "mark",  # worth of a unit at the last event
    "yield_mark",
    "between",  # ratio somewhere between two closes
    "price",  # the protocol's price there
    "worth",  # the market's price there
    lanes=tables.MOST_ASSETS,
)
#: What it knows of the position; outputs begin where their first row is.
market_state = rows(
    "debt",
    "wallet",
    "buffer",
    "growth_mark",
    "looping",
    "step",  # that it has come to
    "under_way",  # 1: it may meet another event
    "counted",  # events so far
    "sold",  # what the last liquidator repaid, took, in units and at market prices
    "taken",
    "units",
    "proceeds",
    *(f"out_{name}" for name in tables.names(tables.MARKET_OUTPUTS)),
    first=market_held.END,
)
#: Positions that take turns along a path: while one waits for a division, the next looks for its trigger.
MARKET_TURNS: Final = 8
MARKET_STATE_SIZE: Final = MARKET_TURNS * market_state.END
#: Rows of the table of events.
market_event_row = rows("step", "kind", "a", "b", "c")
