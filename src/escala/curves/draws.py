"""Coefficients drawn from what fits leave open: each family says which numbers of its are nearly normal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from escala.arrays import Floats, is_integer
from escala.curves.families import FORMS, Family, most_amplitude
from escala.curves.view import Curves
from escala.errors import CurveError
from escala.tables import PARAMS

#: Which curves of a set are meant.
Mask = npt.NDArray[np.bool_]

_MOST: Final = 2**31 - 1
_NORMALS: Final = 3  # standard normal numbers that a draw of a curve takes

_HILL_SHAPES: Final = (1.0, 20.0)

_MOST_CHANGE: Final = 8.0 * np.log(2.0)  # of a logarithm in a draw: how far beyond the data a fit looks

_SHOWN: Final = 3  # symbols that a message lists


def draw(curves: Curves, draws: int, seed: int | np.random.Generator) -> Floats:
    """Draw coefficients, (draws, n, 4), as :meth:`CurveSet.draw_params` says.

    Raises
    ------
    CurveError
        If the seed is out of range, or nothing is known of a curve's errors.
    """
    _refuse_unknown_errors(curves)
    entropy = _entropy(seed)
    normal = np.empty((len(curves), draws, _NORMALS))
    for row, symbol in zip(normal, curves.symbols.tolist(), strict=True):
        _stream(entropy, symbol).standard_normal(out=row)
    mean, factor = _nearly_normal(curves)
    out = np.empty((draws, len(curves), PARAMS))
    for k in range(PARAMS):
        # Term by term: a matrix product would round as its library, and the number of draws, please.
        error = factor[:, k, :1] * normal[:, :, 0]
        for j in range(1, _NORMALS):
            error += factor[:, k, j : j + 1] * normal[:, :, j]
        error += mean[:, k, None]
        out[:, :, k] = error.T
    for family, (_, coefficients) in _FAMILIES.items():
        some = _where(curves, family)
        if some.any():
            out[:, some] = coefficients(curves, some, out[:, some])
    return out


def _where(curves: Curves, family: Family) -> Mask:
    """Tell which curves are drawn as those of a family: exponentials without residuals are drawn as they are."""
    some: Mask = curves.family == family
    return some & (curves.residual_sd > 0.0) if family == Family.EXPONENTIAL else some


def _nearly_normal(curves: Curves) -> tuple[Floats, Floats]:
    """Give means and factors, (n, 4) and (n, 4, 3): mean + factor·(three standard normal numbers) is nearly normal.

    The factors come from the inverse root of the normal matrix, not from the covariance, of which small numbers are
    differences of large ones.
    """
    constant, first, second = (_effects(curves._root, *weights) for weights in np.eye(_NORMALS))
    mean = curves.params.copy()
    unused = np.stack([np.where(curves.has_curve, 0.0, np.nan)] * _NORMALS, axis=-1)
    factor = np.stack([first, constant, unused, unused], axis=1)
    for family, (parts, _) in _FAMILIES.items():
        some = _where(curves, family)
        if some.any():
            parts(curves, some, mean, factor, (constant[some], first[some], second[some], unused[some]))
    return mean, factor * curves.residual_sd[:, None, None]


#: Effects of the three basis functions, and of none, for the curves of a family: (m, 3) each.
_Effects = tuple[Floats, Floats, Floats, Floats]


def _zero(curves: Curves, some: Mask) -> Floats:
    """Give the mean of a change: 0, NaN where there is no curve."""
    zero: Floats = np.where(curves.has_curve[some], 0.0, np.nan)
    return zero


def _changed(values: Floats, change: Floats) -> Floats:
    """Give values times the exponential of a change."""
    changed: Floats = values * np.exp(np.clip(change, -_MOST_CHANGE, _MOST_CHANGE))
    return changed


def _quadratic_parts(_curves: Curves, some: Mask, _mean: Floats, factor: Floats, effects: _Effects) -> None:
    constant, first, second, _ = effects
    factor[some, :3] = np.stack([second, first, constant], axis=1)


def _as_drawn(_curves: Curves, _some: Mask, drawn: Floats) -> Floats:
    return drawn


def _exponential_parts(curves: Curves, some: Mask, mean: Floats, factor: Floats, effects: _Effects) -> None:
    """η at both ends of the data and the change of log b."""
    a, b, c = curves.params[some, :3].T
    span = _span(curves, some)
    left = np.exp(-b * span)  # of a, at the largest capital
    mean[some, :3] = np.stack([a + c, a * left + c, np.zeros_like(a)], axis=-1)
    at_smallest = _effects(curves._root[some], 1.0, 1.0, 0.0)
    at_largest = _effects(curves._root[some], 1.0, left, left * span)
    factor[some, :3] = np.stack([at_smallest, at_largest, effects[2] / (-a * b)[:, None]], axis=1)


def _exponential(curves: Curves, some: Mask, drawn: Floats) -> Floats:
    from escala.kernels.fitting.scan import HIGHEST_RATE, LOWEST_RATE

    span, rate = _span(curves, some), curves.params[some, 1]
    first, last, change, unused = np.moveaxis(drawn, -1, 0)
    lowest, highest = np.log(LOWEST_RATE / (rate * span)), np.log(HIGHEST_RATE / (rate * span))
    b = rate * np.exp(np.clip(change, lowest, highest))
    a = (last - first) / np.expm1(-b * span)
    return np.stack([a, b, first - a, unused], axis=-1)


def _span(curves: Curves, some: Mask) -> Floats:
    span: Floats = (curves.observed[:, 1] - curves.origin)[some]
    return span


def _hill_parts(curves: Curves, some: Mask, mean: Floats, factor: Floats, effects: _Effects) -> None:
    """a, the change of ln K and s."""
    constant, first, second, _ = effects
    mean[some, 1] = _zero(curves, some)
    amplitude = curves.params[some, :1]
    factor[some, :3] = np.stack([constant, first / amplitude, second / amplitude], axis=1)


def _hill(curves: Curves, some: Mask, drawn: Floats) -> Floats:
    a, change, shape, unused = np.moveaxis(drawn, -1, 0)
    s = np.clip(shape, *_HILL_SHAPES)
    return np.stack([np.clip(a, 0.0, most_amplitude(s)), _changed(curves.params[some, 1], change), s, unused], axis=-1)


def _depth_parts(curves: Curves, some: Mask, mean: Floats, factor: Floats, effects: _Effects) -> None:
    """a, and the changes of ln D and ln h."""
    constant, first, second, _ = effects
    mean[some, 1] = mean[some, 2] = _zero(curves, some)
    amplitude = np.where(curves.params[some, :1] > 0.0, curves.params[some, :1], 1.0)
    factor[some, :3] = np.stack([constant, first / amplitude, second / amplitude], axis=1)


def _depth(curves: Curves, some: Mask, drawn: Floats) -> Floats:
    a, change, sharper, unused = np.moveaxis(drawn, -1, 0)
    kept = FORMS[Family.DEPTH].coefficients[2].values
    h = np.clip(_changed(curves.params[some, 2], sharper), kept.low, kept.high)
    return np.stack([np.clip(a, 0.0, 1.0), _changed(curves.params[some, 1], change), h, unused], axis=-1)


def _power_parts(curves: Curves, some: Mask, mean: Floats, factor: Floats, effects: _Effects) -> None:
    """a, b and the change of the exponent's logarithm."""
    constant, first, second, _ = effects
    mean[some, 2] = _zero(curves, some)
    b, exponent = curves.params[some, 1:2], curves.params[some, 2:3]
    falls = np.where(b > 0.0, -b * exponent, 1.0)
    factor[some, :3] = np.stack([constant, -first, second / falls], axis=1)


def _power(curves: Curves, some: Mask, drawn: Floats) -> Floats:
    a, b, change, scale = np.moveaxis(drawn, -1, 0)
    kept = FORMS[Family.POWER].coefficients[2].values
    exponent = np.clip(_changed(curves.params[some, 2], change), kept.low, kept.high)
    return np.stack([np.clip(a, 0.0, 1.0), np.maximum(b, 0.0), exponent, scale], axis=-1)


def _ladder_parts(_curves: Curves, some: Mask, mean: Floats, factor: Floats, effects: _Effects) -> None:
    """The level, and the change of the depth's logarithm."""
    constant, first, _, unused = effects
    mean[some, 1] = 0.0
    factor[some, :3] = np.stack([constant, first, unused], axis=1)


def _ladder(curves: Curves, some: Mask, drawn: Floats) -> Floats:
    a, change, steps, place = np.moveaxis(drawn, -1, 0)
    level = np.clip(a, 0.0, curves._most_level(some))
    return np.stack([level, _changed(curves.params[some, 1], change), steps, place], axis=-1)


_Parts = Callable[[Curves, Mask, Floats, Floats, _Effects], None]
_Coefficients = Callable[[Curves, Mask, Floats], Floats]

#: Of each family whose coefficients are not simply normal in the order (factor of f₁, constant): which of its numbers
#: are nearly normal, written into means and factors, and how coefficients follow from such numbers.
_FAMILIES: Final[dict[Family, tuple[_Parts, _Coefficients]]] = {
    Family.QUADRATIC: (_quadratic_parts, _as_drawn),
    Family.EXPONENTIAL: (_exponential_parts, _exponential),
    Family.HILL: (_hill_parts, _hill),
    Family.DEPTH: (_depth_parts, _depth),
    Family.POWER: (_power_parts, _power),
    Family.LADDER: (_ladder_parts, _ladder),
}


def _effects(root: Floats, one: float, f1: float | Floats, f2: float | Floats) -> Floats:
    """Give the effects of three uncorrelated parts of equal variance on one·c₀ + f₁·c₁ + f₂·c₂, a sum of the basis."""
    i0, m1, i1, m2, k, i2 = root.T
    first = f1 - one * m1
    return np.stack([one * i0, first * i1, (f2 - one * m2 - k * first) * i2], axis=-1)


def _refuse_unknown_errors(curves: Curves) -> None:
    unknown = np.flatnonzero(curves.has_curve & ~np.isfinite(curves.covariance).all(axis=(1, 2)))
    if unknown.size:
        shown = ", ".join(repr(curves.symbols[i]) for i in unknown[:_SHOWN])
        more = f" and {unknown.size - _SHOWN:,} more" if unknown.size > _SHOWN else ""
        message = f"nothing is known of the errors of {shown}{more}: there are no data, or no degrees of freedom"
        raise CurveError(message, indexes=tuple((int(i),) for i in unknown[:_SHOWN]))


def checked_count(draws: int) -> int:
    """Check a number of draws.

    Raises
    ------
    CurveError
        Names it.
    """
    if not is_integer(draws) or draws < 1:
        raise CurveError(f"draws must be an integer of at least 1, not {draws!r}", arguments=("draws",))
    if draws > _MOST:
        raise CurveError(f"draws must be at most {_MOST:,}, not {draws:,}", arguments=("draws",))
    return int(draws)


def _entropy(seed: int | np.random.Generator) -> int:
    """Check a seed; a generator gives one."""
    if isinstance(seed, np.random.Generator):
        return int(seed.integers(1 << 63))
    if not is_integer(seed) or seed < 0:
        message = f"seed must be an integer of at least 0 or a numpy.random.Generator, not {seed!r}"
        raise CurveError(message, arguments=("seed",))
    return int(seed)


def _stream(entropy: int, symbol: str) -> np.random.Generator:
    """Make the random numbers of one instrument."""
    key = int.from_bytes(symbol.encode("utf-8", "surrogatepass"), "little")
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy, spawn_key=(key,))))
