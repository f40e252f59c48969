"""What trading costs as a share of what is traded: laws of market impact, and curves that were fitted to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from escala.arrays import Floats, known_word, one_number
from escala.curves.curveset import CurveSet
from escala.errors import RecordError, did_you_mean
from escala.tables import POSITIVE, Interval

_SD: Final = Interval(0.0, np.inf, high_open=True)


@dataclass(frozen=True)
class _Form:
    """How a law takes share of volume and volatility, and its coefficient where nobody says another."""

    exponent: float
    by_volatility: bool
    usual: float | None


#: By the word that asks for it.
_FORMS: Final[dict[str, _Form]] = {
    "sqrt": _Form(0.5, True, 1.0),
    "linear": _Form(1.0, True, None),
    "volume-share": _Form(2.0, False, 0.1),
}


@dataclass(frozen=True, eq=False)
class Orders:
    """Orders of a backtest at its own capital.

    Parameters
    ----------
    symbols : list of str
        Whose they are.
    codes : (n,) int
        Which symbol each has.
    value : (n,) float64
        Quantity × price.
    share : (n,) float64 or None
        Quantity over the volume of a day.
    volatility : (n,) float64 or None
        Of a day, as a fraction.
    period : (n,) int64
        In which period each is.
    """

    symbols: list[str]
    codes: npt.NDArray[Any]
    value: Floats
    share: Floats | None
    volatility: Floats | None
    period: npt.NDArray[np.int64]


@dataclass(frozen=True)
class PowerLaw:
    """Cost as a share of an order: coefficient · volatility · (quantity/volume)^exponent.

    Parameters
    ----------
    coefficient, sd : float
        Its mean and the standard deviation of what is known of it.
    exponent : float
        Of the share of volume.
    by_volatility : bool
        Whether volatility is a factor.
    """

    coefficient: float
    sd: float
    exponent: float
    by_volatility: bool

    def per_period(self, orders: Orders, multiples: Floats, periods: int) -> Floats:
        """Give the cost of each period at each multiple of the backtest's capital, (periods, multiples)."""
        once = self.once(orders, periods)
        cost: Floats = (self.coefficient * once)[:, None] * multiples ** (1.0 + self.exponent)
        return cost

    def once(self, orders: Orders, periods: int) -> Floats:
        """Give the cost of each period at the backtest's capital with a coefficient of 1."""
        assert orders.share is not None
        each = orders.value * orders.share**self.exponent
        if self.by_volatility:
            assert orders.volatility is not None
            each = each * orders.volatility
        return added(each, orders.period, periods)

    def drawn(self, draws: int, rng: np.random.Generator) -> Floats:
        """Draw coefficients over their mean: lognormal, of mean 1."""
        spread = np.sqrt(np.log1p((self.sd / self.coefficient) ** 2))
        normal = rng.standard_normal(draws)
        factors: Floats = np.exp(spread * normal - 0.5 * spread * spread)
        return factors

    def said(self) -> str:
        """Write the law as a formula."""
        known = f"{self.coefficient:g}" + (f" ± {self.sd:g}" if self.sd else "")
        return f"{known}{' · volatility' * self.by_volatility} · (quantity/volume)^{self.exponent:g}"


@dataclass(frozen=True, eq=False)
class CurveLaw:
    """Cost as a share of an order: what the curve of its symbol loses at its value.

    Parameters
    ----------
    curves : CurveSet
        One for each symbol that is traded.
    """

    curves: CurveSet

    def per_period(self, orders: Orders, multiples: Floats, periods: int) -> Floats:
        """Give the cost of each period at each multiple of the backtest's capital, (periods, multiples)."""
        cost = np.zeros((periods, multiples.size))
        for code, symbol in enumerate(orders.symbols):
            own = np.flatnonzero(orders.codes == code)
            value = orders.value[own, None] * multiples
            lost = value * (1.0 - self.curves[symbol].efficiency(value.reshape(1, -1)).reshape(value.shape))
            for column in range(multiples.size):
                cost[:, column] += added(lost[:, column], orders.period[own], periods)
        return cost

    def beyond(self, orders: Orders, multiple: float) -> int:
        """Count the orders that at a multiple are larger than their curve is trusted to."""
        most = np.array([self.curves[symbol].trusted_to[0] for symbol in orders.symbols])
        return int(np.count_nonzero(orders.value * multiple > most[orders.codes]))

    def said(self) -> str:
        """Say where costs are from."""
        return "1 − efficiency of the curve of each symbol"


def added(values: Floats, places: npt.NDArray[np.int64], count: int) -> Floats:
    """Add up values by place, in the order of the rows."""
    return np.bincount(places, weights=values, minlength=count).astype(np.float64, copy=False)


Law: TypeAlias = PowerLaw | CurveLaw


def law(impact: Any, coefficient: Any, sd: Any) -> Law:
    """Check what is said of impact.

    Raises
    ------
    RecordError
        If there is no such law, or a coefficient is missing, not allowed or of no use.
    """
    if isinstance(impact, CurveSet):
        for name, value in (("coefficient", coefficient), ("coefficient_sd", sd)):
            if value is not None:
                raise RecordError(f"{name} is for laws of impact, not for curves", arguments=(name,))
        return CurveLaw(impact)
    if impact is None or not known_word(impact, _FORMS):
        hint = did_you_mean(impact, _FORMS) if isinstance(impact, str) else ""
        known = ", ".join(map(repr, _FORMS))
        message = f"impact must be {known} or a CurveSet, not {impact!r}{hint}"
        raise RecordError(message, arguments=("impact",))
    form = _FORMS[impact]
    given = form.usual if coefficient is None else coefficient
    if given is None:
        message = f"impact {impact!r} needs a coefficient: there is none that holds for most markets"
        raise RecordError(message, arguments=("coefficient",))
    return PowerLaw(
        one_number("coefficient", given, POSITIVE, RecordError),
        one_number("coefficient_sd", 0.0 if sd is None else sd, _SD, RecordError),
        form.exponent,
        form.by_volatility,
    )


def check_curves(chosen: CurveLaw, symbols: list[str]) -> None:
    """Refuse symbols without a curve.

    Raises
    ------
    RecordError
        Names the first.
    """
    known = chosen.curves.symbols.tolist()
    for symbol in symbols:
        if symbol not in known:
            hint = did_you_mean(symbol, known)
            raise RecordError(f"impact has no curve of {symbol!r}, which is traded{hint}", arguments=("impact",))
        if not chosen.curves[symbol].has_curve[0]:
            raise RecordError(f"impact has no curve of {symbol!r}: its fit gave none", arguments=("impact",))
