"""The books of a position in a market kept in fractions, where nothing is rounded: what is owned must be what is booked.

The plain twin runs as it is, over numbers that take a float for the fraction that it is. What only rounds by its nature
(an exponential of a depth, a decision) is some number in both, and the books close whatever it is.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from tests.naive.market import NaivePath, NaivePosition, Spec, naive_path

#: What is booked, and what each does to the equity.
BOOKED = {
    "price_pnl": 1, "supply_yield": 1, "interest": -1, "fees": -1, "gas": -1, "slippage": -1, "liquidation_loss": -1,
    "bad_debt": 1,
}  # fmt: skip


class Exact(Fraction):
    """A fraction that stays one beside a float; infinite floats stay what they are."""

    __slots__ = ()

    def _with(self, other: Any, name: str) -> Any:
        if isinstance(other, float):
            if not math.isfinite(other):
                return getattr(float(self), name)(other)
            other = Fraction(other)
        found = getattr(Fraction, name)(self, other)
        return found if found is NotImplemented else Exact(found)

    def __add__(self, other: Any) -> Any:
        return self._with(other, "__add__")

    def __radd__(self, other: Any) -> Any:
        return self._with(other, "__radd__")

    def __sub__(self, other: Any) -> Any:
        return self._with(other, "__sub__")

    def __rsub__(self, other: Any) -> Any:
        return self._with(other, "__rsub__")

    def __mul__(self, other: Any) -> Any:
        return self._with(other, "__mul__")

    def __rmul__(self, other: Any) -> Any:
        return self._with(other, "__rmul__")

    def __truediv__(self, other: Any) -> Any:
        return self._with(other, "__truediv__")

    def __rtruediv__(self, other: Any) -> Any:
        return self._with(other, "__rtruediv__")

    def __neg__(self) -> Any:
        return Exact(-Fraction(self))


class ExactPosition(NaivePosition):
    """The twin's position with exact balances, prices and books."""

    def __init__(self, spec: Spec, path: NaivePath) -> None:
        for name in ("M", "G", "K", "X", "X_low"):
            setattr(path, name, [[Exact(one) for one in row] for row in getattr(path, name)])
        exact: Any = Exact  # beside floats it is as good as one
        path.B = [exact(one) for one in path.B]
        super().__init__(spec, path)
        self.c = [exact(one) for one in self.c]
        for name in ("d", "wallet", "buffer", *BOOKED):
            setattr(self, name, Exact(getattr(self, name)))
        self.start_equity = self.equity()


def unbooked(spec: Spec) -> Fraction:
    """Give what a scenario's equity changed by and its books do not say: 0."""
    position = ExactPosition(spec, naive_path(spec))
    position.run()
    booked = sum(sign * Fraction(getattr(position, name)) for name, sign in BOOKED.items())
    return Fraction(position.equity()) - Fraction(position.start_equity) - booked
