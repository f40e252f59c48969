"""Efficiency records at the border: symbols, capital, efficiency, weights and times, checked before all else."""

from __future__ import annotations

import collections
import contextlib
import datetime
import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from escala.arrays import Floats, check_interval, no_symbol, to_floats
from escala.errors import InputError, RecordError
from escala.tables import Interval

#: What a record may hold.
CAPITAL: Final = Interval(1e-100, 1e100)
EFFICIENCY: Final = Interval(0.0, 1.0)
FINITE: Final = Interval(-np.inf, np.inf, low_open=True, high_open=True)
WEIGHT: Final = Interval(0.0, np.inf, high_open=True)
#: Share of the efficiencies that clipping may change.
MOST_CLIPPED: Final = 0.2
_SHOWN: Final = 3
_BLOCK: Final = 65536  # symbols that are turned into text together
_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND: Final = datetime.timedelta(microseconds=1)
#: Seconds since 1970 of the years 1 to 9999, what a datetime can say; milliseconds by mistake lie far outside.
SECONDS: Final = Interval(-62135596800.0, 253402300800.0)
_LAST: Final = 253402300800_000000 - 1  # as a float it would be the year 10000


def to_column(name: str, values: Any) -> Floats:
    """Convert a column of records; dates become seconds since 1970, labels of groups numbers in their order.

    Raises
    ------
    RecordError
        If it is not made of numbers, or of labels.
    """
    if name.startswith("group"):
        return labels(name, values)
    return _seconds(name, values) if name.startswith("observed_at") else to_floats(name, values, RecordError)


def labels(name: str, values: Any) -> Floats:
    """Number labels of groups, texts, numbers or dates, in their order.

    Raises
    ------
    RecordError
        If one is missing, or they have no order.
    """
    given = np.asarray(values)
    missing = np.array([one is None or one != one for one in given.flat], dtype=bool)  # noqa: PLR0124 - NaN alone
    if missing.any():
        place = tuple(int(k) for k in np.argwhere(missing.reshape(given.shape))[0])
        shown = ", ".join(map(str, place))
        raise RecordError(
            f"{name}[{shown}] is missing: every record needs a group", arguments=(name,), indexes=(place,)
        )
    try:
        _, codes = np.unique(given, return_inverse=True)
    except TypeError:
        kinds = sorted({type(one).__name__ for one in given.flat})
        raise RecordError(
            f"{name} must hold labels of one kind, not {' and '.join(kinds)}", arguments=(name,)
        ) from None
    return codes.reshape(given.shape).astype(np.float64)


def _seconds(name: str, times: Any) -> Floats:
    """Turn dates into seconds, leave numbers as they are; dates without a zone are UTC."""
    given = together(name, times)
    if given.dtype.kind == "O" and holds_dates(given):
        given = np.array([_timestamp(name, time) for time in given.flat]).reshape(given.shape)
    elif given.dtype.kind == "M":
        given = np.where(np.isnat(given), np.nan, given.astype("datetime64[us]").astype(np.int64) * 1e-6)
    return to_floats(name, given, RecordError)


def together(name: str, times: Any) -> npt.NDArray[Any]:
    """Put times into an array.

    Raises
    ------
    RecordError
        If they are ragged.
    """
    try:
        return np.asarray(times)
    except ValueError:  # of NumPy, for what is ragged
        message = f"{name} must be one date or number a record, but its parts have different lengths"
        raise RecordError(message, arguments=(name,)) from None


def holds_dates(times: npt.NDArray[Any]) -> bool:
    """Tell an array of dates from one of numbers."""
    kind = times.dtype.kind
    return kind == "M" or (kind == "O" and any(hasattr(time, "timestamp") for time in times.flat))


def _timestamp(name: str, time: Any) -> float:
    if time != time:  # noqa: PLR0124 - NaT is the one that differs from itself
        return math.nan
    return _dated(name, time).timestamp()


def _dated(name: str, time: Any) -> datetime.datetime:
    if not isinstance(time, datetime.datetime):
        raise RecordError(f"{name} must be dates with times or numbers, but holds {time!r}", arguments=(name,))
    return time if time.tzinfo else time.replace(tzinfo=datetime.UTC)


def to_microseconds(name: str, times: Any) -> npt.NDArray[np.int64]:
    """Convert times to whole microseconds since 1970: dates (UTC where they have no zone), or seconds as numbers.

    Raises
    ------
    RecordError
        If a time is none, or not in the years 1 to 9999.
    """
    seconds = _seconds(name, times)
    check_interval(name, seconds, SECONDS, RecordError)
    given = together(name, times)
    if given.dtype.kind == "M":  # exactly: a float has not enough digits for far dates
        exact = given.astype("datetime64[us]").astype(np.int64)
    elif given.dtype.kind == "O" and holds_dates(given):
        counted = [(_dated(name, time) - _EPOCH) // _MICROSECOND for time in given.flat]
        exact = np.array(counted, dtype=np.int64).reshape(given.shape)
    else:
        exact = np.rint(seconds * 1e6).astype(np.int64)
    return np.minimum(exact, _LAST)


def listed(symbols: Any) -> list[Any]:
    """Give symbols as they are: NumPy would make text of what is none.

    Raises
    ------
    RecordError
        If they are one text, or not in a row.
    """
    if isinstance(symbols, str):
        raise RecordError(f"symbols must be a sequence, not the one text {symbols!r}", arguments=("symbols",))
    if isinstance(symbols, list | tuple):
        return list(symbols)
    if isinstance(symbols, Mapping | Set):
        raise RecordError(f"symbols must be a sequence, not {type(symbols).__name__}", arguments=("symbols",))
    array = np.asarray(symbols)
    if array.ndim != 1:
        raise RecordError(f"symbols must be a sequence, not of shape {array.shape}", arguments=("symbols",))
    result: list[Any] = array.tolist()
    return result


def with_length(symbols: Any) -> Any:
    """Give symbols that know how many they are, without copying them if they do.

    Raises
    ------
    RecordError
        If they are no sequence.
    """
    in_a_row = hasattr(symbols, "__len__") and not isinstance(symbols, str | Mapping | Set)
    return symbols if in_a_row else listed(symbols)


def unhashable(symbols: list[Any], start: int = 0) -> InputError:
    """Name the first symbol that cannot even be looked up."""
    place = next(k for k, symbol in enumerate(symbols) if type(symbol).__hash__ is None)
    return no_symbol(start + place, symbols[place], RecordError)


def check_names(names: Iterable[Any], first_of: Callable[[Any], int]) -> None:
    """Refuse symbols that are no text, or an empty one; `first_of` finds the place of one.

    Raises
    ------
    RecordError
        Names the first.
    """
    given = names if isinstance(names, list) else list(names)
    with contextlib.suppress(TypeError):
        "".join(given)  # the fastest that finds what is no text
        if all(given):
            return
    for symbol in given:
        if not isinstance(symbol, str) or not symbol:
            raise no_symbol(first_of(symbol), symbol, RecordError)


def coded(symbols: Any) -> tuple[list[str], npt.NDArray[np.int32]]:
    """Give the different symbols in order of first appearance, and for each record which of them it has.

    Raises
    ------
    RecordError
        Names the first that is no text, or an empty one.
    """
    places: dict[Any, int] = collections.defaultdict(itertools.count().__next__)
    n = len(symbols)
    codes = np.empty(n, dtype=np.int32)
    for start in range(0, n, _BLOCK):
        block = listed(getattr(symbols, "iloc", symbols)[start : start + _BLOCK])
        try:
            codes[start : start + len(block)] = np.fromiter(map(places.__getitem__, block), np.int32, len(block))
        except TypeError:
            raise unhashable(block, start) from None
    check_names(places, lambda symbol: int(np.argmax(codes == places[symbol])))
    return list(places), codes


def check_lengths(symbols: Any, columns: Mapping[str, npt.NDArray[Any]]) -> None:
    """Refuse columns that have not one value a symbol.

    Raises
    ------
    RecordError
        Names the first.
    """
    n = len(symbols)
    for name, values in columns.items():
        if values.shape != (n,):
            message = f"{name} of shape {values.shape} does not go with {n:,} symbols"
            raise RecordError(message, arguments=("symbols", name))


def check_values(columns: Mapping[str, Floats], *, clip: bool = False, suffix: str = "") -> None:
    """Refuse bad records; with `clip` efficiencies may be any number, for :func:`clipped` to bring them back.

    Raises
    ------
    RecordError
        Names the argument, the first bad records and their values.
    """
    allowed = {
        "capital": CAPITAL,
        "efficiency": FINITE if clip else EFFICIENCY,
        "weights": WEIGHT,
        "weight": WEIGHT,
        "observed_at": FINITE,
        "group": FINITE,
    }
    for name, interval in allowed.items():
        if name in columns:
            check_interval(f"{name}{suffix}", columns[name], interval, RecordError)


def clipped(efficiency: Floats, *, normalised: bool = False) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Bring efficiencies into [0, 1], and tell which of them were outside.

    Raises
    ------
    RecordError
        If they are more than a fifth: then they are something else than efficiencies with a little noise.
    """
    outside = (efficiency < 0.0) | (efficiency > 1.0)
    many = int(np.count_nonzero(outside))
    if many > MOST_CLIPPED * outside.size:
        message = (
            f"clip would change {many:,} of {outside.size:,} {'normalised ' * normalised}efficiencies, which go from "
            f"{float(efficiency.min()):.6g} to {float(efficiency.max()):.6g}, and at most {MOST_CLIPPED:.0%} may be "
            "outside [0, 1]: "
        )
        if normalised:
            message += "they do not fall with capital, so nothing in these records limits it"
        else:
            message += "no shares of an ideal value; divide by the value at small size, as normalise=True does"
        raise RecordError(message, arguments=("efficiency",))
    return np.clip(efficiency, 0.0, 1.0), outside


def values_at_small_size(
    capital: Floats, efficiency: Floats, codes: npt.NDArray[np.integer[Any]], names: Sequence[str]
) -> Floats:
    """Give the mean efficiency at the smallest capital of each instrument: what others are divided by.

    Raises
    ------
    RecordError
        Names the first instrument where it is not positive.
    """
    smallest = np.full(len(names), np.inf)
    np.minimum.at(smallest, codes, capital)
    there = capital == smallest[codes]
    sums = np.bincount(codes[there], efficiency[there], minlength=len(names))
    values = sums / np.maximum(np.bincount(codes[there], minlength=len(names)), 1)
    bad = np.flatnonzero(~(values > 0.0))
    if bad.size:
        message = (
            "normalise divides by the efficiency at the smallest capital, which must be positive, but "
            f"{names[bad[0]]} has {values[bad[0]]:.6g} at {smallest[bad[0]]:.6g}"
        )
        raise RecordError(message, arguments=("efficiency",))
    return values


def said_of_scales(names: Sequence[str], values: Floats) -> str:
    """Say what efficiencies were divided by."""
    shown = [f"{value:.6g} of {name}" for name, value in zip(names[:_SHOWN], values, strict=False)]
    shown += [f"{len(names) - _SHOWN:,} more"] * (len(names) > _SHOWN)
    return f"efficiencies were divided by their value at the smallest capital: {', '.join(shown)}"
