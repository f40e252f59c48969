"""What may be said about a source beyond its columns: how it is written, and what is allowed in it."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from escala.errors import InputError, RecordError
from escala.files.dialect import Dialect
from escala.files.times import seconds

#: How LOBSTER writes order books: without a header, ask and bid by turns, prices in ten-thousandths.
LOBSTER: Final = "lobster"


@dataclass(frozen=True)
class Conventions:
    """What was said about a source.

    Parameters
    ----------
    dialect : Dialect
        How a file of it is written.
    earliest : float or None
        Seconds since 1970 before which no time may lie, None if nobody said.
    keep_similar : bool
        Whether symbols that differ only in case or separators are different ones.
    lobster : bool
        Whether it is an order book as LOBSTER writes them.
    """

    dialect: Dialect = field(default_factory=Dialect)
    earliest: float | None = None
    keep_similar: bool = False
    lobster: bool = False

    @classmethod
    def of(
        cls,
        *,
        delimiter: str | None = None,
        decimal: str | None = None,
        thousands: str | None = None,
        header: bool | str | Sequence[str] | None = None,
        earliest: str | datetime.date | None = None,
        keep_similar: bool = False,
        error: type[InputError] = RecordError,
    ) -> Conventions:
        """Check what was said.

        Raises
        ------
        RecordError
            Names the argument and its value.
        """
        is_lobster = header == LOBSTER
        dialect = Dialect(delimiter, decimal, thousands, False if is_lobster else header)
        if not isinstance(keep_similar, bool):
            raise error(f"keep_similar must be True or False, not {keep_similar!r}", arguments=("keep_similar",))
        return cls(dialect.checked(error), _day(earliest, error), keep_similar, is_lobster)


def _day(earliest: Any, error: type[InputError]) -> float | None:
    if earliest is None:
        return None
    try:
        return seconds(earliest if isinstance(earliest, str) else earliest.isoformat())
    except (AttributeError, ValueError):
        message = f"earliest must be a date such as '1970-01-01', not {earliest!r}"
        raise error(message, arguments=("earliest",)) from None
