"""Curves that are known, not fitted: what they consist of, checked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from escala.arrays import FloatLike, Floats, check_interval, to_floats
from escala.errors import CurveError
from escala.ragged import Ragged
from escala.tables import FINITE_FROM_ZERO, FRACTION, LADDER_STEP, PARAMS


def ladders(knots: Sequence[FloatLike], slopes: Sequence[FloatLike], symbols: Sequence[str]) -> tuple[Floats, Ragged]:
    """Check ladders, and give their coefficients and steps.

    Parameters
    ----------
    knots, slopes : n arrays of equal lengths
        Knots rise from 0, slopes fall from at most 1 to at least 0.
    symbols : n names

    Returns
    -------
    params : (n, 4) float64
    steps : Ragged
        Knots, slopes and utilities at the knots, one after the other.

    Raises
    ------
    CurveError
        Names the ladder, the index and the value that is wrong.
    """
    for name, rows in (("knots", knots), ("slopes", slopes)):
        if len(rows) != len(symbols):
            message = f"{name} has {len(rows):,} arrays for {len(symbols):,} symbols"
            raise CurveError(message, arguments=(name, "symbols"))
    steps = Ragged.of([_ladder(i, symbol, knots[i], slopes[i]) for i, symbol in enumerate(symbols)])
    params = np.zeros((len(steps), PARAMS))
    params[:, 0] = params[:, 1] = 1.0
    params[:, 2] = steps.sizes // len(LADDER_STEP)
    return params, steps


def _ladder(i: int, symbol: str, knots: FloatLike, slopes: FloatLike) -> Floats:
    """Check one ladder, and give its three rows of numbers."""
    at, returned = to_floats(f"knots[{i}]", knots, CurveError), to_floats(f"slopes[{i}]", slopes, CurveError)
    if at.ndim != 1 or returned.shape != at.shape or at.size == 0:
        message = (
            f"knots[{i}] of shape {at.shape} and slopes[{i}] of shape {returned.shape} must be rows of one length, "
            f"at least 1, for {symbol!r}"
        )
        raise CurveError(message, arguments=("knots", "slopes"), indexes=((i,),))
    check_interval(f"knots[{i}]", at, FINITE_FROM_ZERO, CurveError)
    check_interval(f"slopes[{i}]", returned, FRACTION, CurveError)
    if at[0] != 0.0:
        raise CurveError(f"knots[{i}, 0] must be 0, not {float(at[0])!r}", arguments=("knots",), indexes=((i, 0),))
    _refuse(i, "knots", at, np.flatnonzero(np.diff(at) <= 0.0), "rise")
    _refuse(i, "slopes", returned, np.flatnonzero(np.diff(returned) > 0.0), "not rise")
    return np.concatenate([at, returned, utilities(at, returned)])


def _refuse(i: int, name: str, values: Floats, wrong: np.ndarray, rule: str) -> None:
    if wrong.size:
        j = int(wrong[0])
        message = f"{name}[{i}] must {rule}, but {float(values[j + 1])!r} at {j + 1} comes after {float(values[j])!r}"
        raise CurveError(message, arguments=(name,), indexes=((i, j + 1),))


def utilities(knots: Floats, slopes: Floats) -> Floats:
    """Add up what the steps return up to each knot, with the rounding errors: exact to the last bit or two."""
    out = np.zeros(knots.size)
    total = rest = 0.0
    for j, earned in enumerate((slopes[:-1] * np.diff(knots)).tolist()):
        added = total + earned
        part = added - total
        rest += (total - (added - part)) + (earned - part)
        total = added
        out[j + 1] = total + rest
    return out
