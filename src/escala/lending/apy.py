"""What a leveraged position yields in a year on what is owned, and how rates are converted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from escala import keyed, tables
from escala.arrays import FloatLike, Floats, broadcast_shape, check_interval, check_together, to_floats
from escala.errors import ScenarioError
from escala.lending.named import NamedArrays
from escala.tables import Interval
from escala.text.numerals import amount, ratio
from escala.text.tables import documented

__all__ = ["NetApy", "apr_to_apy", "apy_to_apr", "looped_apy", "net_apy"]

_RATES: Final = Interval(-0.99, 100.0)
_PERIODS: Final = Interval(1.0, np.inf)
_LOOP: Final = Interval(0, 10_000, integer=True)


def apr_to_apy(apr: FloatLike, *, periods: FloatLike = np.inf) -> Floats:
    """Give the yield of a year (APY) of a rate (APR) that is compounded.

    Parameters
    ----------
    apr : array_like
        Rate a year, in [-0.99, 100].
    periods : array_like
        How often a year interest is added, at least 1; by default without pause.

    Returns
    -------
    array
        (1 + apr/periods)^periods − 1, or e^apr − 1.

    Raises
    ------
    ScenarioError
        If an argument is out of range.

    Notes
    -----
    Computed as expm1(periods·log1p(apr/periods)), which is exact for small rates too.

    Examples
    --------
    >>> [round(float(apr_to_apy(rate, periods=n)), 12) for rate, n in ((0.05, np.inf), (0.12, 12))]
    [0.051271096376, 0.126825030132]
    """
    rates, often = _checked("apr", apr, periods)
    with np.errstate(invalid="ignore"):
        each = np.where(np.isinf(often), rates, often * np.log1p(rates / often))
    grown: Floats = np.expm1(each)[()]
    return grown


def apy_to_apr(apy: FloatLike, *, periods: FloatLike = np.inf) -> Floats:
    """Give the rate (APR) that, compounded, yields an APY in a year: the inverse of :func:`apr_to_apy`.

    Parameters
    ----------
    apy : array_like
        Yield of a year, in [-0.99, 100].
    periods : array_like
        How often a year interest is added, at least 1; by default without pause.

    Returns
    -------
    array
        periods·((1 + apy)^(1/periods) − 1), or log(1 + apy).

    Raises
    ------
    ScenarioError
        If an argument is out of range.

    Examples
    --------
    >>> round(float(apy_to_apr(0.12682503013196977, periods=12)), 15)
    0.12
    """
    yields, often = _checked("apy", apy, periods)
    logarithm = np.log1p(yields)
    with np.errstate(invalid="ignore"):
        rate: Floats = np.where(np.isinf(often), logarithm, often * np.expm1(logarithm / often))[()]
    return rate


def _checked(name: str, rate: FloatLike, periods: FloatLike) -> tuple[Floats, Floats]:
    rates, often = to_floats(name, rate), to_floats("periods", periods)
    check_interval(name, rates, _RATES)
    check_interval("periods", often, _PERIODS)
    broadcast_shape({name: rates, "periods": often})
    return rates, often


@documented(outputs=tables.NET_APY_OUTPUTS)
@dataclass(frozen=True, eq=False, repr=False)
class NetApy(NamedArrays):
    """What positions yield in a year: arrays of the common shape of all arguments; rates are yields of a year (APY).

    Attributes
    ----------
    supply, borrow : array
        As given.
    {outputs}
    """

    NAMES = tables.names((*tables.NET_APY_ARGUMENTS[:2], *tables.NET_APY_OUTPUTS))
    NOUN = "position"

    supply: Floats
    borrow: Floats
    net_worth: Floats
    leverage: Floats
    earned: Floats
    owed: Floats
    net_apy: Floats
    unlevered_apy: Floats
    break_even_borrow_apy: Floats
    paying_borrow_apy: Floats
    sign: Floats

    def summary(self) -> str:
        """Say in words what a year brings, or count who gains and who loses."""
        if self.size != 1:
            gains, loses = (int(np.count_nonzero(self.sign == way)) for way in (1.0, -1.0))
            return f"{self.size:,} positions: {gains:,} gain, {loses:,} lose, {self.size - gains - loses:,} do neither"
        r = self.one()
        way = {1.0: "gains", -1.0: "loses", 0.0: "neither gains nor loses"}[r["sign"]]
        lines = [
            f"{way}: {r['net_apy']:+.2%} a year on a net worth of {amount(r['net_worth'])}",
            f"  earned {amount(r['earned'])}, owed {amount(r['owed'])}, leverage {ratio(r['leverage'])}",
            f"  the collateral alone would yield {r['unlevered_apy']:+.2%}",
        ]
        if np.isfinite(r["break_even_borrow_apy"]):
            lines.append(
                f"  nothing is left where debt costs {r['break_even_borrow_apy']:.2%}; "
                f"above {r['paying_borrow_apy']:.2%} every loop lowers the yield"
            )
        return "\n".join(lines)


def net_apy(
    supply: FloatLike,
    borrow: FloatLike,
    *,
    supply_apy: FloatLike,
    borrow_apy: FloatLike,
    collateral_yield: FloatLike = 0.0,
    supply_rewards: FloatLike = 0.0,
    borrow_rewards: FloatLike = 0.0,
) -> NetApy:
    """Compute what positions yield in a year on their net worth, supply − debt.

    Parameters
    ----------
    supply, borrow : array_like
        Collateral and debt, unit of account; the collateral exceeds the debt.
    supply_apy, borrow_apy : array_like
        Yield of what is supplied and cost of what is borrowed, as APY; :func:`apr_to_apy` makes them of rates.
    collateral_yield : array_like
        APY of the collateral itself, such as of staking; both compound: (1 + supply_apy)·(1 + collateral_yield) − 1.
    supply_rewards, borrow_rewards : array_like
        Rewards that are paid out in a year, as shares of collateral and debt.

    Returns
    -------
    NetApy
        Arrays of the common shape.

    Raises
    ------
    ScenarioError
        If an argument is out of range, or the debt is not below the collateral.

    Notes
    -----
    Rates stay for a year, prices too. A loop adds collateral and debt alike: it pays as long as debt costs less than
    `paying_borrow_apy` = collateral's yield + its rewards + those of the debt. :func:`looped_apy` gives the yield after
    each loop.

    Examples
    --------
    >>> year = net_apy(2187.32, 2073, supply_apy=0.0118, borrow_apy=0.0265)
    >>> round(float(year.net_worth), 2), round(float(year.net_apy), 3)
    (114.32, -0.255)
    """
    given = {
        "supply": supply, "borrow": borrow, "supply_apy": supply_apy, "borrow_apy": borrow_apy,
        "collateral_yield": collateral_yield, "supply_rewards": supply_rewards, "borrow_rewards": borrow_rewards,
    }  # fmt: skip
    arrays = _numbers(given)
    check_together(
        {name: arrays[name] for name in ("borrow", "supply")}, np.less, "borrow must be below supply"
    )  # fmt: skip
    return NetApy(**_yields(arrays))


def _numbers(given: dict[str, FloatLike]) -> dict[str, Floats]:
    keyed.check_aligned(given, ScenarioError)
    arrays = {name: to_floats(name, value) for name, value in given.items()}
    allowed = tables.intervals(tables.NET_APY_ARGUMENTS)
    for name, array in arrays.items():
        check_interval(name, array, allowed[name])
    broadcast_shape(arrays)
    return arrays


def _yields(a: dict[str, Floats]) -> dict[str, Any]:
    shape = broadcast_shape(a)
    a = {name: np.broadcast_to(array, shape) for name, array in a.items()}
    own = a["supply_apy"] + a["collateral_yield"] + a["supply_apy"] * a["collateral_yield"]
    worth = a["supply"] - a["borrow"]
    earned = a["supply"] * (own + a["supply_rewards"]) + a["borrow"] * a["borrow_rewards"]
    owed = a["borrow"] * a["borrow_apy"]
    with np.errstate(divide="ignore", invalid="ignore"):
        even = np.where(a["borrow"] > 0.0, earned / a["borrow"], np.inf)
    found = {
        "supply": a["supply"],
        "borrow": a["borrow"],
        "net_worth": worth,
        "leverage": a["supply"] / worth,
        "earned": earned,
        "owed": owed,
        "net_apy": (earned - owed) / worth,
        "unlevered_apy": own + a["supply_rewards"],
        "break_even_borrow_apy": even,
        "paying_borrow_apy": own + a["supply_rewards"] + a["borrow_rewards"],
        "sign": np.sign(earned - owed),
    }
    return {name: np.asarray(value)[()] for name, value in found.items()}


def looped_apy(
    loops: int,
    *,
    loop_ltv: FloatLike,
    supply_apy: FloatLike,
    borrow_apy: FloatLike,
    collateral_yield: FloatLike = 0.0,
    supply_rewards: FloatLike = 0.0,
    borrow_rewards: FloatLike = 0.0,
) -> NetApy:
    """Compute the yield of one unit of equity after each of a number of loops.

    Parameters
    ----------
    loops : int
        How many; 0 is the collateral alone.
    loop_ltv : array_like
        Debt/supply up to which each loop borrows, in (0, 1).
    supply_apy, borrow_apy, collateral_yield, supply_rewards, borrow_rewards
        As in :func:`net_apy`.

    Returns
    -------
    NetApy
        The first axis counts the loops, from 0 to `loops`.

    Raises
    ------
    ScenarioError
        If an argument is out of range.

    Notes
    -----
    After k loops the supply is (1 − λ^(k + 1))/(1 − λ) of the equity, λ being `loop_ltv`, without costs.

    Examples
    --------
    >>> looped_apy(3, loop_ltv=0.75, supply_apy=0.03, borrow_apy=0.02).net_apy.round(6)
    array([0.03    , 0.0375  , 0.043125, 0.047344])
    """
    count = to_floats("loops", loops)
    check_interval("loops", count, _LOOP)
    if count.ndim:
        raise ScenarioError(f"loops must be one number, not of shape {count.shape}", arguments=("loops",))
    ltv = to_floats("loop_ltv", loop_ltv)
    check_interval("loop_ltv", ltv, tables.INSIDE_ONE)
    given = {
        "supply_apy": supply_apy, "borrow_apy": borrow_apy, "collateral_yield": collateral_yield,
        "supply_rewards": supply_rewards, "borrow_rewards": borrow_rewards,
    }  # fmt: skip
    arrays = _numbers(given)
    shape = broadcast_shape({**arrays, "loop_ltv": ltv})
    number = np.arange(int(count) + 1.0).reshape(-1, *(1,) * len(shape))
    supply = -np.expm1((number + 1.0) * np.log(ltv)) / (1.0 - ltv)
    return NetApy(**_yields({**arrays, "supply": supply, "borrow": supply - 1.0}))
