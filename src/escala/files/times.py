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
#: A zone in the name of a column: ``Time(UTC+8)``, ``Date [GMT-03:30]``, ``time (+01:00)``.
_AHEAD: Final = re.compile(
    r"(?:(?<![a-z])(?:utc|gmt)\s*|[(\[{]\s*)(?P<sign>[+\-\u2212])\s*(?P<hours>\d{1,2})(?::?(?P<minutes>\d\d))?(?!\d)",
    re.IGNORECASE,
)
_IN_BRACKETS: Final = re.compile(r"[(\[{]([^)\]}]*)[)\]}]")
_WORDS: Final = re.compile(r"[^\W_]+")
_AREA: Final = re.compile(r"(?:africa|america|antarctica|asia|atlantic|australia|etc|europe|indian|pacific|us)/\w.*")
#: What zones are called for short; which of them is meant is known of none, and some stand for several.
_ZONES: Final = frozenset({
    "est", "edt", "et", "cst", "cdt", "ct", "mst", "mdt", "mt", "pst", "pdt", "pt", "akst", "akdt", "hst", "ast", "adt",
    "nst", "brt", "art", "clt", "cet", "cest", "met", "mez", "mesz", "wet", "west", "eet", "eest", "bst", "ist", "msk",
    "jst", "kst", "hkt", "sgt", "wib", "aest", "aedt", "acst", "awst", "nzst", "nzdt", "sast", "trt", "gst", "pkt",
    "ict", "local", "eastern", "central", "mountain", "pacific",
})  # fmt: skip


class NotATimeError(ValueError):
    """A text that is no time, with what can be done about it."""


@dataclass
class Times:
    """Reads the times of one column: dates become seconds since 1970, numbers stay what they are.

    Parameters
    ----------
    numbers : Numbers
        Reads those that are numbers.
    ahead : float
        How many seconds the clock of dates that name no zone is ahead of UTC.
    zoneless : bool
        Whether there were dates that name no zone.
    first : dict of str to int
        The place of the first "number" and of the first "date" of those that were read.
    count : int
        How many were read.
    """

    numbers: Numbers = field(default_factory=Numbers)
    ahead: float = 0.0
    zoneless: bool = False
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
            moment = _moment(text)
            value = moment.replace(tzinfo=moment.tzinfo or datetime.UTC).timestamp()
            if moment.tzinfo is None:
                self.zoneless = True
                value -= self.ahead
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
    moment = _moment(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()


def zone(name: str) -> float | str | None:
    """Tell the zone that the name of a column says.

    Returns
    -------
    How many seconds its clock is ahead of UTC, a name that does not tell it, or None where no zone is said.
    """
    ahead = _AHEAD.search(name)
    if ahead is not None:
        minutes = 60 * int(ahead["hours"]) + int(ahead["minutes"] or 0)
        return 60.0 * (minutes if ahead["sign"] == "+" else -minutes)
    inside = _IN_BRACKETS.search(name)
    text = inside[1].strip() if inside else ""
    if _AREA.fullmatch(text.casefold()):
        return text
    words = _WORDS.findall(text) if inside else _WORDS.findall(name)[1:]
    unknown = next((word for word in words if word.casefold() in _ZONES), None)
    return unknown or (0.0 if any(word.casefold() in _UTC for word in words) else None)


def _moment(text: str) -> datetime.datetime:
    text = text.strip()
    try:
        return datetime.datetime.fromisoformat(text)
    except ValueError:
        return _read(text)


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
    zone_said = parts["zone"] or ("Z" if name else "")
    return datetime.datetime.fromisoformat(f"{day}T{hour}{clock}{zone_said}")
