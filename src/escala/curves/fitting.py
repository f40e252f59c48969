"""Curves from records: weighted least squares for any number of instruments in one call."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import itertools
import operator
import types
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from escala import keyed, parallel
from escala.arrays import Floats, aligned, check_flag, known_word, one_number
from escala.curves import noise as curve_noise
from escala.curves import robust
from escala.curves import summary as curve_summary
from escala.curves.curveset import NEUMANN, CurveSet
from escala.curves.families import family_code
from escala.curves.grouping import grouped
from escala.curves.records import (
    CAPITAL,
    EFFICIENCY,
    WEIGHT,
    check_names,
    check_values,
    clipped,
    holds_dates,
    listed,
    said_of_scales,
    to_column,
    together,
    unhashable,
    values_at_small_size,
)
from escala.errors import CurveError, FitError, RecordError
from escala.files import frames
from escala.made import made
from escala.ragged import Ragged
from escala.tables import FIT_STATS, PARAMS, Interval, names
from escala.text.numerals import counted
from escala.text.visible import in_line

_HALF_LIFE: Final = Interval(0.0, np.inf, low_open=True, high_open=True)
_STEP_POINTS: Final = 200_000  # points between two looks at Ctrl-C
_SHOWN: Final = 3
_FLOAT, _COUNT, _CODE = (np.dtype(kind) for kind in (np.float64, np.int64, np.int8))
_DTYPE: Final = operator.attrgetter("dtype")
_NO_WEIGHTS: Final = np.empty(0)
_NO_STEPS: Final = np.empty(0)
_FIRST: Final = np.zeros(1, dtype=np.int64)  # the order of one instrument; kernels only read it
_TEXT: Final = frozenset({str})
_NUMBER: Final = frozenset({float, int})
_FEW: Final = 16  # instruments of a small fit: one block
_BOUNDS: Final = np.array([CAPITAL.low, CAPITAL.high, EFFICIENCY.low, EFFICIENCY.high])  # as the survey takes them
_LEAST_KEPT: Final = 6  # bits of the records for which workspaces are made that a thread keeps
_STATS: Final = names(FIT_STATS)
#: Where statistics lie side by side that a set of curves keeps so, and the places of those that it keeps one by one.
_OBSERVED, _NEUMANN = (
    slice(_STATS.index(group[0]), _STATS.index(group[-1]) + 1) for group in (("smallest", "largest"), NEUMANN)
)
_ALONE: Final = {name: place for place, name in enumerate(_STATS) if name in CurveSet.__dataclass_fields__}
_EACH_ALONE: Final = operator.itemgetter(*_ALONE.values())
_COLUMNS: Final = {"weights": ("weight", "weights"), "observed_at": ("observed_at", "time"), "group": ("group",)}


def fit(
    symbols: Any,
    capital: Any = None,
    efficiency: Any = None,
    *,
    family: str | Sequence[str] | Mapping[str, str] = "auto",
    weights: Any = None,
    observed_at: Any = None,
    half_life: float | datetime.timedelta | np.timedelta64 | None = None,
    group: Any = None,
    noise: Literal["auto", "even", "local"] = "auto",
    loss: Literal["auto", "squares", "student"] = "auto",
    clip: bool = False,
    normalise: bool = False,
    on_error: Literal["mark", "raise"] = "mark",
    threads: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> CurveSet:
    """Fit an efficiency curve to the records of every instrument.

    Parameters
    ----------
    symbols, capital, efficiency
        The records, in one of five forms. (1) Three columns of N values: symbol, capital, efficiency of each record, in
        any order; curves come in order of first appearance. Symbols that are coded are taken as they are: Categorical,
        Arrow dictionaries, or ``(codes, names)`` with N places among the names. (2) n symbols, (n, m) or (m,) capitals
        and (n, m) efficiencies. (3) n symbols and lists of n arrays, each instrument of its own length, or one array of
        capitals for all. (4) n symbols, and mappings of symbols to arrays or data frames with symbols as columns. (5) A
        table alone (a mapping of columns, a frame of pandas or polars, an Arrow table) with columns `symbol`,
        `capital`, `efficiency` and, if there, `weight`, `group` and `observed_at` (or `time`; arguments given beside it
        take their place). Capital lies in [1e-100, 1e100], efficiency in [0, 1].
    family : str, sequence or mapping of str
        ``"linear"``, ``"quadratic"`` (``"polynomial"``), ``"exponential"``, ``"sqrt"``, ``"hill"``, ``"depth"``,
        ``"power"``, ``"ladder"``, or ``"auto"`` for the one of lowest AICc among linear, sqrt, power, depth and, from
        40 distinct capitals on, ladder; one for all, one an instrument, or symbol → family.
    weights : shaped like efficiency, optional
        Relative, at least 0. Coefficients are those of points repeated so often; intervals count
        n_eff = (Σw)²/Σw² points.
    observed_at, half_life : optional
        Times of the records and after how long one counts half: weights are multiplied by 2^(−age/half_life), age
        before the instrument's newest record. Both numbers of one unit, or datetimes (UTC where they have no zone) and
        a timedelta.
    group : shaped like efficiency, optional
        Numbers, texts or dates: records of an instrument that belong together, as those of one sweep or order, which
        are not independent. They are left out together, and standard errors are those of clusters.
    noise : {"auto", "even", "local"}
        ``"local"`` lets noise change along capital, estimated from what neighbouring records differ by (from 14
        distinct capitals on): points count by it, and intervals go by the scores of records that were left out.
        ``"even"`` takes residuals to be equally large everywhere; ``"auto"`` is local from 40 distinct capitals on.
    loss : {"auto", "squares", "student"}
        ``"auto"`` are least squares without absurd records, such as a fill of 0.01 among 0.95: those that stand alone,
        far off what the records before and behind them allow and the curve fitted without them, by more than noise
        with heavy tails explains (from 8 records on; of Hill, which rises and falls, only below both sides). They are
        set aside, and told: see `CurveSet.set_aside` and :meth:`CurveSet.aside`. Where there is none, nothing changes.
        With `observed_at` they stay as long as they are a tenth of the records since the first of them: the market may
        have changed, which the next records tell.
        ``"squares"`` sets nothing aside. ``"student"`` does, and weighs the squares of the others again three times by
        (ν + 1)/(ν + t²), ν = 4, t the residual in units of what neighbours are off by; each fit finds its global
        optimum. It takes four times as long.
    clip : bool
        Move efficiencies outside [0, 1] to its ends instead of refusing them; `CurveSet.clipped` counts them. More than
        a fifth are refused all the same: such numbers are no efficiencies.
    normalise : bool
        Divide the efficiencies of each instrument by their (mean) value at its smallest capital, for returns or Sharpe
        ratios by size, and clip what noise leaves above 1. A warning says by what they were divided.
    on_error : {"mark", "raise"}
        What to do about an instrument that gives no curve: mark it in `status`, or raise.
    threads : int, optional
        Threads to use; by default all processors. Results do not depend on it.
    progress : callable, optional
        Called in the caller's thread with the number of instruments done.

    Returns
    -------
    CurveSet
        n curves. Results do not depend on the order of records, nor on the currency (a power of four changes no bit).

    Raises
    ------
    RecordError
        Bad records: names the first ones and their values; nothing was fitted.
    CurveError
        An unknown family.
    FitError
        With ``on_error="raise"``, if an instrument has no curve.

    Notes
    -----
    Linear, quadratic and sqrt by orthogonal polynomials in x = (C − smallest)/(largest − smallest). The exponential by
    variable projection: for each decay rate the other coefficients are linear; all rates from 2⁻⁸ to 2¹² over the range
    of capital are scanned in steps of √2 and the minima refined by Newton's method, so the optimum is the global one
    and no starting value is needed. An optimum on the border of that range is no decay: ``DEGENERATE``.

    Hill, a·u^(s − 1)/(1 + u^s) with u = C/K, by variable projection over (ln K, s) too: from the best K of every s on a
    grid, downhill by the method of Levenberg and Marquardt; DEGENERATE where the optimum is not inside the grid of K.

    Ladder, utility of slope s_j between the knots κ_j and κ_{j+1}: non-negative least squares for what the slope falls
    by at each knot, with a first slope of at most 1; the knots are the inner ones of
    min(96, ⌈16·log₁₀(largest/smallest)⌉ + 1) geometric points from the smallest capital to the largest. The problem is
    convex, and its optimum certified by its gradient; p counts the slopes that differ.

    ``"auto"`` takes the lowest AICc = n·ln(SSE/n) + 2p + 2p(p + 1)/(n − p − 1), less 10 for a ladder, among families
    with status OK and at least p + 2 points, lines and roots held within [0, 1]; ties go to fewer coefficients.

    References
    ----------
    Golub, G. H. and Pereyra, V. (1973), SIAM J. Numer. Anal. 10, 413–432 (variable projection). Hurvich, C. M. and
    Tsai, C.-L. (1989), Biometrika 76, 297–307 (AICc). Lawson, C. L. and Hanson, R. J. (1974), Solving Least Squares
    Problems, chapter 23 (non-negative least squares).

    Examples
    --------
    >>> capital = [1e4, 5e4, 1e5, 2e5, 5e5]
    >>> curves = fit(["BTC"], [capital], [[0.95, 0.93, 0.905, 0.855, 0.705]])
    >>> curves
    <CurveSet of 1 curve: linear 1>
    >>> curves.efficiency(300_000.0).round(6)
    array([0.805])
    """
    if not known_word(on_error, {"mark", "raise"}):
        raise RecordError(f"on_error must be 'mark' or 'raise', not {on_error!r}", arguments=("on_error",))
    if capital is None and efficiency is None:
        symbols, capital, efficiency, weights, observed_at, group = _columns_of(symbols, weights, observed_at, group)
    elif capital is None or efficiency is None:
        raise RecordError("fit needs symbols, capital and efficiency, or a data frame or mapping alone")
    _check_units(observed_at, half_life)
    robust.check(loss)
    check_flag("clip", clip, RecordError)
    check_flag("normalise", normalise, RecordError)
    least = curve_noise.noise_from(noise)
    crew = None if threads is None else parallel.checked_threads(threads, RecordError)
    given = {
        "capital": capital,
        "efficiency": efficiency,
        "weights": weights,
        "observed_at": observed_at,
        "group": group,
    }
    records = _records(symbols, given, clip=clip, normalise=normalise)
    if half_life is not None:
        records.weights = _decayed(records, half_life)
    curves = _fit_what_counts(records, family, loss, least, crew, progress, forward=True)
    if on_error == "raise":
        _raise_without_curve(curves)
    return curves


def fit_seen(
    symbols: Any,
    capital: Any,
    efficiency: Any,
    seen_at: Any,
    *,
    family: Any,
    weights: Any,
    group: Any = None,
    noise: str = "auto",
    loss: str = "auto",
    threads: int | None = None,
) -> CurveSet:
    """Fit as :func:`fit` does; when records were seen (seconds) tells absurd ones from a changed market, no more.

    Raises
    ------
    RecordError
        As :func:`fit`.
    """
    given = {
        "capital": capital,
        "efficiency": efficiency,
        "weights": weights,
        "observed_at": seen_at,
        "group": group,
    }
    robust.check(loss)
    least = curve_noise.noise_from(noise)
    records = _records(symbols, given, clip=False, normalise=False)
    crew = None if threads is None else parallel.checked_threads(threads, RecordError)
    return _fit_what_counts(records, family, loss, least, crew, None, forward=False)


def _fit_what_counts(
    records: _Records,
    family: Any,
    loss: str,
    least: int,
    threads: int | None,
    progress: Callable[[int], object] | None,
    *,
    forward: bool,
) -> CurveSet:
    """Fit records but for absurd ones; `forward` asks for scores of later times too, where there are times."""
    choice = _choices(family, records.symbols)
    absurd = None if loss == "squares" else _absurd(records, choice, least, threads)
    if not forward:
        records.times = None
    aside = None if absurd is None else _listed(records, absurd)
    if absurd is not None:
        records = _taken(records, None, ~absurd)
    if loss == "student":
        records.weights = _robust_weights(records, choice, least, threads)
    curves = _fit(records, choice, least, threads, progress)
    return curves if aside is None else dataclasses.replace(curves, _aside=aside)


@dataclass
class _Records:
    """Records grouped by instrument: those of instrument i are ``offsets[i] <= k < offsets[i + 1]``."""

    symbols: npt.NDArray[np.object_]
    offsets: npt.NDArray[np.int64]
    capital: Floats
    efficiency: Floats
    weights: Floats  # empty: 1 for all
    times: Floats | None
    groups: Floats | None
    clipped: npt.NDArray[np.int64]
    returned: Floats | None = None  # the most that a record of each did, where it is known


def _columns_of(frame: Any, weights: Any, observed_at: Any, group: Any) -> tuple[Any, Any, Any, Any, Any, Any]:
    frame = frames.columns(frame, RecordError)
    names = list(frame)
    missing = [name for name in ("symbol", "capital", "efficiency") if name not in names]
    if missing:
        found = f"it has {', '.join(map(str, names))}" if names else "there are none"
        raise RecordError(f"records need columns symbol, capital and efficiency: {found}", arguments=tuple(missing))
    extra = {"weights": weights, "observed_at": observed_at, "group": group}
    for argument, columns in _COLUMNS.items():
        there = [name for name in columns if name in names]
        if extra[argument] is None and there:
            extra[argument] = frame[there[0]]
    for name in ("symbol", "capital", "efficiency"):
        if frame[name] is None:
            raise RecordError(f"column {name!r} must hold values, not None", arguments=(name,))
    return frame["symbol"], frame["capital"], frame["efficiency"], *extra.values()


def _records(symbols: Any, columns: dict[str, Any], *, clip: bool, normalise: bool) -> _Records:
    found = None if clip or normalise else _plain_records(symbols, **columns)
    if found is not None:
        return found
    given = _in_order(symbols, {name: column for name, column in columns.items() if column is not None})
    is_ragged = _is_ragged(given["capital"]) or _is_ragged(given["efficiency"])
    if is_ragged:
        names = _unique_names(symbols)
        flat, offsets = _concatenated(given, names.size)
        order = None
    else:
        flat = {name: to_column(name, values) for name, values in given.items()}
        if flat["efficiency"].ndim == 2:
            names = _unique_names(symbols)
            flat, offsets = _rectangular(flat, names.size)
            order = None
        else:
            groups = grouped(symbols, flat)
            names, offsets, order = groups.names, groups.offsets, groups.order
    try:
        check_values(flat, clip=clip or normalise)
    except RecordError:
        if not is_ragged:
            raise
        _name_the_part(flat, offsets, clip=clip or normalise)
        raise
    if order is not None:
        flat = {name: column[order] for name, column in flat.items()}
    if normalise:
        _normalise(flat, offsets, names)
    counts = np.zeros(names.size, dtype=np.int64)
    if clip or normalise:
        flat["efficiency"], outside = clipped(flat["efficiency"], normalised=normalise)
        running = np.concatenate([[0], np.cumsum(outside, dtype=np.int64)])
        counts = running[offsets[1:]] - running[offsets[:-1]]
    return _Records(
        symbols=names,
        offsets=offsets,
        capital=flat["capital"],
        efficiency=flat["efficiency"],
        weights=flat.get("weights", np.empty(0)),
        times=flat.get("observed_at"),
        groups=flat.get("group"),
        clipped=counts,
    )


def _plain_records(
    symbols: Any, capital: Any, efficiency: Any, weights: Any, observed_at: Any, group: Any
) -> _Records | None:
    """Take few instruments with an array, or a list of numbers, each; None of all else and of whatever is wrong.

    What it is that is wrong, or how it is to be read, the general way finds out: there a small fit takes five times as
    long.
    """
    n = len(symbols) if type(symbols) is list else 0
    if not 0 < n <= _FEW or observed_at is not None or group is not None:
        return None
    if not _TEXT.issuperset(map(type, symbols)) or not all(symbols) or len(set(symbols)) < n:
        return None
    flat, sizes = [], None
    for column in (capital, efficiency) if weights is None else (capital, efficiency, weights):
        parts = _plain_column(column, n)
        lengths = list(map(len, parts))
        if not parts or (sizes is not None and lengths != sizes):
            return None
        sizes = lengths
        flat.append(parts[0] if n == 1 else np.concatenate(parts))
    if weights is not None and not WEIGHT.holds_all(flat[2]):
        return None
    names = np.array(symbols, dtype=object)
    offsets = np.array([0, *itertools.accumulate(sizes or [])] if n > 1 else [0, flat[0].size])
    given = (offsets, flat[0], flat[1], _NO_WEIGHTS if weights is None else flat[2])
    returned, outside = np.empty(n), np.empty(n, dtype=np.int64)
    _kernels().survey(*given, _BOUNDS, returned, outside, 0, n)
    return None if max(outside.tolist()) else _Records(names, *given, None, None, _none_clipped(n), returned)


def _plain_column(column: Any, n: int) -> list[Floats]:
    """Give n arrays as kernels take them, of arrays, lists of numbers or rows; none if it is anything else."""
    if type(column) is np.ndarray and column.ndim == 2:
        column = list(column)
    if type(column) is not list or len(column) != n:
        return []
    parts = []
    for given in column:
        part = np.array(given) if type(given) is list and _NUMBER.issuperset(map(type, given)) else given
        if type(part) is not np.ndarray or part.dtype is not _FLOAT or part.ndim != 1:
            return []
        flags = part.flags
        parts.append(part if flags.c_contiguous and flags.aligned else part.copy())
    return parts


@functools.lru_cache(maxsize=_FEW)
def _none_clipped(n: int) -> npt.NDArray[np.int64]:
    return np.zeros(n, dtype=np.int64)


def _in_order(symbols: Any, columns: dict[str, Any]) -> dict[str, Any]:
    """Match columns that come by symbol, and refuse those whose indexes contradict each other."""
    if all(type(column) in keyed.PLAIN for column in columns.values()):
        for parts in keyed.parts_of(columns):
            keyed.check_aligned(parts, RecordError)
        return columns
    keyed.check_aligned({"symbols": symbols, **columns}, RecordError)
    by_symbol = {
        name: column for name, column in columns.items() if isinstance(column, Mapping) or keyed.is_frame(column)
    }
    if not by_symbol:
        return columns
    names = _unique_names(symbols)
    return columns | {
        name: keyed.by_symbol(name, column, names.tolist(), RecordError) for name, column in by_symbol.items()
    }


def _normalise(flat: dict[str, Floats], offsets: npt.NDArray[np.int64], names: npt.NDArray[np.object_]) -> None:
    """Divide efficiencies by their value at small size, and say so."""
    codes = np.repeat(np.arange(names.size), np.diff(offsets))
    values = values_at_small_size(flat["capital"], flat["efficiency"], codes, names.tolist())
    flat["efficiency"] = flat["efficiency"] / values[codes]
    warnings.warn(said_of_scales(names.tolist(), values), stacklevel=4)


def _is_ragged(column: Any) -> bool:
    """Tell a list of arrays from a column of numbers."""
    return isinstance(column, list | tuple) and len(column) > 0 and np.ndim(column[0]) == 1


def _unique_names(symbols: Any) -> npt.NDArray[np.object_]:
    """Names of instruments that come one by one, each with its own row."""
    given = listed(symbols)
    try:
        different = len(set(given))
    except TypeError:
        raise unhashable(given) from None
    if different != len(given):
        raise RecordError("symbols must differ when every instrument comes with its own row", arguments=("symbols",))
    check_names(given, given.index)
    names = np.empty(len(given), dtype=object)
    names[:] = given
    return names


def _rectangular(flat: Mapping[str, Floats], n: int) -> tuple[dict[str, Floats], npt.NDArray[np.int64]]:
    shape = flat["efficiency"].shape
    if shape[0] != n:
        message = f"efficiency of shape {shape} does not go with {n:,} symbols"
        raise RecordError(message, arguments=("symbols", "efficiency"))
    result = {}
    for name, column in flat.items():
        if column.shape not in (shape, shape[1:]):
            message = f"{name} of shape {column.shape} does not go with efficiency of shape {shape}"
            raise RecordError(message, arguments=(name, "efficiency"))
        result[name] = np.ascontiguousarray(np.broadcast_to(column, shape)).reshape(-1)
    return result, np.arange(n + 1, dtype=np.int64) * shape[1]


def _concatenated(given: Mapping[str, Any], n: int) -> tuple[dict[str, Floats], npt.NDArray[np.int64]]:
    flat: dict[str, Floats] = {}
    lengths = np.zeros(n, dtype=np.int64)
    for name, values in given.items():
        column = values if np.ndim(values[0] if len(values) else []) else [values] * n  # numbers serve every instrument
        if len(column) != n:
            message = f"{name} has {len(column):,} arrays for {n:,} symbols"
            raise RecordError(message, arguments=("symbols", name))
        joined, sizes = _joined(column) or _joined_by_part(name, column)
        if flat and not np.array_equal(sizes, lengths):
            i = int(np.argmax(sizes != lengths))
            message = f"{name}[{i}] has {sizes[i]:,} values, capital[{i}] has {lengths[i]:,}"
            raise RecordError(message, arguments=(name, "capital"), indexes=((i,),))
        lengths = sizes
        flat[name] = joined
    offsets = np.zeros(n + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return flat, offsets


def _joined(column: Sequence[Any]) -> tuple[Floats, npt.NDArray[np.int64]] | None:
    """Join arrays of float64 as bytes, three times as fast as NumPy would; None of anything else."""
    if set(map(type, column)) != {np.ndarray} or list(map(_DTYPE, column)).count(_FLOAT) < len(column):
        return None
    try:
        content = b"".join(column)
        sizes = np.fromiter(map(len, column), np.int64, len(column))
    except (TypeError, ValueError):  # no memory in a row, or no axis
        return None
    return (np.frombuffer(content), sizes) if len(content) == _FLOAT.itemsize * sizes.sum() else None


def _joined_by_part(name: str, column: Sequence[Any]) -> tuple[Floats, npt.NDArray[np.int64]]:
    parts = [to_column(f"{name}[{i}]", part) for i, part in enumerate(column)]
    for i, part in enumerate(parts):
        if part.ndim != 1:
            raise RecordError(f"{name}[{i}] of shape {part.shape} must be one-dimensional", arguments=(name,))
    return np.concatenate([np.empty(0), *parts]), np.array([part.size for part in parts], dtype=np.int64)


def _name_the_part(flat: Mapping[str, Floats], offsets: npt.NDArray[np.int64], *, clip: bool) -> None:
    """Find the first instrument with a bad record and raise the error in terms of its own array."""
    for i in range(offsets.size - 1):
        part = {name: column[offsets[i] : offsets[i + 1]] for name, column in flat.items()}
        check_values(part, clip=clip, suffix=f"[{i}]")


def _decayed(records: _Records, half_life: float | datetime.timedelta | np.timedelta64) -> Floats:
    from escala.kernels.fitting import fit as kernels

    if isinstance(half_life, datetime.timedelta):
        half_life = half_life.total_seconds()
    elif isinstance(half_life, np.timedelta64):
        half_life = _seconds_of(half_life)
    seconds = one_number("half_life", half_life, _HALF_LIFE, RecordError)
    assert records.times is not None
    out = np.empty(records.capital.size)
    kernels.decay(records.offsets, records.times, records.weights, np.array([seconds]), out, 0, records.symbols.size)
    return out


def _seconds_of(half_life: np.timedelta64) -> float:
    try:
        return float(half_life / np.timedelta64(1, "s"))
    except TypeError:
        message = f"half_life must have a fixed length, not {half_life!r}"
        raise RecordError(message, arguments=("half_life",)) from None


def _check_units(observed_at: Any, half_life: Any) -> None:
    """Refuse a number for dates, whose unit nobody said, and a timedelta for numbers."""
    if half_life is None:
        return
    both = ("half_life", "observed_at")
    if isinstance(observed_at, Mapping):
        observed_at = list(observed_at.values())
    if observed_at is None:
        raise RecordError("half_life needs observed_at", arguments=both)
    parts = [together("observed_at", part) for part in (observed_at if _is_ragged(observed_at) else [observed_at])]
    dates = any(map(holds_dates, parts))
    length = isinstance(half_life, datetime.timedelta | np.timedelta64)
    if dates and not length:
        raise RecordError(f"observed_at holds dates: half_life must be a timedelta, not {half_life!r}", arguments=both)
    if length and not dates and any(part.size for part in parts):
        raise RecordError(f"observed_at holds numbers: half_life must be one too, not {half_life!r}", arguments=both)


def _choices(family: str | Sequence[str] | Mapping[str, str], symbols: npt.NDArray[np.object_]) -> npt.NDArray[np.int8]:
    if isinstance(family, str):
        make = _same_choice if symbols.size > _FEW else _same_choice_of_few
        return make(family, symbols.size)
    if not isinstance(family, Iterable):
        family_code(family, wish=True)
    names = list(keyed.by_symbol("family", family, symbols, CurveError))
    n = symbols.size
    if len(names) != n:
        raise CurveError(f"family has {len(names):,} entries for {n:,} instruments", arguments=("family",))
    return np.array([family_code(name, wish=True) for name in names], dtype=np.int8)


def _same_choice(family: str, n: int) -> npt.NDArray[np.int8]:
    choice = np.full(n, family_code(family, wish=True), dtype=np.int8)
    choice.setflags(write=False)
    return choice


_same_choice_of_few: Final = functools.lru_cache(maxsize=64)(_same_choice)


def _fit(
    records: _Records,
    choice: npt.NDArray[np.int8],
    least: int,
    threads: int | None,
    progress: Callable[[int], object] | None,
    *,
    scored: bool = True,
) -> CurveSet:
    kernels = _kernels()
    n = records.symbols.size
    sizes = _sizes(records.offsets)
    order, room = _order(sizes), _room_for_steps(sizes, choice)
    found = (
        np.empty(n, _CODE),
        np.empty(n, _CODE),
        np.empty(n, _COUNT),
        np.empty((n, PARAMS)),
        np.empty(n),
        np.empty((n, kernels.ROOT)),
        np.empty((n, PARAMS * PARAMS)),
        np.empty((n, len(FIT_STATS))),
    )
    n_steps, steps = np.zeros(n, _COUNT), np.empty(room[-1]) if room.item(-1) else _NO_STEPS
    part_of = (order, records.offsets, choice, records.capital, records.efficiency, records.weights, least, room)
    _run((*part_of, *found, n_steps, steps), sizes, order, threads, progress)
    family, status, n_points, params, origin, root, covariance, stats = found
    known = curve_noise.Noise.unknown(n)
    if scored and (records.groups is not None or records.capital.size >= least):
        given = (order, records.offsets, records.capital, records.efficiency, records.weights)
        fitted = (family, status, params, origin, root, covariance, stats)
        known = curve_noise.score(given, *_together(records), least, fitted, threads)
    returned = _most_returned(records) if records.returned is None else records.returned
    for array in (*found, returned, records.symbols, records.clipped):
        array.setflags(False)  # type: ignore[call-arg] # half the time; and so are the views below
    columns = stats.T
    return made(
        CurveSet,
        {
            "symbols": records.symbols,
            "family": family,
            "status": status,
            "params": params,
            "origin": origin,
            "observed": stats[:, _OBSERVED],
            "n_points": n_points,
            "covariance": covariance.reshape(n, PARAMS, PARAMS),
            **dict(zip(_ALONE, _EACH_ALONE(columns), strict=True)),
            "clipped": records.clipped,
            "misfit": known.misfit,
            "_root": root,
            "_neumann": stats[:, _NEUMANN],
            "_steps": _kept_steps(steps, room, n_steps),
            "_noise": known.levels,
            "_scores": known.scores,
            "_bins": known.bins,
            "_windows": known.windows,
            "_forward": known.forward,
            "_aside": Ragged.empty(n),
            "_returned": returned,
        },
    )


def _sizes(offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Count the records of each instrument."""
    return offsets[1:] - offsets[:-1] if offsets.size > 2 else offsets[1:]  # those of the first begin at 0


def _order(sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Give the order of instruments in which those of similar size share a block.

    The largest go first, so that no thread is left with one at the end.
    """
    if sizes.size == 1:
        return _FIRST
    return np.argsort(-sizes, kind="stable") if sizes.size and sizes.min() != sizes.max() else np.arange(sizes.size)


def _run(
    arrays: tuple[Any, ...],
    sizes: npt.NDArray[np.int64],
    order: npt.NDArray[np.int64],
    threads: int | None,
    progress: Callable[[int], object] | None,
) -> None:
    """Fit all instruments; those of one block in the caller's thread, in workspaces that it keeps."""
    kernels = _kernels()
    n = sizes.size
    if 0 < n <= _FEW:
        parallel.check_progress(progress)
        kernels.fit(*arrays, *_kept_work(1 << max(_LEAST_KEPT, max(sizes.tolist()).bit_length())), 0, n)
        if progress is not None:
            progress(n)
        return
    most = int(sizes.max(initial=1))

    def make_part() -> parallel.Part:
        work = _work(most)

        def part(start: int, stop: int) -> Iterator[None]:
            at = start
            while at < stop:
                step = max(kernels.LANES, _STEP_POINTS // max(1, int(sizes[order[at]])))
                end = min(stop, at + step // kernels.LANES * kernels.LANES)
                kernels.fit(*arrays, *work, at, end)
                at = end
                yield

        return part

    crew = parallel.checked_threads(threads, RecordError)
    chunk = parallel.chunk_size(n, crew, largest=4096, multiple=kernels.LANES)
    parallel.run(make_part, n, chunk=chunk, threads=crew, progress=progress)


@functools.cache
def _kernels() -> Any:
    """Load what a fit takes of the kernels."""
    from escala.kernels.families.ladder import MOST_STEPS
    from escala.kernels.fitting.fit import fit
    from escala.kernels.fitting.rows import LANES, work_size
    from escala.kernels.fitting.survey import survey
    from escala.kernels.layout import LEAST_FOR_AUTO, ROOT, families, ladder_step

    return types.SimpleNamespace(
        fit=fit, survey=survey, LANES=LANES, ROOT=ROOT, work_size=work_size, AUTO=families.AUTO, LADDER=families.LADDER,
        LEAST_FOR_LADDER=LEAST_FOR_AUTO[families.LADDER], MOST_STEPS=MOST_STEPS, STEP=ladder_step.END,
    )  # fmt: skip


def _work(most: int) -> tuple[Any, ...]:
    """Make the workspaces for instruments of at most so many records."""
    return aligned(_kernels().work_size(most)), np.empty(6 * most)


_kept_work: Final = parallel.kept(_work)


def _most_returned(records: _Records) -> Floats:
    """Give the most that a record of each instrument returned, capital × efficiency; NaN where there are none."""
    n = records.symbols.size
    returned, outside = np.empty(n), np.empty(n, dtype=np.int64)
    given = (records.offsets, records.capital, records.efficiency, records.weights)
    _kernels().survey(*given, _BOUNDS, returned, outside, 0, n)
    return returned


def _room_for_steps(sizes: npt.NDArray[np.int64], choice: npt.NDArray[np.int8]) -> npt.NDArray[np.int64]:
    """Give the places of each instrument's steps: none where no ladder can come out."""
    kernels = _kernels()
    codes = choice.tobytes()  # found there at a glance
    if kernels.LADDER in codes or (kernels.AUTO in codes and sizes.max(initial=0) >= kernels.LEAST_FOR_LADDER):
        room = np.zeros(sizes.size + 1, dtype=np.int64)
        possible = (choice == kernels.LADDER) | ((choice == kernels.AUTO) & (sizes >= kernels.LEAST_FOR_LADDER))
        most = kernels.STEP * np.minimum(sizes + 1, kernels.MOST_STEPS)
        np.cumsum(np.where(possible, most, 0), out=room[1:])
        return room
    return _no_room_for_few(sizes.size) if sizes.size <= _FEW else _no_room(sizes.size)


def _no_room(n: int) -> npt.NDArray[np.int64]:
    """Give places of steps where there are none."""
    return np.zeros(n + 1, dtype=np.int64)


_no_room_for_few: Final = functools.lru_cache(maxsize=_FEW + 1)(_no_room)  # kernels only read them


def _kept_steps(steps: Floats, room: npt.NDArray[np.int64], n_steps: npt.NDArray[np.int64]) -> Ragged:
    """Move the steps of ladders together."""
    if steps.size == 0 or not n_steps.any():
        return Ragged.empty(n_steps.size)
    size = _kernels().STEP
    return Ragged.of([steps[at : at + size * count] for at, count in zip(room, n_steps, strict=False)])


def _absurd(
    records: _Records, choice: npt.NDArray[np.int8], least: int, threads: int | None
) -> npt.NDArray[np.bool_] | None:  # fmt: skip
    """Mark the records that are set aside; None where there are none."""
    suspect = robust.suspects(records.offsets, records.capital, records.efficiency, records.weights, threads)
    if suspect is None:
        return None
    part, family, places = records, choice, np.arange(records.capital.size)
    found = np.zeros(places.size, dtype=bool)
    for _ in range(robust.LOOKS):
        fired = _counts(suspect, part.offsets) > 0
        inside = np.repeat(fired, np.diff(part.offsets))
        part, family, places, suspect = _taken(part, fired, inside), family[fired], places[inside], suspect[inside]
        without = _fit(_taken(part, None, ~suspect), family, least, threads, None, scored=False)
        absurd = _confirmed(part, family, suspect, without)
        found[places[absurd]] = True
        fired = _counts(absurd, part.offsets) > 0  # others would be asked the same again
        kept = np.repeat(fired, np.diff(part.offsets)) & ~absurd
        part, family, places = _taken(part, fired, kept), family[fired], places[kept]
        suspect = robust.suspects(part.offsets, part.capital, part.efficiency, part.weights, threads)
        if suspect is None:
            break
    sizes = np.diff(records.offsets)
    few = _counts(found, records.offsets) <= np.maximum(robust.ALWAYS, sizes // robust.ONE_IN)
    found &= np.repeat(few, sizes)
    if records.times is not None:
        for start, stop in itertools.pairwise(records.offsets.tolist()):
            if found[start:stop].any():
                found[start:stop] &= ~robust.changed(records.times[start:stop], found[start:stop])
    return found if found.any() else None


def _confirmed(
    records: _Records, family: npt.NDArray[np.int8], suspect: npt.NDArray[np.bool_], without: CurveSet
) -> npt.NDArray[np.bool_]:
    """Mark the suspects that the curves fitted without them are far off.

    Hill, whose efficiency rises at first, is asked for by name: there a record must lie below both of its sides.
    """
    from escala.kernels.layout import families

    found = np.zeros(suspect.size, dtype=bool)
    for i, (start, stop) in enumerate(itertools.pairwise(records.offsets.tolist())):
        there = np.arange(start, stop)
        if records.weights.size:
            there = there[records.weights[start:stop] > 0.0]
        capital, efficiency = records.capital[there], records.efficiency[there]
        curve = without[i].efficiency(capital.reshape(1, -1), threads=1)[0]
        asked = suspect[there]
        if family[i] == families.HILL:
            asked = robust.below_both_sides(capital, efficiency, asked)
        found[there] = robust.confirmed(capital, efficiency, asked, curve)
    return found


def _counts(marks: npt.NDArray[np.bool_], offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Count marked records of each instrument."""
    running = np.concatenate([[0], np.cumsum(marks, dtype=np.int64)])
    counts: npt.NDArray[np.int64] = running[offsets[1:]] - running[offsets[:-1]]
    return counts


def _taken(records: _Records, chosen: npt.NDArray[np.bool_] | None, kept: npt.NDArray[np.bool_]) -> _Records:
    """Take some instruments, all where none are chosen, and some of the records, which are all of chosen ones."""
    sizes = _counts(kept, records.offsets)
    instruments = slice(None) if chosen is None else chosen
    return _Records(
        symbols=records.symbols[instruments],
        offsets=np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes[instruments])]),
        capital=records.capital[kept],
        efficiency=records.efficiency[kept],
        weights=records.weights[kept] if records.weights.size else records.weights,
        times=None if records.times is None else records.times[kept],
        groups=None if records.groups is None else records.groups[kept],
        clipped=records.clipped[instruments],
    )


def _listed(records: _Records, marks: npt.NDArray[np.bool_]) -> Ragged:
    """List capital and efficiency of marked records by instrument, in order of capital."""
    instrument = np.repeat(np.arange(records.symbols.size), np.diff(records.offsets))[marks]
    capital, efficiency = records.capital[marks], records.efficiency[marks]
    order = np.lexsort((efficiency, capital, instrument))
    pairs = np.stack([capital[order], efficiency[order]], axis=-1).reshape(-1)
    return Ragged.sized(pairs, 2 * _counts(marks, records.offsets))


def _robust_weights(records: _Records, choice: npt.NDArray[np.int8], least: int, threads: int | None) -> Floats:
    """Give weights by which squares count as Student's loss; those given are multiplied."""
    base = records.weights if records.weights.size else np.ones(records.capital.size)
    given = dataclasses.replace(records)
    for _ in range(robust.ROUNDS):
        curves = _fit(given, choice, least, threads, None, scored=False)
        residual = np.empty(base.size)
        for i, (start, stop) in enumerate(itertools.pairwise(records.offsets.tolist())):
            capital = records.capital[start:stop].reshape(1, -1)
            residual[start:stop] = records.efficiency[start:stop] - curves[i].efficiency(capital, threads=1)[0]
        given.weights = base * robust.factors(records.offsets, records.capital, records.efficiency, base, residual)
    return given.weights


def _together(records: _Records) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Give numbers of groups and of blocks in time within each instrument; empty where there are none."""
    none = np.empty(0, dtype=np.int64)
    group = none if records.groups is None else curve_noise.ranks(records.offsets, records.groups)
    return group, curve_noise.blocks(records.offsets, group, records.times)


def _raise_without_curve(curves: CurveSet) -> None:
    without = np.flatnonzero(~curves.has_curve)
    if without.size == 0:
        return
    shown = "; ".join(
        f"{in_line(curves.symbols[i])}: {curve_summary.REASONS[curves.status_names[i]]} "
        f"({counted(int(curves.n_points[i]), 'point')})"
        for i in without[:_SHOWN]
    )
    more = f" and {without.size - _SHOWN:,} more" if without.size > _SHOWN else ""
    raise FitError(f"no curve for {shown}{more}", symbols=tuple(curves.symbols[without]))
