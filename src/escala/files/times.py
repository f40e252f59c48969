"""Times as files write them: dates and times of day as text, and numbers that count since some day."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass, field
from typing import Final

from escala.files.numbers import Numbers

#: Year first, in any of the usual writings; what follows a word or a comma is the time of day.
_YEAR_FIRST: Final = re.compile(
    r"(?P<year>\d{4})(?P<mark>[-/.]?)(?P<month>\d{1,2})(?P=mark)(?P<day>\d{1,2})"
    r"(?:(?:[Tt;]|,\s*|\s+)(?P<clock>\d[\d:.,]*)\s*(?P<zone>[Zz]|[+-]\d{2}:?\d{2})?(?:\s*(?P<name>[A-Za-z][A-Za-z/_]*))?)?"
)
_DAY_OR_MONTH_FIRST: Final = re.compile(r"\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}(?!\d).*", re.DOTALL)
_UTC: Final = frozenset({"utc", "gmt", "z"})


class NotATimeError(ValueError):
    """A text that is no time, with what can be done about it."""


@dataclass
class Times:
    """Reads the times of one column: dates become seconds since 1970, numbers stay what they are.

    Parameters
    ----------
    numbers : Numbers
        Reads those that are numbers.
    first : dict of str to int
        The place of the first "number" and of the first "date" of those that were read.
    count : int
        How many were read.
    """

    numbers: Numbers = field(default_factory=Numbers)
    first: dict[str, int] = field(default_factory=dict)
    count: int = 0

    def __call__(self, text: str) -> float:
        """Give the number, or the seconds of a date.

        Raises
        ------
        ValueError
            If it is neither; a NotATimeError where there is something to say beyond that.
        """
        try:
            value = self.numbers(text)
            self.first.setdefault("number", self.count)
        except ValueError:
            value = seconds(text)
            self.first.setdefault("date", self.count)
        self.count += 1
        return value

    def skip_numbers(self, count: int) -> None:
        """Take note of numbers that were read elsewhere."""
        self.first.setdefault("number", self.count)
        self.count += count

    @property
    def mixed(self) -> bool:
        """Whether there were numbers and dates."""
        return len(self.first) > 1

    @property
    def dated(self) -> bool:
        """Whether there were dates."""
        return "date" in self.first


def seconds(text: str) -> float:
    """Give the seconds since 1970 of a date, in UTC where it names no zone.

    Raises
    ------
    ValueError
        If it is none; a NotATimeError where there is something to say beyond that.
    """
    text = text.strip()
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        moment = _read(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()


def _read(text: str) -> datetime.datetime:
    parts = _YEAR_FIRST.fullmatch(text)
    if parts is None:
        if _DAY_OR_MONTH_FIRST.fullmatch(text):
            raise NotATimeError("which is the day and which the month it does not tell: write 2024-01-31")
        raise ValueError(text)
    name = parts["name"]
    if name is not None and name.casefold() not in _UTC:
        raise NotATimeError(f"zone {name} is not known: write UTC or an offset such as +01:00")
    clock = (parts["clock"] or "00:00").rstrip(".,")
    day = f"{parts['year']}-{parts['month']:0>2}-{parts['day']:0>2}"
    hour = "0" if clock[1:2] == ":" else ""
    return datetime.datetime.fromisoformat(f"{day}T{hour}{clock}{parts['zone'] or ''}")
