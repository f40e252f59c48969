"""Predictions of curves: what they need beside the capital is made once for a level and kept."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from escala.arrays import Floats
from escala.curves import noise
from escala.curves.prediction import Prediction
from escala.curves.view import Curves
from escala.errors import CurveError
from escala.keyed import PerSymbol
from escala.made import made

#: What an interval may be of: observations of the records' own time, or of the next.
INTERVALS: Final = ("auto", "forward")

_NONE: Final = np.empty((0, 0))


def predictor(curves: Curves, level: float, interval: str) -> Predictor:
    """Prepare predictions of a level.

    Raises
    ------
    CurveError
        If there is no such interval, or no curve has what it needs.
    """
    from escala.kernels.curves import answer as kernels

    code = kernels.method_code

    if not isinstance(interval, str) or interval not in INTERVALS:
        raise CurveError(f"interval must be 'auto' or 'forward', not {interval!r}", arguments=("interval",))
    ahead = interval == "forward"
    scores = curves._forward if ahead else curves._scores
    if ahead and len(curves) and not scores.sizes.any():
        message = (
            "interval='forward' needs curves that were fitted with observed_at= or group=, the records before the "
            "last ones of 40 distinct capitals or more"
        )
        raise CurveError(message, arguments=("interval",))
    known = (curves.df_resid > 0.0) & curves.has_curve
    scored = scores.sizes > 0
    method = np.where(known & (not ahead), code.STUDENT, code.NONE)
    method[scored] = code.SCORED
    df_resid = np.where(known, curves.df_resid, 1.0)
    quantile = student_quantiles(df_resid, level)
    words = np.array(["none", "student", interval if ahead else "conformal"], dtype=object)[method]
    return Predictor(
        curves=curves._arrays(),
        root=curves._roots,
        code=method.astype(np.int8),
        df_resid=df_resid,
        residual_sd=np.ascontiguousarray(curves.residual_sd),
        quantile=quantile,
        half=np.where(known, quantile * curves.residual_sd, np.nan),
        observed=np.ascontiguousarray(curves.observed),
        smallest=np.ascontiguousarray(curves.observed[:, 0]),
        noise=noise.ranked(
            noise.Noise(curves._noise, curves.misfit, curves._scores, curves._bins, curves._windows, curves._forward),
            level,
            ahead=ahead,
        ),
        level=level,
        ahead=ahead,
        answer=kernels.answer,
        rows=kernels.said.END,
        scored=np.flatnonzero(scored),
        known={
            "method": words,
            "enough": np.where(scored, (scores.sizes + 1) * level <= scores.sizes, method == code.STUDENT),
            "points": scores.sizes,
            "symbols": curves.symbols,
        },
    )


@dataclass(frozen=True, eq=False)
class Predictor:
    """Everything that predictions of n curves and one level have in common; the curves' arrays must not change."""

    curves: tuple[Any, ...]  # families, coefficients, origins and steps
    root: Floats
    code: npt.NDArray[np.int8]
    df_resid: Floats
    residual_sd: Floats
    quantile: Floats
    half: Floats  # of the marginal's interval, in units of its standard deviation; NaN where nothing is known
    observed: Floats
    smallest: Floats
    noise: noise.Ranked
    level: float
    ahead: bool
    scored: npt.NDArray[np.int64]
    known: dict[str, npt.NDArray[Any]]
    answer: Any  # the kernel, and how much it says of a point
    rows: int

    def predict(
        self,
        rows: Floats,
        shape: tuple[int, ...],
        within: Floats,
        check: Callable[[PerSymbol], object],
        given: PerSymbol,
    ) -> Prediction:
        """Predict at capitals.

        Parameters
        ----------
        rows : (n, m) or (1, m) float64
            Capital.
        shape : tuple of int
            Of the result.
        within : (n,) float64
            Distance that the confidence is of.
        check : callable
            Raises what is wrong with the capital, which it is given as it was; called where something is.
        """
        n, m = self.code.size, rows.shape[1]
        reach, sure = self._scores_reach(rows, within)
        said = np.empty((self.rows, *shape))
        outside = np.empty(shape, dtype=np.bool_)
        bad = np.empty(1, dtype=np.int64)
        self.answer(
            *self.curves, self.root, self.code, self.residual_sd, self.df_resid, self.quantile, self.observed, within,
            reach, rows, said.reshape(self.rows, n * m), outside.view(np.int8).reshape(1, n * m), bad, 0, n,
        )  # fmt: skip
        if bad[0]:
            check(given)
        return made(
            Prediction,
            {
                "efficiency": said[1],
                "low": said[2],
                "high": said[3],
                "confidence": said[4] if self.scored.size == 0 else self._confidence(said[4], sure),
                "extrapolated": outside,
                "capital": said[0],
                "level": self.level,
                "tolerance": within,
                "_marginals": functools.partial(_marginals, self.curves, self.root, self.half, rows, shape),
                **self.known,
            },
        )

    def _scores_reach(self, rows: Floats, within: Floats) -> tuple[Floats, Floats]:
        """Give how far intervals by scores reach, and how sure the distance is; nothing where none are by scores."""
        if self.scored.size == 0:
            return _NONE, _NONE
        return noise.reach(self.curves, self.smallest, self.noise, rows, within)

    def _confidence(self, student: Floats, sure: Floats) -> Floats:
        """Put what scores say of the distance in the place of what Student's distribution says."""
        if self.scored.size == self.code.size:
            return sure.reshape(student.shape)
        student.reshape(sure.shape)[self.scored] = sure[self.scored]
        return student


def student_quantiles(df: Floats, level: float) -> Floats:
    """Compute the t with P(|T| ≤ t) = level of Student's distributions with positive degrees of freedom, (n,).

    Examples
    --------
    >>> student_quantiles(np.array([1.0, 10.0]), 0.5).round(6)
    array([1.      , 0.699812])
    """
    from escala.kernels.distributions import quantiles

    out = np.empty(df.size)
    quantiles(df, level, out, 0, df.size)
    return out


def marginals(
    curves: Curves, owner: npt.NDArray[np.int64], rows: Floats, level: float, shape: tuple[int, ...]
) -> tuple[Floats, Floats, Floats]:
    """Give the marginal utility at a row of capitals for each curve in `owner`, and its interval: within [0, 1]."""
    ready = predictor(curves, level, "auto")
    family, params, origin, steps = ready.curves
    some = (family[owner], params[owner], origin[owner], steps)
    return _marginals(some, ready.root[owner], ready.half[owner], rows, shape)


def _marginals(
    curves: tuple[Any, ...], root: Floats, half: Floats, rows: Floats, shape: tuple[int, ...]
) -> tuple[Floats, Floats, Floats]:
    from escala.kernels.curves import evaluate as kernels

    middle, low, high = (np.empty((half.size, rows.shape[1])) for _ in range(3))
    family, params, origin, steps = curves
    kernels.marginal_interval(
        family, params, origin, steps, root, half, np.ascontiguousarray(rows), middle, low, high, 0, middle.size
    )
    low = np.fmin(np.clip(np.where(np.isnan(low), 0.0, low), 0.0, 1.0), middle)
    high = np.fmax(np.clip(np.where(np.isnan(high), 1.0, high), 0.0, 1.0), middle)
    return middle.reshape(shape), low.reshape(shape), high.reshape(shape)
