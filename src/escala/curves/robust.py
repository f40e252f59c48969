"""Absurd records, and what is done about them: they are set aside, or hardly count.

Records that stand alone, far off what their neighbours allow (:mod:`escala.kernels.noise.outliers`), are suspects. A
curve fitted without them has the last word: those that it is far off too are set aside. Neither depends on a fit that
the suspects had a part in, so none hides itself or another by moving it.

Student's t loss: least squares of weights w·(ν + 1)/(ν + t²), t = r/s with r the residual and s the scale of residuals
at that capital, repeated, maximise the likelihood of errors of Student's distribution with ν degrees of freedom. Each
time the global optimum of the weighted squares is found anew, so no step depends on where the one before ended but by
its weights.

References
----------
Lange, K. L., Little, R. J. A. and Taylor, J. M. G. (1989), Robust statistical modeling using the t distribution,
Journal of the American Statistical Association 84, 881–896. Barnett, V. and Lewis, T. (1994), Outliers in Statistical
Data, chapter 3 (masking).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from escala import parallel
from escala.arrays import Floats, known_word
from escala.errors import RecordError

Integers = npt.NDArray[np.int64]
Marks = npt.NDArray[np.bool_]

#: What may be said of the loss: squares of what is not absurd, squares of everything, Student's.
LOSSES: Final = ("auto", "squares", "student")
#: Times that records are looked at: suspects may hide behind suspects.
LOOKS: Final = 5
#: Absurd is at most one of so many records of an instrument, and always so few: more are a market of their own. Where
#: times are known, so it is of the records since an absurd one: more may be a market that has changed.
ONE_IN: Final = 10
ALWAYS: Final = 2

#: Times that a record set aside is farther off than any near it.
ALONE: Final = 2.0
#: Degrees of freedom of the errors.
NU: Final = 4.0
#: Fits after the first.
ROUNDS: Final = 3
#: Neighbours by rank of capital whose residuals give the scale at it, and the fewest records that have one.
NEIGHBOURS: Final = 21
FEWEST: Final = 8
#: The median of sizes is this share of a normal standard deviation; a smaller scale is not told from rounding.
_MEDIAN: Final = 0.6744897501960817
_FLOOR: Final = 1e-5
#: Records that are looked at in one call, in workspaces that are kept.
_AT_ONCE: Final = 512
_NONE: Final = np.empty(0, dtype=np.int64)
#: Records between two looks at Ctrl-C.
_STEP_POINTS: Final = 1 << 19


def check(loss: str) -> None:
    """Refuse a word that names no loss.

    Raises
    ------
    RecordError
        If `loss` is none of them.
    """
    if not known_word(loss, LOSSES):
        shown = ", ".join(map(repr, LOSSES[:-1])) + f" or {LOSSES[-1]!r}"
        raise RecordError(f"loss must be {shown}, not {loss!r}", arguments=("loss",))


def suspects(
    offsets: Integers, capital: Floats, efficiency: Floats, weights: Floats, threads: int | None
) -> Marks | None:
    """Mark records that stand alone, far off what their neighbours allow; None where none does.

    Parameters
    ----------
    offsets : (n + 1,) int64
        Where each instrument's records begin.
    capital, efficiency : (records,) float64
    weights : (records,) or (0,) float64
    """
    kernels = _kernels()
    n = offsets.size - 1
    if capital.size < kernels.FEWEST:
        return None
    marks, counts = np.empty(capital.size, dtype=np.int8), np.empty(n, dtype=np.int64)
    given = (offsets, capital, efficiency, weights, _NONE, marks, counts)
    if capital.size <= _AT_ONCE:
        kernels.outliers(*given, *_room(_AT_ONCE), 0, n)
        return _marked(marks, counts, offsets) if max(counts.tolist()) else None
    sizes = np.diff(offsets)
    most = int(sizes.max())
    if most < kernels.FEWEST:
        return None

    def make_part() -> parallel.Part:
        work = _work(most)
        step = max(1, _STEP_POINTS // most)

        def part(start: int, stop: int) -> Iterator[None]:
            for at in range(start, stop, step):
                kernels.outliers(*given, *work, at, min(at + step, stop))
                yield

        return part

    crew = parallel.checked_threads(threads, RecordError)
    chunk = parallel.chunk_size(n, crew, largest=1 << 14, multiple=1)
    parallel.run(make_part, n, chunk=chunk, threads=crew)
    return _marked(marks, counts, offsets) if counts.any() else None


@functools.cache
def _kernels() -> Any:
    from escala.kernels.noise import outliers

    return outliers


def _work(most: int) -> tuple[Any, ...]:
    """Make what the look at records of instruments of at most so many needs."""
    from escala.kernels.noise.rows import tag

    kernels = _kernels()
    table, tags = np.empty((kernels.along.END, most)), np.empty((tag.END, most), dtype=np.int64)
    return np.empty(3 * most), table, np.empty(kernels.NEIGHBOURS), tags


_room = parallel.kept(_work)


def _marked(marks: npt.NDArray[np.int8], counts: Integers, offsets: Integers) -> Marks:
    """Give the marks of instruments with suspects; those of others were not written."""
    found: Marks = np.repeat(counts > 0, np.diff(offsets))
    found[found] = marks[found] == 1
    return found


def confirmed(capital: Floats, efficiency: Floats, suspect: Marks, curve: Floats) -> Marks:
    """Mark the suspects that a curve fitted without them is far off, by what it is off near them, and alone so.

    Parameters
    ----------
    capital, efficiency : (m,) float64
        Records of one instrument, of positive weight.
    suspect : (m,) bool
    curve : (m,) float64
        Efficiencies of the curve; NaN where there is none, which confirms nothing.
    """
    found = suspect & bool(np.isfinite(curve).all())
    while found.any() and not found.all():  # what is no absurd one after all is a neighbour that counts
        kept = _stand_alone(capital, efficiency, found, curve)
        if kept.all():
            return found
        found[found] = kept
    return np.zeros(suspect.size, dtype=bool)


def changed(times: Floats, absurd: Marks) -> Marks:
    """Mark the absurd records of an instrument that may be the beginning of another market: the youngest are.

    The first of them is the earliest from which on, in time, no fewer than one in :data:`ONE_IN` records is absurd.
    There must be records before it: of one time alone none is younger, and the oldest can have followed nothing.
    """
    for first in np.unique(times[absurd]):
        since = times >= first
        if not since.all() and ONE_IN * int(absurd[since].sum()) >= int(since.sum()):
            young: Marks = absurd & since
            return young
    return np.zeros_like(absurd)


def below_both_sides(capital: Floats, efficiency: Floats, suspect: Marks) -> Marks:
    """Keep the suspects far below what stands before and what stands behind them: holes in what rises and falls."""
    found = suspect.copy()
    others = np.flatnonzero(~suspect)
    others = others[np.lexsort((efficiency[others], capital[others]))]
    ranks = np.searchsorted(capital[others], capital[suspect])
    for place, rank in zip(np.flatnonzero(suspect).tolist(), ranks.tolist(), strict=True):
        sides = [efficiency[others[max(rank - 3, 0) : rank]], efficiency[others[rank : rank + 3]]]
        if min(side.size for side in sides) == 0:
            found[place] = False
            continue
        least = np.array([min(float(np.median(side)) for side in sides)])
        own = efficiency[place : place + 1]
        found[place] = own[0] < least[0] and _are_absurd(own, least)[0]
    return found


def _stand_alone(capital: Floats, efficiency: Floats, chosen: Marks, curve: Floats) -> Marks:
    """Tell which of the chosen records are far off, by what the others near them are off."""
    from escala.kernels.noise.outliers import RARE

    others = np.flatnonzero(~chosen)
    others = others[np.lexsort((efficiency[others], capital[others]))]
    sizes = np.abs(efficiency - curve)
    width = min(NEIGHBOURS, others.size)
    most = np.sqrt(np.sqrt(6.0 * chosen.size / RARE))
    ranks = np.searchsorted(capital[others], capital[chosen])
    first = np.clip(ranks - width // 2, 0, others.size - width)
    near = sizes[others[first[:, None] + np.arange(width)]]
    scale = np.maximum(np.median(near, axis=1) / _MEDIAN, _FLOOR)
    alone: Marks = sizes[chosen] > np.maximum(most * scale, ALONE * near.max(axis=1))
    return alone & _are_absurd(efficiency[chosen], curve[chosen])


def _are_absurd(efficiency: Floats, curve: Floats) -> Marks:
    """Tell which efficiencies are off as far as :func:`escala.kernels.noise.outliers.off` demands."""
    from escala.kernels.noise.outliers import FAR, SHARE, STEP

    distance = np.abs(efficiency - curve)
    absurd: Marks = (distance > STEP) & (
        (distance > FAR) | (efficiency < SHARE * curve) | (curve < SHARE * efficiency)
    )  # fmt: skip
    return absurd


def factors(offsets: Integers, capital: Floats, efficiency: Floats, weights: Floats, residual: Floats) -> Floats:
    """Give what each record's weight is multiplied by: at most (ν + 1)/ν; 1 for instruments without a curve or scale.

    Parameters
    ----------
    offsets : (n + 1,) int64
        Where each instrument's records begin.
    capital, efficiency, residual : (records,) float64
        `residual` is NaN without a curve.
    weights : (records,) or (0,) float64
        Those of 0 give no scale.
    """
    out = np.ones(residual.size)
    for start, stop in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        there = np.arange(start, stop)
        if weights.size:
            there = there[weights[start:stop] > 0.0]
        if there.size < FEWEST or not np.isfinite(residual[there]).all():
            continue
        there = there[np.lexsort((efficiency[there], capital[there]))]
        t = residual[there] / _scale(np.abs(residual[there]))
        out[there] = (NU + 1.0) / (NU + t * t)
    return out


def _scale(sizes: Floats) -> Floats:
    """Give the median of sizes among neighbours, as a standard deviation; near the ends, of the same neighbours."""
    width = min(NEIGHBOURS, sizes.size)
    medians = np.median(np.lib.stride_tricks.sliding_window_view(sizes, width), axis=1)
    starts = np.clip(np.arange(sizes.size) - width // 2, 0, sizes.size - width)
    scale: Floats = np.maximum(medians[starts] / _MEDIAN, _FLOOR)
    return scale
