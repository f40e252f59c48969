"""Every named quantity of the package, once: its name, what it may be, its default, its unit and what it says.

Fields of a strategy, arguments, outputs, statistics of fits, limits of allocations, and the codes of families, statuses
and reasons are rows here. The border checks what they may be, kernels have a row of an array for each (by
:mod:`escala.kernels.layout`), results, files, the store, the C header and the documentation their names. Dataclasses
write their fields out, for readers and type checkers; a test holds them against these tables.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Interval:
    """The values an argument may take."""

    low: float
    high: float
    low_open: bool = False
    high_open: bool = False
    integer: bool = False
    or_zero: bool = False

    def has(self, value: float) -> bool:
        """Tell quickly that a single number is allowed; False may also mean that this cannot tell."""
        if self.or_zero and value == 0.0:
            return True
        inside = self.low < value < self.high
        edge = (value == self.low and not self.low_open) or (value == self.high and not self.high_open)
        return (inside or edge) and (not self.integer or float(value).is_integer())

    def contains(self, values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Tell for each value whether it is allowed; NaN never is."""
        above = values > self.low if self.low_open else values >= self.low
        below = values < self.high if self.high_open else values <= self.high
        inside = above & below
        if self.integer:
            inside &= np.equal(values, np.floor(values))
        if self.or_zero:
            inside |= values == 0.0
        return inside

    def holds_all(self, values: npt.NDArray[Any]) -> bool:
        """Tell quickly, by the extremes, that all values are allowed; False may also mean that this cannot tell."""
        if values.size <= 1:
            return values.size == 1 and self.has(values.item())
        if self.integer or (self.or_zero and values.min() <= 0.0):
            return False
        # NaN if there is one; what lies between two numbers that are allowed is
        return self.has(float(values.min())) and self.has(float(values.max()))

    def __str__(self) -> str:
        shown = int if self.integer else float
        low, high = (f"{shown(bound):g}" if abs(bound) < 1e6 else repr(shown(bound)) for bound in (self.low, self.high))
        interval = f"{'(' if self.low_open else '['}{low}, {high}{')' if self.high_open else ']'}"
        return f"{'an integer ' if self.integer else ''}{'0 or ' if self.or_zero else ''}in {interval}"


@dataclass(frozen=True)
class Quantity:
    """One named number: a field, an argument, an output or a statistic.

    Parameters
    ----------
    name : str
        As people write it.
    doc : str
        What it says, in a line.
    unit : str
        ``amount`` (the unit of account), ``fraction``, ``ratio``, ``count``, ``seconds``, … or nothing.
    values : Interval
        What it may be; of an output, what it can be.
    default : float, optional
        None where one must be given, and for outputs.
    """

    name: str
    doc: str
    unit: str = ""
    values: Interval = Interval(-math.inf, math.inf)
    default: float | None = None

    @property
    def c_type(self) -> str:
        """Type in C: whole numbers that are computed are integers, everything that is given is a double."""
        return "int64_t" if self.values.integer and self.default is None else "double"


@dataclass(frozen=True)
class Field(Quantity):
    """A quantity that says how a model's step behaves: one number for all scenarios, or one for each.

    Parameters
    ----------
    at_most : str
        Another field, which this one must not exceed.
    hot : bool
        Every step reads it, so it lies beside the state; the others stay in the inputs until they are needed.
    kernel : bool
        The kernel reads it; False if only results do.
    """

    at_most: str = ""
    hot: bool = False
    kernel: bool = True


@dataclass(frozen=True)
class Output(Quantity):
    """A quantity that a model gives.

    Parameters
    ----------
    kernel : bool
        The kernel computes it; False if the result derives it from others.
    usual : bool
        A sweep keeps it when nobody says what to keep.
    """

    kernel: bool = False
    usual: bool = False


@dataclass(frozen=True)
class Code:
    """One named integer: a family, a status, a reason. The numbers are kept in files and in C: they never change."""

    name: str
    value: int
    doc: str


@dataclass(frozen=True)
class Form(Code):
    """A family of curves: the form that efficiency takes over capital.

    Parameters
    ----------
    coefficients : tuple of Quantity
        What its coefficients are and may be, in their order: a, b, c, … of a curve.
    aliases : tuple of str
        Other names that people may write.
    auto : int
        Its turn among those that ``auto`` considers: of two that fit as well, the first is taken; 0 if it is none.
    scales : int
        How many of its coefficients, the last ones, are scales that the records give: they are not fitted.
    needs : int
        Distinct capitals that a fit needs; 0: as many as there are coefficients to find.
    auto_from : int
        Distinct capitals from which on ``auto`` considers it; 0: as soon as it can be fitted.
    anchored : bool
        Whether it counts capital from the curve's origin; the others have the origin 0.
    powers : tuple of float
        The power of the unit of capital that each of its coefficients is in: −1 for what is lost a unit.
    """

    coefficients: tuple[Quantity, ...] = ()
    aliases: tuple[str, ...] = ()
    auto: int = 0
    scales: int = 0
    needs: int = 0
    auto_from: int = 0
    anchored: bool = False
    powers: tuple[float, ...] = ()

    @property
    def fitted(self) -> int:
        """How many of its coefficients a fit finds."""
        return len(self.coefficients) - self.scales

    @property
    def least_capitals(self) -> int:
        """Distinct capitals that a fit needs."""
        return self.needs or self.fitted

    @property
    def least_points(self) -> int:
        """Points (of equal weight) from which on ``auto`` considers it: those that its AICc is defined for."""
        return self.fitted + 2


@dataclass(frozen=True)
class Target(Code):
    """Where a plan of a position ends.

    Parameters
    ----------
    values : Interval, optional
        What its number may be; None where it has none.
    up, down : bool
        Whether plans that build leverage, and such as take it off, may have it.
    """

    values: Interval | None = None
    up: bool = False
    down: bool = False


Table = tuple[Quantity, ...]
Codes = tuple[Code, ...]


def names(rows: Iterable[Quantity | Code]) -> tuple[str, ...]:
    """Give the names of a table's rows, in their order."""
    return tuple(row.name for row in rows)


def intervals(rows: Iterable[Quantity]) -> dict[str, Interval]:
    """Give what each quantity of a table may be, by name."""
    return {row.name: row.values for row in rows}


def code_values(rows: Iterable[Code]) -> dict[str, int]:
    """Give the number of each code of a table, by name."""
    return {row.name: row.value for row in rows}


FRACTION: Final = Interval(0.0, 1.0)
POSITIVE_FRACTION: Final = Interval(0.0, 1.0, low_open=True)
BELOW_ONE: Final = Interval(0.0, 1.0, high_open=True)
INSIDE_ONE: Final = Interval(0.0, 1.0, low_open=True, high_open=True)
FINITE: Final = Interval(-np.inf, np.inf, low_open=True, high_open=True)
FROM_ZERO: Final = Interval(0.0, np.inf)
FINITE_FROM_ZERO: Final = Interval(0.0, np.inf, high_open=True)
POSITIVE: Final = Interval(0.0, np.inf, low_open=True, high_open=True)

#: Settings of a whole system, as a store keeps them; beside them stands the family of curves.
SYSTEM_SETTINGS: Final[Table] = (
    Quantity("min_efficiency", "least efficiency of capital", "fraction", FRACTION, 0.5),
    Quantity("rebalance_threshold", "drift from which on trading is worth it", "fraction", FINITE_FROM_ZERO, 0.1),
    Quantity("update_interval", "time between two trainings", "seconds", POSITIVE, 86400.0),
    Quantity("reserve", "share of the total that stays out", "fraction", BELOW_ONE, 0.05),
    Quantity("min_ticket", "least capital of an instrument that holds any", "amount", FINITE_FROM_ZERO, 0.0),
    Quantity("max_share", "most capital of an instrument as a share of the total", "fraction", FRACTION, 0.5),
)

#: Settings of one symbol, as a store keeps them; None leaves them to those of the system.
SYMBOL_SETTINGS: Final[Table] = (
    Quantity("lower", "least capital", "amount", FINITE_FROM_ZERO),
    Quantity("upper", "most capital", "amount", FROM_ZERO),
    Quantity("min_ticket", "least capital, if it holds any", "amount", FINITE_FROM_ZERO),
    Quantity("max_share", "most capital as a share of the total", "fraction", FRACTION),
    Quantity("priority", "weight of its utility", "ratio", FINITE_FROM_ZERO),
)

#: How an engine works.
ENGINE_SETTINGS: Final[Table] = (
    Quantity("level", "share of new observations in a prediction's interval", "fraction", INSIDE_ONE, 0.95),
    Quantity("tolerance", "distance that a prediction's confidence is of", "fraction", FINITE_FROM_ZERO, 0.05),
    Quantity("drop", "share of the peak efficiency that is lost at saturation", "fraction", POSITIVE_FRACTION, 0.10),
    Quantity("half_life", "age at which a record counts half; without it all count alike", "seconds", POSITIVE),
    Quantity("refresh_interval", "time after which other processes are seen", "seconds", FINITE_FROM_ZERO, 5.0),
    Quantity("refresh_timeout", "longest wait for that where the answer is known", "seconds", FINITE_FROM_ZERO, 1.0),
    Quantity("cache_size", "predictions that are remembered", "count", Interval(0, 2.0**53, integer=True), 100_000),
    Quantity("record_cache", "records that stay in memory", "count", Interval(0, 2.0**53, integer=True), 5_000_000),
    Quantity("max_staleness", "age of records that an answer may miss", "seconds", FINITE_FROM_ZERO, 0.0),
    Quantity("history_size", "trainings of a symbol that stay", "count", Interval(1, 2.0**31 - 1, integer=True), 1000),
)

#: Coefficients that a curve has room for: the width of every array of them. Those that a family does not use are 0.
PARAMS: Final = 4
#: Names of the coefficients, whatever they mean in a family.
COEFFICIENTS: Final = tuple("abcd"[:PARAMS])

#: Families of curves. Codes have room: the next family takes the next number below those of the wishes.
FAMILIES: Final = (
    Form(
        "linear", 0, "a·C + b",
        (Quantity("a", "slope", values=FINITE), Quantity("b", "efficiency at 0", values=FINITE)),
        auto=1, powers=(-1.0, 0.0),
    ),
    Form(
        "quadratic", 1, "(a·d + b)·d + c, d = C − origin",
        (
            Quantity("a", "bend", values=FINITE),
            Quantity("b", "slope at the origin", values=FINITE),
            Quantity("c", "efficiency at the origin", values=FINITE),
        ),
        aliases=("polynomial",), anchored=True, powers=(-2.0, -1.0, 0.0),
    ),
    Form(
        "exponential", 2, "a·exp(−b·d) + c, d = C − origin, b > 0",
        (
            Quantity("a", "what decays, at the origin", values=FINITE),
            Quantity("b", "rate of decay a unit of capital", values=POSITIVE),
            Quantity("c", "efficiency far out", values=FINITE),
        ),
        anchored=True, powers=(0.0, -1.0, 0.0),
    ),
    Form(
        "sqrt", 3, "a·√C + b",
        (Quantity("a", "slope over √C", values=FINITE), Quantity("b", "efficiency at 0", values=FINITE)),
        auto=2, powers=(-0.5, 0.0),
    ),
    Form(
        "hill", 4, "a·x^(s − 1)/(1 + x^s), x = C/K; b is K and c is s",
        (
            Quantity("a", "efficiency far below K where s is 1; at most what makes the highest efficiency 1",
                     values=Interval(0.0, 2.0)),
            Quantity("b", "K, the capital at which utility is half of what it can be", "amount", POSITIVE),
            Quantity("c", "s, how S-shaped utility is; 1: concave", values=Interval(1.0, 20.0)),
        ),
        powers=(0.0, 1.0, 0.0),
    ),
    Form(
        "depth", 5, "a·(1 + (C/D)^h)^(−1/h); b is D and c is h",
        (
            Quantity("a", "level: efficiency at 0", values=FRACTION),
            Quantity("b", "D, the depth: at most a·D ever comes out; inf: there is none", "amount",
                     Interval(0.0, np.inf, low_open=True)),
            Quantity("c", "h, how sharp the knee at the depth is; 1: the pool of constant product",
                     values=Interval(1.0 / 20.0, 200.0)),
        ),
        auto=4, powers=(0.0, 1.0, 0.0),
    ),
    Form(
        "power", 6, "a − k·(C/S)^c; b is k and d is S",
        (
            Quantity("a", "level: efficiency at 0", values=FRACTION),
            Quantity("b", "k, what is lost at S", values=FINITE_FROM_ZERO),
            Quantity("c", "exponent", values=Interval(1.0 / 50.0, 8.0)),
            Quantity("d", "S, the largest capital seen", "amount", POSITIVE),
        ),
        auto=3, scales=1, powers=(0.0, 0.0, 0.0, 1.0),
    ),
    Form(
        "ladder", 7, "a·b·L(C/b)/C, L rises in straight steps that get flatter",
        (
            Quantity("a", "factor of the slopes, which are at most 1 with it", values=FROM_ZERO),
            Quantity("b", "factor of the knots", values=POSITIVE),
            Quantity("c", "number of steps", "count", Interval(1, 2.0**53, integer=True)),
            Quantity("d", "place of the steps beside the coefficients; 0 where a set of curves keeps them", "index",
                     Interval(0, 2.0**53, integer=True)),
        ),
        auto=5, needs=3, auto_from=40, powers=(0.0, 1.0, 0.0, 0.0),
    ),
)  # fmt: skip

#: What a ladder consists of, a row each: as many numbers as it has steps.
LADDER_STEP: Final[Table] = (
    Quantity("knot", "capital at which the step begins; 0 for the first", "amount", FROM_ZERO),
    Quantity("slope", "what a unit of capital returns within the step", "fraction", FRACTION),
    Quantity("utility", "what capital up to the knot returns", "amount", FROM_ZERO),
)

#: What may be asked for in place of a family; never the family of a curve.
WISHES: Final = (Code("auto", 64, "the family of lowest AICc"),)

#: How a fit may end.
FIT_STATUS: Final = (
    Code("ok", 0, "a curve"),
    Code("too_few_points", 1, "fewer distinct capitals than the family has coefficients; there is no curve"),
    Code("degenerate", 2, "the records do not determine the coefficients; there is no curve"),
    Code("constant", 3, "all efficiencies are equal: a horizontal line"),
)

#: What a fit says beside the curve: one number an instrument each, in this order in kernels and in C.
FIT_STATS: Final = (
    Quantity("smallest", "smallest capital seen", "amount", FROM_ZERO),
    Quantity("largest", "largest capital seen", "amount", FROM_ZERO),
    Quantity("trusted_to", "where trust in the curve ends", "amount", FROM_ZERO),
    Quantity("residual_sd", "√(SSE/df_resid)", "fraction", FROM_ZERO),
    Quantity("df_resid", "degrees of freedom left: n_eff − coefficients; 0 where there is none", "count", FROM_ZERO),
    Quantity("r_squared", "1 − SSE/SST; 0 where all efficiencies are equal"),
    Quantity("mean_error", "(weighted) mean absolute residual", "fraction", FROM_ZERO),
    Quantity("max_error", "largest absolute residual", "fraction", FROM_ZERO),
    Quantity("rmse", "root of the mean squared residual", "fraction", FROM_ZERO),
    Quantity("aicc", "corrected Akaike criterion"),
    Quantity("neumann", "Von Neumann's ratio of the residuals in order of capital", "ratio", FROM_ZERO),
    Quantity("neumann_mean", "its mean by chance", "ratio", FROM_ZERO),
    Quantity("neumann_variance", "its variance by chance", "", FROM_ZERO),
)

#: Where a curve saturates: see :class:`escala.curves.prediction.Saturation`.
LIMITS: Final = (
    Quantity("peak", "smallest capital with the highest efficiency", "amount", FROM_ZERO),
    Quantity("saturation", "where the given share of the highest efficiency is lost", "amount", FROM_ZERO),
    Quantity("saturation_low", "lower end of its interval", "amount", FROM_ZERO),
    Quantity("saturation_high", "upper end of its interval", "amount", FROM_ZERO),
    Quantity("capacity", "where capital times efficiency has its first peak", "amount", FROM_ZERO),
    Quantity("capacity_low", "lower end of its interval", "amount", FROM_ZERO),
    Quantity("capacity_high", "upper end of its interval", "amount", FROM_ZERO),
    Quantity("ceiling", "what capital times efficiency rises to before it first falls", "amount", FROM_ZERO),
)

# ---- The lending loop ----

AMOUNT: Final = Interval(1e-100, 1e100)
AMOUNT_OR_NONE: Final = Interval(1e-100, 1e100, or_zero=True)
BOUNDED_FROM_ZERO: Final = Interval(0.0, 1e100)
_MOST: Final = 2**31 - 1
COUNT: Final = Interval(1, _MOST, integer=True)
COUNT_FROM_ZERO: Final = Interval(0, _MOST, integer=True)
MANY: Final = Interval(0, 2**63 - 1, integer=True)
YES_OR_NO: Final = Interval(0, 1, integer=True)

#: Why a scenario ends; `doc` is what people read.
STOPS: Final[Codes] = (
    Code("target_reached", 0, "target reached"),
    Code("stalled", 1, "stalled"),
    Code("max_operations", 2, "operations spent"),
)
#: How a plan was softened until it fitted; a column of the table of operations has their sum.
SOFTENED: Final[Codes] = (
    Code("reinvest", 1, "less reinvested"),
    Code("ltv", 2, "lower limit"),
    Code("repay", 4, "smaller repayment"),
    Code("raised", 8, "raised limit"),
)

#: Where a scenario begins.
LENDING_ARGUMENTS: Final[Table] = (
    Quantity("supply", "Collateral at the start", "amount", AMOUNT),
    Quantity("borrow", "Debt at the start", "amount", AMOUNT_OR_NONE),
    Quantity("target", "Collateral wanted", "amount", AMOUNT),
    Quantity("wallet", "Free cash at the start", "amount", AMOUNT_OR_NONE),
)

#: What the loop does at each operation.
LENDING_STRATEGY: Final[tuple[Field, ...]] = (
    Field("min_profit", "Smallest cash an operation must leave", "amount", BOUNDED_FROM_ZERO, 1e-6, hot=True),
    Field("repay", "Share of the debt that an operation repays", "fraction", FRACTION, 0.11),
    Field("repay_stalling", "Share of the debt repaid after more than stalling_after operations without progress",
          "fraction", FRACTION, 0.07),
    Field("repay_stalled", "Share of the debt repaid after more than stalled_after operations without progress",
          "fraction", FRACTION, 0.035),
    Field("repay_floor", "How far the repayment is lowered when a plan does not fit", "fraction", FRACTION, 0.03),
    Field("repay_step", "Steps in which the repayment is lowered", "fraction", POSITIVE_FRACTION, 0.005),
    Field("target_ltv", "Limit of debt/supply", "ratio", BELOW_ONE, 0.69, at_most="ltv_ceiling"),
    Field("target_ltv_stalled", "Limit of debt/supply after more than stalled_after operations without progress",
          "ratio", BELOW_ONE, 0.73, at_most="ltv_ceiling"),
    Field("ltv_floor", "How far the limit of debt/supply is lowered when a plan does not fit", "ratio", BELOW_ONE, 0.50,
          at_most="ltv_ceiling"),
    Field("ltv_ceiling", "How far the limit of debt/supply is raised when a plan does not fit", "ratio", INSIDE_ONE,
          0.73, hot=True),
    Field("ltv_step", "Steps in which the limit of debt/supply is lowered", "ratio", POSITIVE_FRACTION, 0.01),
    Field("ltv_nudge", "Added when the limit of debt/supply is raised to what a plan needs", "ratio", FRACTION, 1e-6,
          hot=True),
    Field("draw_fraction", "Share of the safe maximum that is borrowed", "fraction", POSITIVE_FRACTION, 0.80, hot=True),
    Field("wallet_fraction", "Most that is moved from the wallet at once, as a share of the supply", "fraction",
          FRACTION, 0.70, hot=True),
    Field("fee_rate", "Cost of a repayment, as a share of it", "fraction", FRACTION, 0.0025, hot=True),
    Field("liquidation_threshold", "Share of the supply that counts against the debt", "fraction", POSITIVE_FRACTION,
          0.74, hot=True),
    Field("min_health_factor", "What every executed operation must leave more than", "ratio", Interval(1.0, 1e6), 1.01,
          hot=True),
    Field("free_collateral_factor", "Share of supply − borrow reported as free collateral", "fraction", FRACTION, 0.80,
          kernel=False),
    Field("reinvest_far", "Share reinvested of what is drawn beyond repayment and fee, far from the target", "fraction",
          FRACTION, 0.60),
    Field("reinvest_mid", "Share reinvested at a middle distance", "fraction", FRACTION, 0.40),
    Field("reinvest_near", "Share reinvested near the target", "fraction", FRACTION, 0.20),
    Field("far_gap", "Distance, as a multiple of the supply, beyond which a target is far", "ratio", BOUNDED_FROM_ZERO,
          0.5, hot=True),
    Field("near_gap", "Distance, as a multiple of the supply, up to which a target is near", "ratio",
          BOUNDED_FROM_ZERO, 0.2, at_most="far_gap", hot=True),
    Field("reinvest_stalling", "Share reinvested after more than stalling_after operations without progress",
          "fraction", FRACTION, 0.10),
    Field("reinvest_stalled", "Share reinvested after more than stalled_after operations without progress",
          "fraction", FRACTION, 0.05),
    Field("reinvest_decay", "Factor that lowers the share reinvested when a plan does not fit", "ratio", BELOW_ONE,
          0.95),
    Field("reinvest_snap", "Amount below which nothing is reinvested", "amount", BOUNDED_FROM_ZERO, 1e-9, hot=True),
    Field("stalling_after", "Operations without progress after which a run is stalling", "count", COUNT_FROM_ZERO, 2,
          at_most="stalled_after", hot=True),
    Field("stalled_after", "Operations without progress after which a run is stalled", "count", COUNT_FROM_ZERO, 5,
          hot=True),
    Field("stagnation_tolerance", "Growth of the supply below which an operation made no progress", "amount",
          BOUNDED_FROM_ZERO, 3e-5, hot=True),
    Field("max_rescale_attempts", "Most plans tried in one operation", "count", Interval(1, 10**6, integer=True), 50,
          hot=True),
    Field("max_fallback_attempts", "Most smaller drawings tried when a plan may not be executed", "count",
          Interval(0, 10**6, integer=True), 5),
    Field("max_stagnant_operations", "Operations without progress after which a scenario ends", "count", COUNT, 35,
          hot=True),
    Field("max_operations", "Operations after which a scenario ends", "count", COUNT, 10_000, hot=True),
)  # fmt: skip

#: What becomes of a scenario, in the order in which results show it.
LENDING_OUTPUTS: Final[tuple[Output, ...]] = (
    Output("stop", "Why it ended", "code", Interval(0, len(STOPS) - 1, integer=True), kernel=True),
    Output("final_supply", "Collateral at the end", "amount", FROM_ZERO, kernel=True, usual=True),
    Output("final_borrow", "Debt at the end", "amount", FROM_ZERO, kernel=True),
    Output("final_buffer", "Profit kept at the end for the next operation's supply", "amount", FROM_ZERO, kernel=True),
    Output("final_wallet", "Free cash at the end", "amount", FROM_ZERO, kernel=True),
    Output("start_net_equity", "supply + wallet − borrow at the start", "amount"),
    Output("net_equity", "supply + buffer + wallet − borrow at the end: what is really owned", "amount"),
    Output("net_equity_change", "Exactly −fees: the only thing that changes equity in this model", "amount",
           usual=True),
    Output("added_debt", "Growth of the debt", "amount", usual=True),
    Output("profit", "Cash drawn by new borrowing and owed back: read it beside net_equity_change", "amount", FROM_ZERO,
           kernel=True, usual=True),
    Output("fees", "Cost of all repayments", "amount", FROM_ZERO, kernel=True),
    Output("repaid", "Debt repaid by executed operations", "amount", FROM_ZERO, kernel=True),
    Output("drawn", "Debt drawn by executed operations", "amount", FROM_ZERO, kernel=True),
    Output("start_health_factor", "supply·liquidation_threshold/borrow at the start; inf without debt", "ratio",
           FROM_ZERO),
    Output("health_factor", "supply·liquidation_threshold/borrow at the end; inf without debt", "ratio", FROM_ZERO,
           usual=True),
    Output("lowest_health_factor", "Lowest right after an executed operation; inf if there is none", "ratio", FROM_ZERO,
           kernel=True, usual=True),
    Output("lowest_profit", "Lowest of an executed operation; inf if there is none", "amount", FROM_ZERO, kernel=True),
    Output("ltv", "Debt per supply at the end", "ratio", FROM_ZERO),
    Output("leverage", "supply/(supply − borrow) at the end; inf or negative where the debt is no smaller than that",
           "ratio"),
    Output("free_collateral", "(supply − borrow)·free_collateral_factor at the end", "amount"),
    Output("withdrawable", "max(0, supply − borrow·min_health_factor/liquidation_threshold) at the end", "amount",
           FROM_ZERO),
    Output("supply_bound", "Supply that can never be exceeded, by proof (up to rounding)", "amount"),
    Output("expected_supply", "Rule of thumb, not a bound: where the normal repayment and the normal limit balance",
           "amount"),
    Output("reachable", "Tell where the target is within the proven bound; a run may stall below it all the same", "",
           YES_OR_NO),
    Output("executed", "Operations that were executed", "count", MANY, kernel=True, usual=True),
    Output("skipped", "Operations that found no plan, or whose plan did not pass", "count", MANY, kernel=True),
    Output("stagnant", "Operations that made no progress", "count", MANY, kernel=True),
    Output("positive", "Executed operations whose profit was above 0, counted", "count", MANY, kernel=True),
    Output("positive_share", "Counted share of executed operations with a profit above 0; 0 where none was executed",
           "fraction", FRACTION),
    Output("rescale_attempts", "Plans tried in all", "count", MANY, kernel=True),
    Output("rescale_attempts_max", "Most plans tried in one operation", "count", MANY, kernel=True),
    Output("fallback_attempts", "Tries of the fallback in all", "count", MANY, kernel=True),
)  # fmt: skip

#: Columns of the table of operations; amounts of an operation that was skipped are 0.
LENDING_OPERATION: Final[tuple[Output, ...]] = (
    Output("operation", "Number of the operation, from 1", "count", COUNT),
    Output("supply", "Collateral after it", "amount", FROM_ZERO, kernel=True),
    Output("borrow", "Debt after it", "amount", FROM_ZERO, kernel=True),
    Output("buffer", "Profit kept after it", "amount", FROM_ZERO, kernel=True),
    Output("wallet", "Free cash after it", "amount", FROM_ZERO, kernel=True),
    Output("drawn", "Debt drawn", "amount", FROM_ZERO, kernel=True),
    Output("repaid", "Debt repaid", "amount", FROM_ZERO, kernel=True),
    Output("fee", "Cost of the repayment", "amount", FROM_ZERO, kernel=True),
    Output("reinvested", "Collateral added", "amount", FROM_ZERO, kernel=True),
    Output("profit", "Cash left", "amount", FROM_ZERO, kernel=True),
    Output("health_factor", "supply·liquidation_threshold/borrow after it; inf without debt", "ratio", FROM_ZERO,
           kernel=True),
    Output("attempts", "Plans tried", "count", MANY, kernel=True),
    Output("softened", "How the plan was softened, a sum of codes", "code", MANY, kernel=True),
    Output("executed", "1 if it was executed, 0 if it was skipped", "", YES_OR_NO, kernel=True),
    Output("streak", "Operations without progress up to it", "count", MANY, kernel=True),
    Output("ltv", "Debt per supply after it", "ratio", FROM_ZERO),
)  # fmt: skip

_HOT: Final = tuple(row for row in LENDING_STRATEGY if row.kernel and row.hot)
#: What the kernel reads of a scenario, a row each: first what every step reads.
LENDING_HOT: Final[Table] = (*LENDING_ARGUMENTS, *_HOT)
LENDING_INPUTS: Final[Table] = (*LENDING_HOT, *(row for row in LENDING_STRATEGY if row.kernel and not row.hot))
_COMPUTED: Final = sorted(
    (row for row in LENDING_OUTPUTS if row.kernel), key=lambda row: ("amount", "ratio", "count", "code").index(row.unit)
)
#: What it writes: real numbers, amounts first, and whole ones, codes last.
LENDING_VALUES: Final[Table] = tuple(row for row in _COMPUTED if not row.values.integer)
LENDING_COUNTS: Final[Table] = tuple(row for row in _COMPUTED if row.values.integer)
#: What it writes of each operation.
LENDING_TRACE: Final[Table] = tuple(row for row in LENDING_OPERATION if row.kernel)

# ---- Plans of a leveraged position ----

#: How a plan ends; `doc` is what people read.
PLAN_STATUS: Final[Codes] = (
    Code("reached", 0, "target reached"),
    Code("met", 1, "no round is needed: the position is there already"),
    Code("beyond", 2, "no round is made: the position is beyond the target"),
    Code("rounds", 3, "all rounds that were allowed are made"),
    Code("unreachable", 4, "no number of rounds reaches the target"),
    Code("stuck", 5, "another round would move nothing"),
)
#: What a person does in one operation of a plan.
PLAN_ACTIONS: Final[Codes] = (
    Code("deposit", 0, "supply collateral"),
    Code("borrow", 1, "draw debt"),
    Code("buy", 2, "buy collateral with what was borrowed"),
    Code("withdraw", 3, "take collateral out"),
    Code("sell", 4, "sell the collateral that was taken out"),
    Code("repay", 5, "pay debt back"),
    Code("flash_loan", 6, "borrow for the length of one transaction"),
    Code("repay_flash_loan", 7, "pay that and its fee back"),
)

_RATIO_FROM_ONE: Final = Interval(1.0, 1e6)
#: Where a plan ends.
PLAN_TARGETS: Final = (
    Target("rounds", 0, "nowhere: all rounds are made, up to the limit", up=True),
    Target("leverage", 1, "supply/(supply − borrow)", _RATIO_FROM_ONE, up=True, down=True),
    Target("ltv", 2, "borrow/supply", BELOW_ONE, up=True, down=True),
    Target("supply", 3, "the supply", AMOUNT, up=True),
    Target("repay", 4, "how much debt is repaid, at most what there is", AMOUNT_OR_NONE, down=True),
    Target("close", 5, "without debt: what collateral is left is taken out", down=True),
)
#: Where a position stands before its plan.
PLAN_POSITION: Final[Table] = (
    Quantity("equity", "New collateral that is deposited first", "amount", AMOUNT_OR_NONE, 0.0),
    Quantity("supply", "Collateral before the plan", "amount", AMOUNT_OR_NONE, 0.0),
    Quantity("borrow", "Debt before the plan", "amount", AMOUNT_OR_NONE, 0.0),
)
#: What every step of a plan keeps.
PLAN_LIMITS: Final[Table] = (
    Quantity("max_ltv", "Most debt/supply that a borrowing or a withdrawal may leave", "ratio", INSIDE_ONE),
    Quantity("liquidation_threshold", "Share of the supply that counts against the debt", "fraction",
             POSITIVE_FRACTION),
    Quantity("min_health_factor", "Least health factor that a step may leave", "ratio", _RATIO_FROM_ONE),
    Quantity("rounds", "Most rounds of three operations", "count", Interval(0, 10_000, integer=True), 100),
)  # fmt: skip
#: What a plan costs, beside the depth of the market.
PLAN_COSTS: Final[tuple[Field, ...]] = (
    Field("fee_rate", "Cost of what is borrowed or repaid, as a share of it", "fraction", BELOW_ONE, 0.0),
    Field("swap_fee", "Fee of the exchange, as a share of what is traded", "fraction", BELOW_ONE, 0.0),
    Field("gas", "Cost of one operation, paid beside the position", "amount", BOUNDED_FROM_ZERO, 0.0, kernel=False),
    Field("flash_fee", "Fee of a flash loan, as a share of it", "fraction", BELOW_ONE, 0.0),
    Field("flash_steps", "Operations that cost as much gas as the one transaction of a flash loan", "count",
          BOUNDED_FROM_ZERO, 3.0),
)  # fmt: skip
#: What a kernel is given beside that: target and market.
PLAN_TERMS: Final[Table] = (
    Quantity("aim", "Target: aim + per_supply·supply − per_borrow·borrow is 0 there", "amount"),
    Quantity("per_supply", "Factor of the supply in it", "ratio"),
    Quantity("per_borrow", "Factor of the debt in it", "ratio"),
    Quantity("close", "1 if what collateral is left is taken out at the end", values=YES_OR_NO),
    Quantity("keep", "Share of a trade's value that is left of it; of a curve the most", "fraction", FRACTION),
    Quantity("most", "Largest trade, before swap_fee: with it none is larger than brings most", "amount", FROM_ZERO),
    Quantity("curve", "Place of the curve that says what a trade keeps, −1: it keeps the same at every size"),
)  # fmt: skip
#: What a kernel is given as it was given; gas is paid beside the position.
PLAN_GIVEN: Final[Table] = (*PLAN_POSITION, *PLAN_LIMITS, *(row for row in PLAN_COSTS if row.kernel))
PLAN_INPUTS: Final[Table] = (*PLAN_GIVEN, *PLAN_TERMS)

_PLAN_ENDS: Final[tuple[Output, ...]] = (
    Output("status", "How it ends", "code", Interval(0, 5, integer=True), kernel=True),
    Output("final_supply", "Collateral at the end", "amount", FROM_ZERO, kernel=True),
    Output("final_borrow", "Debt at the end", "amount", FROM_ZERO, kernel=True),
)
_PLAN_STATE: Final[tuple[Output, ...]] = (
    Output("health_factor", "final_supply·liquidation_threshold/final_borrow; inf without debt", "ratio", FROM_ZERO),
    Output("lowest_health_factor", "Lowest after any operation of the plan; inf without debt", "ratio", FROM_ZERO,
           kernel=True),
    Output("ltv", "final_borrow/final_supply; 0 without debt", "ratio", FROM_ZERO),
    Output("leverage", "final_supply/(final_supply − final_borrow); 1 for no position", "ratio"),
    Output("rounds_made", "Rounds of three operations", "count", MANY, kernel=True),
    Output("operations_made", "Operations", "count", MANY, kernel=True),
    Output("fees", "Cost of what was borrowed or repaid", "amount", FROM_ZERO, kernel=True),
    Output("swap_cost", "What the trades lost: fee of the exchange and depth of the market", "amount", kernel=True),
    Output("gas_cost", "operations_made·gas", "amount", FROM_ZERO),
    Output("cost", "fees + swap_cost + gas_cost: what the plan takes from the equity", "amount"),
)  # fmt: skip
_FLASH: Final[tuple[Output, ...]] = (
    Output("flash_reachable", "1 if one transaction with a flash loan reaches the target within the limits", "",
           YES_OR_NO, kernel=True),
    Output("flash_loan", "Its flash loan", "amount", FROM_ZERO, kernel=True),
    Output("flash_supply", "Collateral after it", "amount", FROM_ZERO, kernel=True),
    Output("flash_borrow", "Debt after it", "amount", FROM_ZERO, kernel=True),
    Output("flash_fees", "Its fees: of the flash loan and of what was borrowed or repaid", "amount", FROM_ZERO,
           kernel=True),
    Output("flash_swap_cost", "What its trade lost", "amount", kernel=True),
    Output("flash_cost", "flash_fees + flash_swap_cost + flash_steps·gas, without gas where nothing is done",
           "amount"),
    Output("break_even_gas", "Cost of an operation from which on the flash loan is the cheaper way; NaN where only "
           "one way leads there", "amount", FROM_ZERO, kernel=True),
)  # fmt: skip
#: What becomes of a plan that builds leverage.
LEVERAGE_OUTPUTS: Final[tuple[Output, ...]] = (
    *_PLAN_ENDS,
    *_PLAN_STATE,
    Output("drawn", "Debt drawn in all", "amount", FROM_ZERO, kernel=True),
    Output("bought", "Collateral bought in all", "amount", FROM_ZERO, kernel=True),
    Output(
        "supply_bound",
        "Supply that no number of rounds exceeds, by proof, with costs",
        "amount",
        FROM_ZERO,
        kernel=True,
    ),
    *_FLASH,
    Output(
        "flash_supply_bound",
        "Most supply that a flash loan reaches within the limits",
        "amount",
        FROM_ZERO,
        kernel=True,
    ),
    Output("flash_boost", "flash_supply_bound per unit of the equity at the start", "ratio", FROM_ZERO),
)
#: What becomes of a plan that takes leverage off.
UNWIND_OUTPUTS: Final[tuple[Output, ...]] = (
    *_PLAN_ENDS,
    Output("cash_out", "Collateral taken out at the end, not sold", "amount", FROM_ZERO, kernel=True),
    *_PLAN_STATE,
    Output("sold", "Collateral sold in all", "amount", FROM_ZERO, kernel=True),
    Output("repaid", "Debt repaid in all", "amount", FROM_ZERO, kernel=True),
    Output("first_step", "Most that can be withdrawn at first", "amount", FROM_ZERO, kernel=True),
    Output("shortfall", "Debt that a sale of all collateral would not cover", "amount", FROM_ZERO, kernel=True),
    *_FLASH,
    Output("flash_cash_out", "Collateral taken out at the end of the one transaction, not sold", "amount", FROM_ZERO,
           kernel=True),
)  # fmt: skip

LEVERAGE_VALUES: Final[Table] = tuple(row for row in LEVERAGE_OUTPUTS if row.kernel and not row.values.integer)
LEVERAGE_COUNTS: Final[Table] = tuple(row for row in LEVERAGE_OUTPUTS if row.kernel and row.values.integer)
UNWIND_VALUES: Final[Table] = tuple(row for row in UNWIND_OUTPUTS if row.kernel and not row.values.integer)
UNWIND_COUNTS: Final[Table] = tuple(row for row in UNWIND_OUTPUTS if row.kernel and row.values.integer)

#: Columns of a plan's table of operations.
PLAN_OPERATION: Final[tuple[Output, ...]] = (
    Output("operation", "Number of the operation, from 1", "count", COUNT),
    Output("action", "What is done", "code", Interval(0, 7, integer=True), kernel=True),
    Output("amount", "How much: of a purchase or a sale what comes out of it", "amount", FROM_ZERO, kernel=True),
    Output("fee", "What it costs, without gas", "amount", kernel=True),
    Output("supply", "Collateral after it", "amount", FROM_ZERO, kernel=True),
    Output("borrow", "Debt after it", "amount", FROM_ZERO, kernel=True),
    Output("cash", "Money or collateral in hand after it", "amount", FROM_ZERO, kernel=True),
    Output("health_factor", "supply·liquidation_threshold/borrow after it; inf without debt", "ratio", FROM_ZERO,
           kernel=True),
    Output("ltv", "borrow/supply after it; 0 without debt", "ratio", FROM_ZERO, kernel=True),
)  # fmt: skip
PLAN_TRACE: Final[Table] = tuple(row for row in PLAN_OPERATION if row.kernel)

# ---- Previews, net yields and liquidations of a position ----

#: What may happen to a position, or be done with it.
PREVIEW_ACTIONS: Final[Codes] = (
    Code("deposit", 0, "supply units of a collateral"),
    Code("withdraw", 1, "take units of a collateral out"),
    Code("borrow", 2, "draw debt"),
    Code("repay", 3, "pay debt back"),
    Code("price", 4, "a collateral has a new price"),
    Code("fall", 5, "prices fall by a share, of one collateral or of all"),
    Code("threshold", 6, "a collateral has a new liquidation threshold"),
)
#: Why an action is refused; `doc` is what people read.
REFUSALS: Final[Codes] = (
    Code("none", 0, "done"),
    Code("supply", 1, "refused: more than there is"),
    Code("debt", 2, "refused: more than is owed"),
    Code("ltv", 3, "refused: the debt would exceed what max_ltv allows"),
    Code("health", 4, "refused: the health factor would fall below min_health_factor"),
)
#: Where a position stands; of several collaterals one value each, but for debt and the least health factor.
POSITION: Final[Table] = (
    Quantity("supply", "Units of a collateral", "units", AMOUNT_OR_NONE),
    Quantity("borrow", "Debt", "amount", AMOUNT_OR_NONE),
    Quantity("price", "Price of a unit of collateral", "amount", AMOUNT, 1.0),
    Quantity("liquidation_threshold", "Share of the collateral that counts against the debt", "fraction",
             POSITIVE_FRACTION),
    Quantity("max_ltv", "Most debt/collateral that a borrowing may leave", "ratio", POSITIVE_FRACTION),
    Quantity("min_health_factor", "Least health factor that an action may leave", "ratio", _RATIO_FROM_ONE, 1.0),
)  # fmt: skip
#: How a position stands after each action.
PREVIEW_OUTPUTS: Final[tuple[Output, ...]] = (
    Output("collateral", "Value of all collateral", "amount", FROM_ZERO),
    Output("debt", "Debt", "amount", FROM_ZERO),
    Output("health_factor", "Weighted collateral per debt; inf without debt", "ratio", FROM_ZERO),
    Output("ltv", "debt/collateral; 0 without debt", "ratio", FROM_ZERO),
    Output("threshold", "Liquidation threshold of all collateral, weighted by value", "fraction", FRACTION),
    Output("fall", "1 − 1/health_factor: common fall of all prices at which the health factor is 1", "fraction"),
    Output("borrow_room", "Debt that may still be drawn", "amount", FROM_ZERO),
    Output("withdraw_room", "Collateral that may still be taken out, of each asset alike", "amount", FROM_ZERO),
    Output("refused", "Why the action was refused, 0 if it was not", "code", Interval(0, 4, integer=True)),
)

_RATE: Final = Interval(-0.99, 100.0)
#: What a position earns and owes in a year.
NET_APY_ARGUMENTS: Final[Table] = (
    Quantity("supply", "Collateral", "amount", AMOUNT),
    Quantity("borrow", "Debt", "amount", AMOUNT_OR_NONE),
    Quantity("supply_apy", "Yield of what is supplied", "a year", _RATE),
    Quantity("borrow_apy", "Cost of what is borrowed", "a year", _RATE),
    Quantity("collateral_yield", "Yield of the collateral itself, such as of staking", "a year", _RATE, 0.0),
    Quantity("supply_rewards", "Rewards paid out, as a share of the collateral", "a year", _RATE, 0.0),
    Quantity("borrow_rewards", "Rewards paid out, as a share of the debt", "a year", _RATE, 0.0),
)
NET_APY_OUTPUTS: Final[tuple[Output, ...]] = (
    Output("net_worth", "supply − borrow", "amount"),
    Output("leverage", "supply per net worth", "ratio"),
    Output("earned", "What collateral and rewards bring in a year", "amount"),
    Output("owed", "What the debt costs in a year", "amount"),
    Output("net_apy", "(earned − owed) per net worth, in a year", "fraction"),
    Output("unlevered_apy", "The same of the collateral alone, without debt", "fraction"),
    Output("break_even_borrow_apy", "Cost of debt at which nothing is left; inf without debt", "fraction"),
    Output("paying_borrow_apy", "Cost of debt above which every loop lowers net_apy", "fraction"),
    Output("sign", "1 where it gains, −1 where it loses, 0 where it does neither", ""),
)  # fmt: skip

#: Rules of liquidation that are known.
LIQUIDATION_RULES: Final[Codes] = (
    Code("aave_v33", 0, "Aave 3.3 and later: half or all, dust left by neither"),
    Code("comet", 1, "Comet: all collateral is taken over at a discount"),
    Code("morpho", 2, "Morpho: all that the collateral pays for"),
)
LIQUIDATION_OUTPUTS: Final[tuple[Output, ...]] = (
    Output("health_before", "Health factor before", "ratio", FROM_ZERO),
    Output("health_after", "Health factor after; inf without debt", "ratio", FROM_ZERO),
    Output("rounds", "Liquidations until the position is healthy, or nothing is left", "count", MANY),
    Output("repaid", "Debt that liquidators repaid", "amount", FROM_ZERO),
    Output("seized", "Value of the collateral that they took", "amount", FROM_ZERO),
    Output("penalty", "seized − repaid: what the owner loses; of Comet the discount on the collateral", "amount"),
    Output("left_supply", "Units of collateral left", "units", FROM_ZERO),
    Output("left_borrow", "Debt left", "amount", FROM_ZERO),
    Output("returned", "Money credited to the owner (Comet)", "amount", FROM_ZERO),
    Output("bad_debt", "Debt that no collateral is left for", "amount", FROM_ZERO),
    Output("healthy", "1 if the health factor is at least 1, or nothing is owed, at the end", "", YES_OR_NO),
)  # fmt: skip

# ---- Allocations ----

#: Relative: money that is not there.
NOTHING: Final = 1e-12
#: A gap below which a search ends is this times n², at most the second, where none is asked for.
USUAL_GAP: Final = 1e-9
MOST_USUAL_GAP: Final = 1e-4
#: Increments that the greedy method may make.
MOST_INCREMENTS: Final = 100_000_000
#: What stands for no limit of how many instruments hold anything.
ANY_COUNT: Final = 1_000_000_000
#: Problems of a call among which a search may begin where the one before ended: parts that begin at multiples of it
#: have the bits of the whole.
WARM: Final = 64

#: What holds for an instrument, one number for all of them or one for each.
ALLOCATION_SETTINGS: Final[Table] = (
    Quantity("min_efficiency", "Least efficiency at which an instrument holds capital", "fraction", FRACTION, 0.0),
    Quantity("lower", "Least capital; where it is positive the instrument must hold it", "amount", FINITE_FROM_ZERO,
             0.0),
    Quantity("upper", "Most capital", "amount", FROM_ZERO, math.inf),
    Quantity("min_ticket", "Least capital of an instrument that holds any", "amount", FINITE_FROM_ZERO, 0.0),
    Quantity("max_share", "Most capital as a share of the total; 1 is no bound", "fraction", FRACTION, 1.0),
    Quantity("priority", "Weight of the utility", "ratio", FINITE_FROM_ZERO, 1.0),
    Quantity("current", "Capital held before", "amount", FINITE_FROM_ZERO, 0.0),
    Quantity("buy_cost", "What a unit of capital costs to buy", "fraction", FRACTION, 0.0),
    Quantity("sell_cost", "What a unit of capital costs to sell", "fraction", FRACTION, 0.0),
    Quantity("fixed_cost", "What it costs to trade the instrument at all", "amount", FINITE_FROM_ZERO, 0.0),
    Quantity("lots", "Amounts are whole multiples of it; 0: any amount", "amount", FINITE_FROM_ZERO, 0.0),
)  # fmt: skip

#: What holds for a group of instruments, one number for all groups or one for each.
ALLOCATION_GROUPS: Final[Table] = (
    Quantity("group_upper", "Most capital of a group", "amount", FROM_ZERO, math.inf),
    Quantity("group_lower", "Least capital of a group", "amount", FINITE_FROM_ZERO, 0.0),
    Quantity("group_share", "Most capital of a group as a share of the total; 1 is no bound", "fraction", FRACTION,
             1.0),
)  # fmt: skip

#: What holds for all problems of a call. Those without a default depend on the problem.
ALLOCATION_CONTROLS: Final[Table] = (
    Quantity("reserve", "Share of the total that stays out", "fraction", BELOW_ONE, 0.0),
    Quantity("hurdle", "What money returns elsewhere", "ratio", FINITE_FROM_ZERO, 0.0),
    Quantity("tolerance", "Gap at which the search ends; -1, the default: 1e-9*n*n, at most 1e-4", "ratio",
             FRACTION),
    Quantity("step", "Increment of the greedy method; 0, the default: a thousandth of the total", "amount",
             POSITIVE),
    Quantity("max_nodes", "Problems after which the search ends", "count", Interval(0, 10_000_000, integer=True), 2000),
    Quantity("max_count", "Most instruments that hold anything; 1e9, the default: no limit", "count",
             Interval(0, ANY_COUNT, integer=True)),
    Quantity("min_count", "Least instruments that hold anything", "count", Interval(0, ANY_COUNT, integer=True), 0),
)  # fmt: skip
#: What stands for the usual ones of these in kernels and in C.
ALLOCATION_USUAL: Final = {"tolerance": -1.0, "step": 0.0, "max_count": float(ANY_COUNT)}

#: Choices: 1 is yes.
ALLOCATION_SWITCHES: Final[Table] = (
    Quantity("exactly", "All money must be placed", values=YES_OR_NO, default=0),
    Quantity("distribute", "What min_efficiency leaves over is placed in a second solve", values=YES_OR_NO, default=1),
    Quantity("greedy", "Increments of the step, in place of the optimum and its proof", values=YES_OR_NO, default=0),
)

#: Which target a problem has: a code of ALLOCATION_TARGETS.
ALLOCATION_GOAL: Final[Table] = (
    Quantity("goal", "What the total is sought for: escala_target", "code", Interval(0, 3, integer=True), 0),
)
#: What a total can be sought for; the argument is ``target_`` and the name.
ALLOCATION_TARGETS: Final[Codes] = (
    Code("none", 0, "nothing: the total is given"),
    Code("utility", 1, "the least money that returns it"),
    Code("efficiency", 2, "the most money whose whole keeps it"),
    Code("marginal", 3, "the money at which the next unit returns it"),
)

#: How people write the switches: the argument, and the number that each of its words stands for.
ALLOCATION_CHOICES: Final = {
    "exactly": ("spend", {"at_most": 0, "exactly": 1}),
    "distribute": ("remainder", {"distribute": 1, "hold": 0}),
    "greedy": ("method", {"exact": 0, "greedy": 1}),
}

#: How a problem ends. From ``no_room`` on there is no answer.
ALLOCATION_STATUS: Final[Codes] = (
    Code("optimal", 0, "the gap is within the tolerance"),
    Code("gap_open", 1, "the best that was found, and how far from the optimum it may be at most"),
    Code("no_room", 2, "an instrument's lower bounds exceed its upper ones"),
    Code("no_curve_forced", 3, "`lower` forces an instrument in that can hold nothing"),
    Code("lower_above_money", 4, "lower bounds add up to more than there is"),
    Code("too_little_room", 5, "exactly: upper bounds leave room for less"),
    Code("no_combination", 6, "exactly: no combination of instruments adds up"),
    Code("not_found", 7, "exactly: none was found"),
    Code("unsolved", 8, "no price was found: the numbers are too far apart"),
    Code("group_full", 9, "lower bounds of a group's instruments add up to more than it may hold"),
    Code("group_short", 10, "a group must hold more than its instruments may"),
    Code("target_missed", 11, "no total meets the target"),
    Code("groups_conflict", 12, "limits of groups that overlap leave no allocation together"),
    Code("too_few", 13, "fewer instruments may hold anything than `min_count` asks for"),
    Code("too_many", 14, "more instruments must hold something than `max_count` allows"),
    Code("count_above_money", 15, "the smallest holdings of `min_count` instruments exceed the money"),
)
#: Those that come with amounts.
ALLOCATION_ANSWERED: Final[Codes] = ALLOCATION_STATUS[:2]

#: What keeps an instrument's capital where it is.
BINDINGS: Final[Codes] = (
    Code("none", 0, "nothing: its marginal utility is the shadow price"),
    Code("price", 1, "the next unit, or the first, would return less than the shadow price"),
    Code("lower", 2, "`lower` keeps it up"),
    Code("upper", 3, "`upper` keeps it down"),
    Code("share", 4, "`max_share` keeps it down"),
    Code("limit", 5, "its curve is trusted no further"),
    Code("threshold", 6, "`min_efficiency` keeps it down, up or out"),
    Code("ticket", 7, "`min_ticket` keeps it up, or out"),
    Code("no_curve", 8, "there is no curve"),
    Code("held", 9, "trading it would cost more than it gains"),
    Code("group", 10, "a limit of its group"),
    Code("count", 11, "`max_count` keeps it out, or `min_count` in"),
    Code("lot", 12, "its next lot would return less than the shadow price, or does not fit"),
)

#: What is said of a problem beside the amounts; NaN where there is no answer, but for status and what follows it.
ALLOCATION_SOLUTION: Final[Table] = (
    Quantity("shadow_price", "What one more unit of money returns", "ratio"),
    Quantity("dual_price", "The price of money at which the bound is lowest, above the hurdle", "ratio"),
    Quantity("dual_bound", "The bound at that price", "amount"),
    Quantity("upper_bound", "No feasible allocation has a higher utility", "amount"),
    Quantity("utility", "What the amounts return above the hurdle", "amount"),
    Quantity("gap", "(upper_bound - utility)/|upper_bound|", "ratio", FROM_ZERO),
    Quantity("status", "How it ended: escala_allocation_status", "code", Interval(0, 15, integer=True)),
    Quantity("nodes", "Problems solved by the search", "count", MANY),
    Quantity("culprit", "Infeasible: the instrument or group to blame, -1 where it is all of them together", "index"),
    Quantity("excess", "Infeasible: by how much the bounds conflict, or the nearest target; NaN: not known", "amount"),
    Quantity("phases", "2 where a second solve placed what min_efficiency left over, else 1", "count",
             Interval(1, 2, integer=True)),
    Quantity("total", "Money there is: as given, or what was found for the target", "amount"),
)  # fmt: skip

# ---- The market ----

#: Seconds of a year: rates and yields are a year of 365 days.
YEAR: Final = 31_536_000.0
#: Assets of a position, steps of a path, years of it, and paths.
MOST_ASSETS: Final = 8
MOST_STEPS: Final = 2**22
MOST_YEARS: Final = 100.0
MOST_PATHS: Final = 2**31
#: Liquidations in one phase of a step.
MOST_LIQUIDATIONS: Final = 8
#: Rounds in which a sale or a purchase finds its own size against the depth.
TRADE_ROUNDS: Final = 8

BALANCE: Final = Interval(1e-30, 1e30, or_zero=True)
PRICE: Final = Interval(1e-30, 1e30)
RATE: Final = Interval(-0.99, 10.0)
HEALTH: Final = Interval(0.0, np.inf)

#: What a position starts with: per asset, then in all.
MARKET_HOLDINGS: Final[Table] = (Quantity("collateral", "Units held of an asset", "units", BALANCE),)
MARKET_BALANCES: Final[Table] = (
    Quantity("debt", "Debt at the start", "amount", BALANCE),
    Quantity("wallet", "Free cash at the start", "amount", BALANCE, 0.0),
)

#: What holds for an asset, whatever its process.
MARKET_ASSET: Final[Table] = (
    Quantity("price", "Price at the start; a process begins there, or in its distance from it", "amount", PRICE),
    Quantity("supply_yield", "What supplying it earns, APR", "per year", RATE, 0.0),
)

_DRIFT: Final = Interval(-100.0, 100.0)
_SIGMA: Final = Interval(0.0, 20.0)
_REVERSION: Final = Interval(0.0, 1e6, low_open=True)
_DISTANCE: Final = Interval(-5.0, 5.0)
_JUMPS: Final = Interval(0.0, np.inf, high_open=True)
_JUMP_SD: Final = Interval(0.0, 2.0)
_RHO: Final = Interval(-1.0, 1.0)

#: Parameters of the processes: geometric Brownian motion, with jumps, mean reversion, stochastic variance.
GBM_FIELDS: Final[Table] = (
    Quantity("mu", "Drift of the price", "per year", _DRIFT),
    Quantity("sigma", "Volatility of the log price", "per root year", _SIGMA),
)
MERTON_FIELDS: Final[Table] = (
    *GBM_FIELDS,
    Quantity("jump_rate", "Jumps a year; at most one a step", "per year", _JUMPS),
    Quantity("jump_mean", "Mean of the log of a jump", "", _DISTANCE),
    Quantity("jump_sd", "Standard deviation of the log of a jump", "", _JUMP_SD),
)
OU_FIELDS: Final[Table] = (
    Quantity("mean", "Log distance from the price that is reverted to", "", _DISTANCE),
    Quantity("reversion", "Speed of the return", "per year", _REVERSION),
    Quantity("sigma", "Volatility of the log price", "per root year", _SIGMA),
    Quantity("start", "Log distance from the mean at the start", "", _DISTANCE),
)
HESTON_FIELDS: Final[Table] = (
    Quantity("mu", "Drift of the price", "per year", _DRIFT),
    Quantity("variance", "Variance of the log price at the start", "per year", Interval(0.0, 400.0)),
    Quantity("reversion", "Speed of the variance's return", "per year", _REVERSION),
    Quantity("long_variance", "Variance that is reverted to", "per year", Interval(0.0, 400.0)),
    Quantity("vol_of_vol", "Volatility of the variance", "per root year", _SIGMA),
    Quantity("rho", "Correlation of price and variance", "", _RHO),
)

#: Interest on the debt: one rate, or a kinked line over a usage that may move.
FIXED_RATE_FIELDS: Final[Table] = (Quantity("rate", "Borrow rate, APR", "per year", RATE),)
KINKED_RATE_FIELDS: Final[Table] = (
    Quantity("base", "Borrow rate at no usage, APR", "per year", RATE),
    Quantity("slope1", "What full use of the optimum adds", "per year", RATE),
    Quantity("slope2", "What use from the optimum to everything adds", "per year", RATE),
    Quantity("optimal", "Usage at the kink", "fraction", Interval(0.01, 0.99)),
    Quantity("usage", "Usage at the start", "fraction", FRACTION),
    Quantity("usage_mean", "Usage that is reverted to", "fraction", FRACTION),
    Quantity("usage_reversion", "Speed of the return", "per year", _REVERSION),
    Quantity("usage_sigma", "Volatility of the usage", "per root year", _SIGMA),
)

#: What a protocol says of an asset.
PROTOCOL_ASSET: Final[Table] = (
    Quantity("liquidation_threshold", "Share of its value that counts against the debt", "fraction",
             POSITIVE_FRACTION),
    Quantity("loan_to_value", "Share of its value that may be borrowed; at most the threshold", "fraction",
             POSITIVE_FRACTION),
    Quantity("bonus", "What a liquidator gets on top of what he repays", "fraction", FRACTION),
    Quantity("liquidation_factor", "Share of its value that an absorbed position is credited", "fraction", FRACTION),
)  # fmt: skip
#: What it says of a position.
PROTOCOL_FIELDS: Final[Table] = (
    Quantity("target_health", "Health factor that a liquidation restores", "ratio", Interval(1.0, 1e6), 1.05),
    Quantity("health_for_max_bonus", "Health factor from which down the bonus is the largest", "ratio", BELOW_ONE,
             0.9),
    Quantity("bonus_factor", "Share of the bonus at a health factor of 1", "fraction", FRACTION, 0.0),
    Quantity("dust", "Debt or collateral that a partial liquidation must not leave", "amount", BALANCE),
    Quantity("overshoot", "How far below a health factor of 1 a liquidation on the way down acts", "ratio",
             Interval(0.0, 0.05), 0.0),
    Quantity("liquidator_gas", "What a liquidation costs the liquidator", "amount", BALANCE, 0.0),
)  # fmt: skip

#: What the owner of a position does.
POLICY_FIELDS: Final[Table] = (
    Quantity("every", "Steps between two looks", "count", Interval(1, MOST_STEPS, integer=True), 1),
    Quantity("stop_health", "Everything is sold below this health factor", "ratio", HEALTH, 0.0),
    Quantity("topup_health", "The wallet repays debt below this health factor", "ratio", HEALTH, 0.0),
    Quantity("topup_target", "Health factor that the repayment aims at", "ratio", POSITIVE),
    Quantity("deleverage_health", "Collateral is sold below this health factor", "ratio", HEALTH, 0.0),
    Quantity("deleverage_target", "Health factor that the sale aims at", "ratio", POSITIVE),
    Quantity("boost_health", "More is borrowed above this health factor", "ratio", HEALTH, math.inf),
    Quantity("boost_target", "Health factor that the purchase aims at", "ratio", POSITIVE),
    Quantity("loop_every", "Steps between two operations of the loop; 0 without one", "count",
             Interval(0, MOST_STEPS, integer=True), 0),
    Quantity("loop_target", "Collateral that the loop grows to", "amount", Interval(1e-100, 1e100)),
    Quantity("fee_rate", "Fee of a trade, as a share of its value", "fraction", BELOW_ONE, 0.0),
    Quantity("gas", "What an action costs", "amount", BALANCE, 0.0),
)  # fmt: skip

#: How a price moves. From `bootstrap` on a process moves all assets together.
PROCESSES: Final[Codes] = (
    Code("gbm", 0, "geometric Brownian motion"),
    Code("merton", 1, "geometric Brownian motion with jumps"),
    Code("ou", 2, "the log price reverts to a mean"),
    Code("heston", 3, "the variance moves too"),
    Code("bootstrap", 16, "rows of past returns, in stretches of random length"),
    Code("blocks", 17, "rows of past returns, in blocks of one length"),
    Code("replay", 18, "past prices, one after the other"),
)
#: What a protocol prices an asset by.
ORACLES: Final[Codes] = (Code("market", 0, "its price"), Code("index", 1, "its exchange rate"))
#: How a rate becomes growth in a step.
COMPOUNDING: Final[Codes] = (
    Code("continuous", 0, "exp(q)"),
    Code("taylor", 1, "1 + q + q²/2 + q³/6"),
    Code("binomial", 2, "three terms of (1 + rate a second)^seconds"),
    Code("linear", 3, "1 + q"),
)
#: Who may liquidate how much.
RULES: Final[Codes] = (
    Code("aave_v3", 0, "half of the debt, or all of it below 0.95"),
    Code("aave_v33", 1, "the same, but nothing small is left"),
    Code("aave_v4", 2, "what restores a target, with a bonus that grows as health falls"),
    Code("comet", 3, "everything is absorbed"),
    Code("morpho", 4, "all of the debt, one asset"),
)
#: What a trade keeps of its value, beside the families of curves.
DEPTHS: Final[Codes] = (Code("flat", 32, "one share"), Code("constant_product", 33, "R/(R + v)"))
#: What becomes of a position.
MARKET_STATUS: Final[Codes] = (
    Code("open", 0, "open, with debt"),
    Code("debt_free", 1, "open, without debt"),
    Code("wiped_out", 2, "liquidated to the last collateral"),
    Code("closed", 3, "closed by its owner"),
    Code("absorbed", 4, "absorbed by the protocol"),
)
#: What happened to it, a sum of codes.
MARKET_FLAGS: Final[Codes] = (
    Code("liquidated", 1, "liquidated at least once"),
    Code("bad_debt", 2, "debt was left that nothing covers"),
    Code("pass_limit", 4, "a phase ended with a health factor below 1"),
    Code("waited", 8, "no liquidation paid for a liquidator"),
    Code("refused", 16, "an action of the policy was not possible"),
)
#: Kinds of events, and what their numbers a, b, c are.
MARKET_EVENTS: Final[Codes] = (
    Code("liquidation_low", 0, "within a step: health factor, repaid, seized"),
    Code("liquidation_close", 1, "at its end: health factor, repaid, seized"),
    Code("stop", 2, "debt, net proceeds, wallet left"),
    Code("topup", 3, "repaid, debt before, wallet left"),
    Code("deleverage", 4, "sold, repaid, debt left"),
    Code("boost", 5, "borrowed, bought, debt"),
    Code("loop", 6, "growth of the collateral, debt, buffer"),
)

#: What becomes of a scenario, in the order in which the kernel keeps it.
MARKET_OUTPUTS: Final[tuple[Output, ...]] = (
    Output("status", "What became of it", "code", Interval(0, 4, integer=True), kernel=True),
    Output("flags", "What happened to it, a sum of codes", "code", Interval(0, 31, integer=True), kernel=True),
    Output("end_step", "Last step that it lived through", "count", MANY, kernel=True),
    Output("liquidations", "Liquidations", "count", MANY, kernel=True),
    Output("first_liquidation", "Step of the first liquidation; -1 without one", "count",
           Interval(-1, 2.0**53, integer=True), kernel=True),
    Output("topups", "Repayments from the wallet", "count", MANY, kernel=True),
    Output("deleverages", "Sales", "count", MANY, kernel=True),
    Output("boosts", "Purchases", "count", MANY, kernel=True),
    Output("operations", "Operations of the loop that were executed", "count", MANY, kernel=True),
    Output("lowest_health", "Lowest health factor seen", "ratio", FROM_ZERO, kernel=True, usual=True),
    Output("health", "Health factor at the end; inf without debt", "ratio", FROM_ZERO, kernel=True),
    Output("start_equity", "Collateral + wallet - debt at the start", "amount", kernel=True),
    Output("end_equity", "Collateral + wallet + buffer - debt at the end", "amount", kernel=True, usual=True),
    Output("price_pnl", "What prices added", "amount", kernel=True, usual=True),
    Output("supply_yield", "What supplying earned", "amount", kernel=True, usual=True),
    Output("interest", "What the debt grew by", "amount", kernel=True, usual=True),
    Output("fees", "Fees of trades and repayments", "amount", FROM_ZERO, kernel=True, usual=True),
    Output("gas", "Cost of actions", "amount", FROM_ZERO, kernel=True, usual=True),
    Output("slippage", "What trades lost to the depth", "amount", FROM_ZERO, kernel=True, usual=True),
    Output("liquidation_loss", "Worth of what was seized, less what was repaid for it", "amount", kernel=True,
           usual=True),
    Output("bad_debt", "Debt that was left and is not owed any more", "amount", FROM_ZERO, kernel=True, usual=True),
    Output("repaid_by_liquidators", "Debt that liquidators repaid", "amount", FROM_ZERO, kernel=True),
    Output("seized", "Collateral seized, at the protocol's prices", "amount", FROM_ZERO, kernel=True),
    Output("end_debt", "Debt at the end", "amount", FROM_ZERO, kernel=True),
    Output("end_wallet", "Free cash at the end", "amount", FROM_ZERO, kernel=True),
    Output("end_price", "Market price of the first asset at the end", "amount", FROM_ZERO, kernel=True),
)  # fmt: skip

#: Columns of the table of a recorded path, one row a step and asset.
MARKET_SERIES: Final[tuple[Output, ...]] = (
    Output("protocol_value", "Worth of a unit supplied at the start, as the protocol sees it", "amount", PRICE),
    Output("market_value", "The same, as the market pays it", "amount", PRICE),
    Output("yield_earned", "Yield earned so far by a unit", "amount"),
    Output("ratio", "protocol_value over the growth of the debt", "amount", PRICE),
    Output("low_ratio", "The same at the low of the step", "amount", PRICE),
)  # fmt: skip

# ---- The C library ----

#: What its functions answer; `doc` is what ``escala_status_text`` says.
LIBRARY_STATUS: Final[Codes] = (
    Code("ok", 0, "success"),
    Code("wrong_abi", 1, "the header and the library do not belong together"),
    Code("null_pointer", 2, "an argument is NULL"),
    Code("bad_size", 3, "a size is negative, too large or does not go with the others"),
    Code("short_workspace", 4, "the workspace is too short"),
    Code("bad_value", 5, "a value is not finite or outside of what is allowed"),
    Code("bad_order", 6, "a value exceeds one that it must not exceed"),
    Code("bad_code", 7, "an integer is none of its codes"),
    Code("bad_offsets", 8, "offsets fall or point outside of the records"),
    Code("infeasible", 9, "bounds conflict: no allocation meets them together"),
)
