"""What a liquidation takes at one price, by the rules of protocols, written from their descriptions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from escala import keyed, tables
from escala.arrays import FloatLike, Floats, broadcast_shape, check_interval, check_together, known_word, to_floats
from escala.errors import ScenarioError, did_you_mean
from escala.lending.named import NamedArrays
from escala.tables import Interval
from escala.text.numerals import amount, counted, ratio
from escala.text.tables import documented

__all__ = ["LiquidationTakes", "what_liquidation_takes"]

#: Liquidations of one position: each takes half at least, or all.
_MOST_ROUNDS: Final = 64
_FULL_BELOW: Final = 0.95  # health factor up to which Aave's liquidators may repay all
_RULES: Final = tables.names(tables.LIQUIDATION_RULES)
_ALLOWED: Final = {
    **tables.intervals(tables.POSITION),
    "bonus": tables.FRACTION,
    "dust": Interval(0.0, 1e100),
    "liquidation_factor": tables.POSITIVE_FRACTION,
}
#: What each rule needs beside the position.
_NEEDS: Final = {"aave_v33": ("bonus", "dust"), "comet": ("liquidation_factor",), "morpho": ()}


@documented(outputs=tables.LIQUIDATION_OUTPUTS)
@dataclass(frozen=True, eq=False, repr=False)
class LiquidationTakes(NamedArrays):
    """What liquidations take of positions, and what they leave: arrays of the common shape of all arguments.

    Attributes
    ----------
    protocol : str
        The rule.
    {outputs}
    """

    NAMES = tables.names(tables.LIQUIDATION_OUTPUTS)
    NOUN = "position"

    protocol: str
    health_before: Floats
    health_after: Floats
    rounds: npt.NDArray[np.int64]
    repaid: Floats
    seized: Floats
    penalty: Floats
    left_supply: Floats
    left_borrow: Floats
    returned: Floats
    bad_debt: Floats
    healthy: npt.NDArray[np.int64]

    def summary(self) -> str:
        """Say in words what is taken and left, or count the positions that are liquidated."""
        if self.size != 1:
            taken = int(np.count_nonzero(self.rounds))
            bad = int(np.count_nonzero(self.bad_debt > 0.0))
            return f"{self.size:,} positions under {self.protocol}: {taken:,} liquidated, {bad:,} with bad debt"
        r = self.one()
        if not r["rounds"]:
            return f"no liquidation: the health factor is {ratio(r['health_before'])}"
        after = "no debt left" if r["left_borrow"] == 0.0 else f"health factor {ratio(r['health_after'])}"
        lines = [
            f"{counted(int(r['rounds']), 'liquidation')} under {self.protocol}: "
            f"health factor {ratio(r['health_before'])}, then {after}",
            f"  repaid {amount(r['repaid'])}, seized {amount(r['seized'])}, penalty {amount(r['penalty'])}",
            f"  left: {amount(r['left_supply'])} units of collateral, debt {amount(r['left_borrow'])}",
        ]
        if r["returned"]:
            lines.append(f"  returned to the owner: {amount(r['returned'])}")
        if r["bad_debt"]:
            lines.append(f"  bad debt: {amount(r['bad_debt'])}")
        if not r["healthy"]:
            lines.append("  and the position can be liquidated again: what each takes does not heal it")
        return "\n".join(lines)


def what_liquidation_takes(
    supply: FloatLike,
    borrow: FloatLike,
    price: FloatLike = 1.0,
    *,
    protocol: str,
    liquidation_threshold: FloatLike,
    bonus: FloatLike | None = None,
    dust: FloatLike | None = None,
    liquidation_factor: FloatLike | None = None,
) -> LiquidationTakes:
    """Liquidate positions at one price until they are healthy, or nothing is left.

    Parameters
    ----------
    supply, borrow, price : array_like
        Units of one collateral, debt, and the price of a unit in the unit of the debt.
    protocol : str
        ``"aave_v33"``, ``"comet"`` or ``"morpho"``.
    liquidation_threshold : array_like
        Share of the collateral that counts against the debt: Comet's liquidateCollateralFactor, Morpho's LLTV.
    bonus, dust : array_like
        Of ``aave_v33``: share that a liquidator gets on top, and the least debt and collateral that a partial
        liquidation may leave (1,000 where debt is in dollars).
    liquidation_factor : array_like
        Of ``comet``: share of the collateral's value that is credited.

    Returns
    -------
    LiquidationTakes
        Arrays of the common shape.

    Raises
    ------
    ScenarioError
        If an argument is out of range, missing for the protocol, or not one of its own.

    Notes
    -----
    With the health factor h, debt D, the collateral's value V and f = 1 + bonus, a liquidator repays r and seizes q:

    * ``aave_v33``: r = D/2 if h > 0.95 and both D and V are at least 2·dust, else D; q = r·f. Of a seizure beyond V
      remains q = V, r = V/f; one that is partial in debt and leaves less than dust of collateral is cut to
      q = V − dust, r = q/f.
    * ``morpho``: f = min(1.15, 1/(1 − 0.3·(1 − LLTV))), r = D, q = r·f, again at most V.
    * ``comet``: all is taken over for V·liquidation_factor; what that exceeds the debt by is credited to the owner, and
      what it falls short by is bad debt.

    Every liquidator acts; what gas and depth of the market cost him is not counted. A collateral that is gone leaves
    bad debt. Where (1 + bonus)·threshold exceeds h each liquidation lowers h: they go on to the end of debt or
    collateral.

    Examples
    --------
    >>> taken = what_liquidation_takes(
    ...     10, 15_000, 1750, protocol="aave_v33", liquidation_threshold=0.83, bonus=0.05, dust=1000
    ... )
    >>> int(taken.rounds), float(taken.repaid), float(taken.seized), round(float(taken.health_after), 4)
    (1, 7500.0, 7875.0, 1.0652)
    """
    if not known_word(protocol, _RULES):
        known = did_you_mean(str(protocol), _RULES, f": there are {', '.join(_RULES)}")
        raise ScenarioError(f"protocol: no rule {protocol!r}{known}", arguments=("protocol",))
    extra = {"bonus": bonus, "dust": dust, "liquidation_factor": liquidation_factor}
    for name, value in extra.items():
        if (value is not None) != (name in _NEEDS[protocol]):
            said = "needs" if value is None else "has no"
            raise ScenarioError(f"{protocol} {said} {name}", arguments=(name,))
    given: dict[str, Any] = {
        "supply": supply, "borrow": borrow, "price": price, "liquidation_threshold": liquidation_threshold,
        **{name: value for name, value in extra.items() if value is not None},
    }  # fmt: skip
    keyed.check_aligned(given, ScenarioError)
    arrays = {name: to_floats(name, value) for name, value in given.items()}
    for name, array in arrays.items():
        check_interval(name, array, _ALLOWED[name])
    check_together(
        {"supply": arrays["supply"], "borrow": arrays["borrow"]},
        lambda units, debt: (units > 0.0) | (debt == 0.0),
        "supply must be positive where there is debt",
    )
    shape = broadcast_shape(arrays)
    flat = {name: np.broadcast_to(array, shape).reshape(-1) for name, array in arrays.items()}
    columns = _comet(flat) if protocol == "comet" else _partial(flat, protocol)
    return LiquidationTakes(protocol=protocol, **{name: c.reshape(shape)[()] for name, c in columns.items()})


def _health(value: Floats, debt: Floats, threshold: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        health: Floats = np.where(debt == 0.0, np.inf, value * threshold / debt)
    return health


def _partial(a: dict[str, Floats], protocol: str) -> dict[str, Any]:
    """Repay by parts, as Aave and Morpho do, until the position is healthy or one side is gone."""
    units, debt, price, threshold = (a[name] for name in ("supply", "borrow", "price", "liquidation_threshold"))
    factor = 1.0 + a["bonus"] if protocol == "aave_v33" else np.minimum(1.15, 1.0 / (1.0 - 0.3 * (1.0 - threshold)))
    before = _health(units * price, debt, threshold)
    rounds = np.zeros(units.shape, dtype=np.int64)
    repaid, seized = np.zeros(units.shape), np.zeros(units.shape)
    for _ in range(_MOST_ROUNDS):
        value = units * price
        health = _health(value, debt, threshold)
        due = (health < 1.0) & (units > 0.0)
        if not due.any():
            break
        r, q = _aave(health, debt, value, factor, a["dust"]) if protocol == "aave_v33" else (debt, debt * factor)
        r, q = np.where(q > value, value / factor, r), np.minimum(q, value)
        if protocol == "aave_v33":
            r, q = _without_dust(r, q, debt, value, factor, a["dust"])
        gone = q == value
        units = np.where(due, np.where(gone, 0.0, units - q / price), units)
        debt = np.where(due, np.where(r == debt, 0.0, debt - r), debt)
        repaid, seized = repaid + np.where(due, r, 0.0), seized + np.where(due, q, 0.0)
        rounds += due
    bad = np.where(units == 0.0, debt, 0.0)
    debt = np.where(units == 0.0, 0.0, debt)
    after = _health(units * price, debt, threshold)
    return {
        "health_before": before, "health_after": after, "rounds": rounds, "repaid": repaid, "seized": seized,
        "penalty": seized - repaid, "left_supply": units, "left_borrow": debt, "returned": np.zeros(units.shape),
        "bad_debt": bad, "healthy": (after >= 1.0).astype(np.int64),
    }  # fmt: skip


def _aave(health: Floats, debt: Floats, value: Floats, factor: Floats, dust: Floats) -> tuple[Floats, Floats]:
    """Give what a liquidator repays and seizes before the collateral and dust bound it."""
    half = (health > _FULL_BELOW) & (debt >= 2.0 * dust) & (value >= 2.0 * dust)
    r = np.where(half, 0.5 * debt, debt)
    return r, r * factor


def _without_dust(
    r: Floats, q: Floats, debt: Floats, value: Floats, factor: Floats, dust: Floats
) -> tuple[Floats, Floats]:
    """Cut a partial liquidation so that what it leaves of the collateral is no dust."""
    short = (r < debt) & (q < value) & (value - q < dust)
    q = np.where(short, value - dust, q)
    return np.where(short, q / factor, r), q


def _comet(a: dict[str, Floats]) -> dict[str, Any]:
    """Take over all collateral at a discount."""
    units, debt, price = a["supply"], a["borrow"], a["price"]
    value = units * price
    before = _health(value, debt, a["liquidation_threshold"])
    due = before < 1.0
    credit = (units * a["liquidation_factor"]) * price
    zero = np.zeros(units.shape)
    after = np.where(due, np.inf, before)
    return {
        "health_before": before, "health_after": after, "rounds": due.astype(np.int64),
        "repaid": np.where(due, np.minimum(credit, debt), zero), "seized": np.where(due, value, zero),
        "penalty": np.where(due, value - credit, zero), "left_supply": np.where(due, 0.0, units),
        "left_borrow": np.where(due, 0.0, debt),
        "returned": np.where(due, np.maximum(credit - debt, 0.0), zero),
        "bad_debt": np.where(due, np.maximum(debt - credit, 0.0), zero),
        "healthy": np.ones(units.shape, dtype=np.int64),
    }  # fmt: skip
