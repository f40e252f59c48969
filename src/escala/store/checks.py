"""What goes into a store, checked before anything is written."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from escala import keyed
from escala.arrays import Floats
from escala.curves.records import (
    check_lengths,
    check_names,
    check_values,
    coded,
    listed,
    to_column,
    to_microseconds,
    with_length,
)
from escala.errors import RecordError
from escala.text.visible import hidden

#: Characters of a symbol or source: more do not fit into an index of PostgreSQL, at four bytes each.
_LONGEST: Final = 500


@dataclass(frozen=True, eq=False)
class Batch:
    """Records as columns, checked.

    Parameters
    ----------
    names, codes
        The different symbols, and which of them each record has.
    capital, efficiency, weight, observed_at
        One value a record.
    sources, metrics
        One for all, or one a record.
    import_id
        The import that they belong to.
    fingerprint
        What tells the row of a file that a record was made of, whatever the record became.
    """

    names: list[str]
    codes: npt.NDArray[np.int32]
    capital: Floats
    efficiency: Floats
    weight: Floats
    observed_at: npt.NDArray[np.int64]
    sources: str | list[str]
    metrics: list[str | None] | None
    import_id: int | None = None
    fingerprint: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return int(self.codes.size)

    def columns(self, start: int, stop: int) -> Iterator[Iterable[Any]]:
        """Give the columns of some records as Python values."""
        part = slice(start, stop)
        codes = self.codes[part].tolist()
        yield [self.names[code] for code in codes]
        for column in (self.capital, self.efficiency, self.weight, self.observed_at):
            yield column[part].tolist()
        yield [self.sources] * len(codes) if isinstance(self.sources, str) else self.sources[part]
        yield [None] * len(codes) if self.metrics is None else self.metrics[part]
        yield [self.import_id] * len(codes)
        yield [None] * len(codes) if self.fingerprint is None else self.fingerprint[part].tolist()

    def with_fingerprints(self, fingerprints: Any) -> Batch:
        """Give the records with what tells their rows.

        Raises
        ------
        RecordError
            If these are not one integer a record.
        """
        given = np.asarray(fingerprints)
        if given.shape != (len(self),) or given.dtype.kind != "i":
            message = (
                f"fingerprints must be one int64 a record ({len(self):,}), not {given.dtype} of shape {given.shape}"
            )
            raise RecordError(message, arguments=("fingerprints",))
        return replace(self, fingerprint=given.astype(np.int64))

    def taken(self, places: npt.NDArray[np.int64], import_id: int) -> Batch:
        """Give some of the records, as part of an import."""
        chosen = places.tolist()
        return replace(
            self,
            **{name: getattr(self, name)[places] for name in ("codes", "capital", "efficiency", "weight")},
            observed_at=self.observed_at[places],
            sources=self.sources if isinstance(self.sources, str) else [self.sources[k] for k in chosen],
            metrics=None if self.metrics is None else [self.metrics[k] for k in chosen],
            import_id=import_id,
            fingerprint=None if self.fingerprint is None else self.fingerprint[places],
        )


def batch(
    symbols: Any, capital: Any, efficiency: Any, *, weights: Any, observed_at: Any, sources: Any, metrics: Any
) -> Batch:
    """Check the columns of a batch.

    Raises
    ------
    RecordError
        Names the argument, the first bad records and their values.
    """
    columns = {"symbols": symbols, "capital": capital, "efficiency": efficiency, "weights": weights}
    columns |= {"observed_at": observed_at, "sources": sources, "metrics": metrics}
    keyed.check_aligned(columns, RecordError)
    symbols = with_length(symbols)
    n = len(symbols)
    floats = {
        "capital": to_column("capital", capital),
        "efficiency": to_column("efficiency", efficiency),
        "weights": _for_all(to_column("weights", 1.0 if weights is None else weights), n),
    }
    times = _for_all(to_microseconds("observed_at", now() if observed_at is None else observed_at), n)
    check_lengths(symbols, {**floats, "observed_at": times})
    names, codes = coded(symbols)
    for code, name in enumerate(names):
        _check_new("symbols", name, lambda code=code: int(np.argmax(codes == code)))  # type: ignore[misc]
    check_values(floats)
    return Batch(
        names=names,
        codes=codes,
        capital=floats["capital"],
        efficiency=floats["efficiency"] + 0.0,  # there is no −0 in SQLite
        weight=floats["weights"] + 0.0,
        observed_at=times,
        sources=_sources(sources, n),
        metrics=_many_metrics(metrics, n),
    )


def record(
    symbol: Any, capital: Any, efficiency: Any, *, weight: Any, observed_at: Any, source: Any, metrics: Any
) -> tuple[str, float, float, float, int, str, str | None]:
    """Check one record and give its row.

    Raises
    ------
    RecordError
        Names the argument and its value.
    """
    given = {"capital": capital, "efficiency": efficiency, "weight": weight}
    floats = {name: to_column(name, value) for name, value in given.items()}
    time = to_microseconds("observed_at", now() if observed_at is None else observed_at)
    for name, value in {**floats, "observed_at": time}.items():
        if value.ndim:
            raise RecordError(f"{name} must be one value, not of shape {value.shape}", arguments=(name,))
    check_values(floats)
    name = one_symbol(symbol)
    _check_new("symbol", name, None)
    return (
        name,
        float(floats["capital"]),
        float(floats["efficiency"]) + 0.0,
        float(floats["weight"]) + 0.0,
        int(time),
        _source(source),
        _metrics(metrics),
    )


def now() -> datetime.datetime:
    """Give the time, UTC."""
    return datetime.datetime.now(datetime.UTC)


def microseconds(name: str, time: Any) -> int:
    """Convert one time, by default now.

    Raises
    ------
    RecordError
        If it is none.
    """
    value = to_microseconds(name, now() if time is None else time)
    if value.ndim:
        raise RecordError(f"{name} must be one time, not of shape {value.shape}", arguments=(name,))
    return int(value)


def some_microseconds(name: str, times: Any, n: int) -> npt.NDArray[np.int64]:
    """Convert n times, or one for all, by default now.

    Raises
    ------
    RecordError
        If they are none, or not as many.
    """
    values = to_microseconds(name, now() if times is None else times)
    if values.shape not in ((), (n,)):
        raise RecordError(f"{name} of shape {values.shape} must be one time or of shape ({n},)", arguments=(name,))
    return np.broadcast_to(values, (n,))


def one_symbol(symbol: Any) -> str:
    """Check one symbol.

    Raises
    ------
    RecordError
        If it is no text that can be stored.
    """
    if not isinstance(symbol, str) or not symbol:
        message = f"symbol must be text that is not empty, not {symbol!r}"
        raise RecordError(message, arguments=("symbol",))
    _check_text("symbol", symbol, None)
    return str(symbol)


def file_name(file: Any) -> str:
    """Check what a file is called.

    Raises
    ------
    RecordError
        If it is no text that can be stored.
    """
    if not isinstance(file, str) or not file:
        raise RecordError(f"file must be text that is not empty, not {file!r}", arguments=("file",))
    _check_text("file", file, None)
    return str(file)


def identity(value: Any) -> str | None:
    """Check what a write is to be known by.

    Raises
    ------
    RecordError
        If it is no text that can be stored.
    """
    if value is None:
        return None
    if not isinstance(value, str) or not value:
        message = f"identity must be text that is not empty, not {_brief(value)}"
        raise RecordError(message, arguments=("identity",))
    _check_text("identity", value, None)
    return str(value)


def some_symbols(symbols: Any) -> list[str]:
    """Check symbols that something is asked for; one text is one symbol.

    Raises
    ------
    RecordError
        Names the first that is no text.
    """
    given = [symbols] if isinstance(symbols, str) else listed(symbols)
    check_names(given, given.index)
    for place, symbol in enumerate(given):
        _check_text("symbols", symbol, lambda place=place: place)  # type: ignore[misc]
    return [str(symbol) for symbol in given]


def _check_text(name: str, value: str, place: Callable[[], int] | None) -> None:
    """Refuse text that a database would."""
    if _can_be_stored(value):
        return
    index = () if place is None else (place(),)
    where = "".join(f"[{k}]" for k in index)
    message = (
        f"{name} must be text of at most {_LONGEST} characters without NUL and lone surrogates, "
        f"but {name}{where} = {_brief(value)}"
    )
    raise RecordError(message, arguments=(name,), indexes=(index,))


def _check_new(name: str, value: str, place: Callable[[], int] | None) -> None:
    """Refuse a new symbol that could not be shown as it is; those of before are shown with escapes."""
    _check_text(name, value, place)
    character = hidden(value)
    if character is not None:
        index = () if place is None else (place(),)
        where = "".join(f"[{k}]" for k in index)
        message = (
            f"{name} must be text without control characters and marks of direction, "
            f"but {name}{where} = {_brief(value)} has {character}"
        )
        raise RecordError(message, arguments=(name,), indexes=(index,))


def _can_be_stored(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return len(value) <= _LONGEST and "\0" not in value


def _brief(value: Any) -> str:
    shown = ascii(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def _for_all(values: npt.NDArray[Any], n: int) -> npt.NDArray[Any]:
    """Give one value a record where there is one for all."""
    return np.broadcast_to(values, (n,)) if values.ndim == 0 else values


def _source(source: Any, place: Callable[[], int] | None = None) -> str:
    if not isinstance(source, str):
        where = "" if place is None else f"s[{place()}]"
        message = f"source must be text, but source{where} = {_brief(source)}"
        raise RecordError(message, arguments=("source" if place is None else "sources",))
    _check_text("source" if place is None else "sources", source, place)
    return str(source)


def _sources(sources: Any, n: int) -> str | list[str]:
    if isinstance(sources, str):
        return _source(sources)
    given = _given("sources", sources, n)
    known: dict[Any, str] = {}
    for place, source in enumerate(given):
        if not isinstance(source, str) or source not in known:
            known[source] = _source(source, lambda place=place: place)  # type: ignore[misc]
    return [known[source] for source in given]


def _many_metrics(metrics: Any, n: int) -> list[str | None] | None:
    if metrics is None:
        return None
    if isinstance(metrics, Mapping):
        message = "metrics must be a sequence, one mapping or None a record, not one mapping"
        raise RecordError(message, arguments=("metrics",))
    return [_metrics(each, place) for place, each in enumerate(_given("metrics", metrics, n))]


def _given(name: str, values: Any, n: int) -> Sequence[Any]:
    given = list(values) if hasattr(values, "__iter__") else None
    if given is None or len(given) != n:
        found = f"has {len(given):,} entries" if given is not None else f"is {_brief(values)}"
        raise RecordError(f"{name} {found} for {n:,} symbols", arguments=("symbols", name))
    return given


def _metrics(metrics: Any, place: int | None = None) -> str | None:
    """Check named numbers and spell them as JSON."""
    if metrics is None:
        return None
    where, indexes = ("", ()) if place is None else (f"[{place}]", ((place,),))
    if not isinstance(metrics, Mapping):
        message = f"metrics{where} must be a mapping of names to numbers, not {_brief(metrics)}"
        raise RecordError(message, arguments=("metrics",), indexes=indexes)
    kept = {}
    for name, value in metrics.items():
        number = _number(value)
        if not (isinstance(name, str) and name and _can_be_stored(name) and math.isfinite(number)):
            message = f"metrics{where} must map names to finite numbers, but holds {_brief(name)}: {_brief(value)}"
            raise RecordError(message, arguments=("metrics",), indexes=indexes)
        kept[str(name)] = number
    return json.dumps(kept, allow_nan=False)


def _number(value: Any) -> float:
    if isinstance(value, str | bytes | complex | np.complexfloating | np.timedelta64):  # which would lose a part
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
