"""Columns of times -> seconds since 1970: what numbers count is told by their magnitude, or said."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from escala.arrays import Floats, known_word
from escala.curves.records import SECONDS
from escala.errors import RecordError
from escala.files.times import Times
from escala.tables import Interval

#: Raises what is wrong with marked times, if there are any.
Refuse: TypeAlias = Callable[[npt.NDArray[np.bool_], str], None]

#: What numbers may count, as how many make a second.
_UNITS: Final = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
_KNOWN: Final = ("auto", *_UNITS, "excel")
_DAY: Final = 86_400.0
_EXCEL_ZERO: Final = 25_569.0  # 1970 in days since 1899-12-30
_USUAL: Final = Interval(631_152_000.0, 4_102_444_800.0)  # the years from 1990 to 2100
_EXCEL_DAYS: Final = Interval(32_874.0, 73_051.0)  # the same years
_LONGEST: Final = 20 * 365.25 * _DAY
#: Dates such as 20240102, which as seconds all lie in the summer of 1970.
_COMPACT_DATES: Final = Interval(19700101.0, 21001231.0, integer=True)

_TIME: Final = "must be unix seconds of the years 1 to 9999 (or as time_unit says) or an ISO date"
_COMPACT: Final = "must not be dates without dashes: 2024-01-02"
_EXCEL: Final = "must not be days as Excel counts them (time_unit='excel' reads those)"
_MAGNITUDES: Final = "must share one unit, here some count {} and some {}"
_EARLY: Final = "must not lie before 1990 (time_unit says what numbers count, earliest='1970-01-01' allows early times)"
_DECADES: Final = "must not span more than 20 years, which wrong units make (earliest='1970-01-01' allows it)"


def check_unit(time_unit: str) -> None:
    """Refuse a unit that there is not.

    Raises
    ------
    RecordError
        Names it.
    """
    if not known_word(time_unit, _KNOWN):
        message = f"time_unit must be one of {', '.join(_KNOWN)}, not {time_unit!r}"
        raise RecordError(message, arguments=("time_unit",))


def seconds(
    values: npt.NDArray[Any], dated: bool, ahead: float, time_unit: str, earliest: float | None, refuse: Refuse
) -> tuple[Floats, str, bool]:
    """Turn a column into seconds since 1970, and say what its numbers count.

    Parameters
    ----------
    values : array
        Dates of NumPy, numbers, or objects: text, dates, numbers.
    dated : bool
        Whether numbers are seconds of dates already.
    ahead : float
        How many seconds the clock of times that name no zone is ahead of UTC.
    time_unit : str
        What numbers count; "auto" goes by their magnitude.
    earliest : float or None
        Before which no time may lie; None for 1990.
    refuse : callable
        Raises what is wrong.

    Returns
    -------
    The seconds, what was counted, and whether there are times that name no zone, of those that were not read before.
    """
    zoneless = False
    if not dated:
        values, dated, zoneless = _raw(values, ahead, refuse)
    raw: Floats = values
    refuse(~np.isfinite(raw), _TIME)
    result, unit = (raw, "s") if dated else _counted(raw, time_unit, earliest, refuse)
    if unit == "excel":
        result, zoneless = result - ahead, True
    refuse(~SECONDS.contains(result), _TIME)
    if earliest is None:
        refuse(result < _USUAL.low, _EARLY)
        if result.size and np.ptp(result) > _LONGEST:
            ends = np.zeros(result.size, dtype=bool)
            ends[[result.argmin(), result.argmax()]] = True
            refuse(ends, _DECADES)
    else:
        day = datetime.datetime.fromtimestamp(0, datetime.UTC) + datetime.timedelta(seconds=earliest)
        refuse(result < earliest, f"must not lie before {day:%Y-%m-%d}, as earliest says")
    return result, unit, zoneless


def _counted(raw: Floats, time_unit: str, earliest: float | None, refuse: Refuse) -> tuple[Floats, str]:
    if time_unit == "excel":
        return (raw - _EXCEL_ZERO) * _DAY, time_unit
    if time_unit != "auto":
        if time_unit == "s":
            refuse(_all(_COMPACT_DATES, raw), _COMPACT)
        return raw / _UNITS[time_unit], time_unit
    lows = dict.fromkeys(_UNITS, _USUAL.low) | ({} if earliest is None else {"s": min(earliest, _USUAL.low)})
    fits = {unit: (raw >= lows[unit] * count) & (raw <= _USUAL.high * count) for unit, count in _UNITS.items()}
    for unit, marked in fits.items():
        if marked.all():
            return raw / _UNITS[unit], unit
    refuse(_all(_COMPACT_DATES, raw), _COMPACT)
    refuse(_all(_EXCEL_DAYS, raw), _EXCEL)
    there = sorted((unit for unit in fits if fits[unit].any()), key=lambda unit: -int(fits[unit].sum()))
    if len(there) > 1:
        refuse(~fits[there[0]], _MAGNITUDES.format(*there))
    return raw, "s"


def _all(interval: Interval, raw: Floats) -> npt.NDArray[np.bool_]:
    """Mark all if all are within."""
    return np.full(raw.size, raw.size > 0 and bool(interval.contains(raw).all()))


def _raw(values: npt.NDArray[Any], ahead: float, refuse: Refuse) -> tuple[Floats, bool, bool]:
    """Give times as numbers, NaN for what is none, whether they were dates, and whether some name no zone."""
    if values.dtype.kind == "M":
        found = values.astype("datetime64[us]").astype(np.int64) / 1e6 - ahead
        return np.where(np.isnat(values), np.nan, found), True, True
    if values.dtype.kind in "fiu":
        return values.astype(np.float64), False, False
    read = Times(ahead=ahead)
    result = np.array([_moment(value, read) for value in values.tolist()], dtype=np.float64)
    refuse(np.isnan(result), _TIME)
    if read.mixed:
        places = np.zeros(result.size, dtype=bool)
        places[list(read.first.values())] = True
        refuse(places, "must be numbers or dates, not some of both")
    return result, read.dated, read.zoneless


def _moment(value: Any, read: Times) -> float:
    """Give one time as a number, NaN if it is none."""
    if isinstance(value, np.datetime64):
        value = value.item()
    if isinstance(value, datetime.date):
        value = value.isoformat()
    try:
        return read(value if isinstance(value, str) else repr(float(value)))
    except (TypeError, ValueError, OverflowError):
        read.count += 1
        return float("nan")
