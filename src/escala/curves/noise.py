"""Noise of curves: which records belong together, scores of records that a curve did not see, and what they reach."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from escala import parallel
from escala.arrays import Floats, known_word
from escala.errors import RecordError
from escala.ragged import Ragged

Integers = npt.NDArray[np.int64]

#: What may be said of noise: local from the usual number of capitals on, everywhere the same, local where it can be.
NOISES: Final = ("auto", "even", "local")
#: Blocks of an instrument's records over time, at most: more times, or groups, are joined to as many.
MOST_BLOCKS: Final = 24
#: Points between two looks at Ctrl-C.
_STEP_POINTS: Final = 20_000
_NONE: Final = np.empty(0, dtype=np.int64)
_FEW: Final = 64  # curves of which nothing is known once and for all


@dataclass(frozen=True)
class Noise:
    """What is known of the noise of n curves: as in :class:`escala.curves.curveset.CurveSet`."""

    levels: Floats
    misfit: Floats
    scores: Ragged
    bins: Ragged
    windows: Ragged
    forward: Ragged

    @classmethod
    def unknown(cls, n: int) -> Noise:
        """Say that nothing is known."""
        return _unknown_of_few(n) if n <= _FEW else _unknown(n)


def _unknown(n: int) -> Noise:
    """Say that nothing is known of n curves; nobody can write into it."""
    none = Ragged.empty(n)
    levels, misfit = np.full((n, 2), np.nan), np.full(n, np.nan)
    levels.setflags(write=False)
    misfit.setflags(write=False)
    return Noise(levels, misfit, none, none, none, none)


_unknown_of_few: Final = functools.lru_cache(maxsize=_FEW + 1)(_unknown)


def noise_from(noise: str) -> int:
    """Give the number of distinct capitals from which on noise is local.

    Raises
    ------
    RecordError
        If `noise` is none of the words for it.
    """
    if not known_word(noise, NOISES) or noise is None:
        shown = ", ".join(map(repr, NOISES[:-1])) + f" or {NOISES[-1]!r}"
        raise RecordError(f"noise must be {shown}, not {noise!r}", arguments=("noise",))
    return _least_capitals()[noise]


@functools.cache
def _least_capitals() -> dict[str, int]:
    from escala.kernels.noise.rows import NEVER
    from escala.kernels.noise.weights import FEWEST, USUAL

    return {"auto": int(USUAL), "even": int(NEVER), "local": int(FEWEST)}


def ranks(offsets: Integers, values: Floats) -> Integers:
    """Number different values from 0 on, within each instrument and in their order."""
    instrument = np.repeat(np.arange(offsets.size - 1), np.diff(offsets))
    order = np.lexsort((values, instrument))
    last, here = order[:-1], order[1:]
    new = np.ones(order.size, dtype=np.int64)
    new[1:] = (values[here] != values[last]) | (instrument[here] != instrument[last])
    counted = np.cumsum(new)
    first = np.ones(offsets.size - 1, dtype=np.int64)
    there = np.diff(offsets) > 0
    first[there] = counted[offsets[:-1][there]]
    found = np.empty(order.size, dtype=np.int64)
    found[order] = counted - np.repeat(first, np.diff(offsets))
    return found


def blocks(offsets: Integers, group: Integers, times: Floats | None) -> Integers:
    """Give the block in time of each record: its time, or its group (in order of the earliest times, if there are any).

    More than :data:`MOST_BLOCKS` are joined to as many.
    """
    if times is None and group.size == 0:
        return _NONE
    if times is None:
        found = group
    elif group.size == 0:
        found = ranks(offsets, times)
    else:
        first = np.repeat(offsets[:-1], np.diff(offsets)) + group  # a group's number is below its instrument's records
        earliest = np.full(times.size, np.inf)
        np.minimum.at(earliest, first, times)
        found = ranks(offsets, earliest[first])
    most = np.zeros(offsets.size - 1, dtype=np.int64)
    np.maximum.at(most, np.repeat(np.arange(most.size), np.diff(offsets)), found + 1)
    counts = np.repeat(most, np.diff(offsets))
    return np.where(counts > MOST_BLOCKS, found * MOST_BLOCKS // np.maximum(counts, 1), found)


def score(
    records: tuple[Integers, Integers, Floats, Floats, Floats],
    group: Integers,
    block: Integers,
    least: int,
    fitted: tuple[Any, ...],
    threads: int | None,
) -> Noise:
    """Score the records of curves that were fitted; where there are groups their errors change.

    Parameters
    ----------
    records
        Order of the instruments, offsets, capital, efficiency and weights, as the fit took them.
    group, block : (records,) or (0,) int64
        Numbers of groups and of blocks within each instrument.
    least : int
        Distinct capitals from which on noise is local.
    fitted
        Families, statuses, coefficients, origins, inverse roots, covariances and statistics, as the fit wrote them.
    """
    order, offsets, capital, efficiency, weights = records
    n = offsets.size - 1
    if group.size == 0 and (capital.size < least or np.diff(offsets).max() < least):
        return Noise.unknown(n)
    from escala.kernels.noise import scores as kernels
    from escala.kernels.noise.rows import BINS, WINDOWS, WORK_SIZE, kept, noise, point, tag

    family, status, params, origin, root, covariance, stats = fitted
    sizes = np.diff(offsets)
    most = max(1, int(sizes.max(initial=1)))
    levels, misfit = np.empty((n, noise.END)), np.empty(n)
    bins, windows = np.empty((n, BINS)), np.empty((n, WINDOWS))
    scores, forward = np.empty(offsets[-1]), np.empty(offsets[-1])
    counts = np.empty((n, kept.END), dtype=np.int64)

    def make_part() -> parallel.Part:
        work, points = np.empty(WORK_SIZE), np.empty(3 * most)
        table, tags = np.empty((point.END, most)), np.empty((tag.END, most), dtype=np.int64)

        def part(start: int, stop: int) -> Iterator[None]:
            at = start
            while at < stop:
                end = min(stop, at + max(1, _STEP_POINTS // max(1, int(sizes[order[at]]))))
                kernels.score(
                    order, offsets, capital, efficiency, weights, group, block, least, family, status, params, origin,
                    root, covariance, stats, levels, misfit, bins, windows, scores, forward, counts,
                    work, points, table, tags, at, end,
                )  # fmt: skip
                at = end
                yield

        return part

    crew = parallel.checked_threads(threads, RecordError)
    parallel.run(make_part, n, chunk=parallel.chunk_size(n, crew, largest=1024, multiple=1), threads=crew)
    return Noise(
        levels=levels,
        misfit=misfit,
        scores=_rows(scores, offsets[:-1], counts[:, kept.SCORES]),
        bins=_rows(bins.reshape(-1), np.arange(n) * BINS, counts[:, kept.BINS]),
        windows=_rows(windows.reshape(-1), np.arange(n) * WINDOWS, counts[:, kept.WINDOWS]),
        forward=_rows(forward, offsets[:-1], counts[:, kept.FORWARD]),
    )


def _rows(values: Floats, starts: Integers, sizes: Integers) -> Ragged:
    """Take the first numbers of rows that have room for more."""
    offsets = np.zeros(sizes.size + 1, dtype=np.int64)
    np.cumsum(sizes, out=offsets[1:])
    if offsets[-1] == 0:
        return Ragged.empty(sizes.size)
    return Ragged(values[np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], sizes)], offsets)


@dataclass(frozen=True, eq=False)
class Ranked:
    """The noise of n curves with what one level needs of it, whatever the capital."""

    known: Noise
    level: float
    ahead: bool
    offsets: Integers  # of the scores that count
    ranked: Floats
    whole: Floats
    local: Floats

    @functools.cached_property
    def packed(self) -> tuple[Any, ...]:
        """Give it as kernels take it."""
        known = self.known
        return (
            np.ascontiguousarray(known.levels), known.bins.offsets, known.bins.values, known.windows.offsets,
            known.windows.values, self.offsets, self.ranked, self.whole, self.local, self.level, int(self.ahead),
        )  # fmt: skip


def ranked(known: Noise, level: float, *, ahead: bool) -> Ranked:
    """Sort the scores of curves and take the quantiles of a level.

    Parameters
    ----------
    known : Noise
        Of n curves.
    level : float
        Of the interval.
    ahead : bool
        Whether for observations of later times.
    """
    from escala.kernels.noise.rows import WINDOW, WINDOWS

    scores = known.forward if ahead else known.scores
    n = len(scores)
    found = Ranked(
        known, level, ahead, scores.offsets, np.empty(scores.values.size), np.empty(n), np.zeros((n, WINDOWS))
    )
    if scores.values.size:
        _intervals().rank(
            scores.offsets, scores.values, level, int(ahead), found.ranked, found.whole, found.local,
            np.empty(WINDOW), 0, n,
        )  # fmt: skip
    return found


@functools.cache
def _intervals() -> Any:
    from escala.kernels.noise import intervals

    return intervals


def reach(
    curves: tuple[Any, ...], smallest: Floats, noise: Ranked, rows: Floats, within: Floats
) -> tuple[Floats, Floats]:
    """Give how far intervals reach to both sides of curves, and how sure a distance is; NaN where there are no scores.

    Parameters
    ----------
    curves
        Families, coefficients, origins and steps, as kernels take them.
    smallest : (n,) float64
        Smallest capital seen, contiguous as are the rows.
    noise : Ranked
        Of the curves.
    rows : (n, m) or (1, m) float64
        Capital.
    within : (n,) float64
        Distance that the confidence is of.
    """
    shape = (smallest.size, rows.shape[1])
    out, confidence = np.empty(shape), np.empty(shape)
    _intervals().reach(*curves, smallest, *noise.packed, within, rows, out, confidence, 0, smallest.size)
    return out, confidence
