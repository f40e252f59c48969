"""Numbers as people and programs write them: decimal commas, thousands, currencies and units."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

#: What may stand between groups of three digits beside commas and points: spaces, wide and narrow, and apostrophes.
GAPS: Final = " \u00a0\u202f\u2009'\u2019"
_CURRENCY: Final = r"(?:US\$|[$€£¥₿])"
_UNIT: Final = rf"(?:[A-Z][A-Z0-9]{{1,11}}|[a-z]{{2,9}}|{_CURRENCY}|%)"
#: Words after a number that are no unit but a factor or a share.
FACTORS: Final = frozenset({
    "bn", "bln", "mn", "mm", "mio", "mrd", "mln", "tn", "trn", "tsd", "thousand", "million", "billion", "trillion",
    "wei", "gwei", "sat", "sats", "satoshi", "lamports", "bps", "bp", "pct", "percent", "cent", "cents", "%",
})  # fmt: skip
#: Units that begin with digits when written in full (1INCH, 1000CAT): "101INCH" may be 10 of them or 101.
_DIGITS_BEFORE: Final = frozenset({"INCH", "CAT", "CHEEMS", "MBABYDOGE"})

_COMMA_POINT: Final = re.compile(r"\d{1,3}(?:,\d{3})+\.\d+")
_POINT_COMMA: Final = re.compile(r"\d{1,3}(?:\.\d{3})+,\d+")
_MANY_COMMAS: Final = re.compile(r"\d{1,3}(?:,\d{3}){2,}")
_MANY_POINTS: Final = re.compile(r"\d{1,3}(?:\.\d{3}){2,}")
_GAPPED: Final = re.compile(rf"\d{{1,3}}(?P<gap>[{GAPS}])\d{{3}}(?:(?P=gap)\d{{3}})*(?:(?P<mark>[.,])\d+)?")
_ONE_COMMA: Final = re.compile(r"[1-9]\d{0,2},\d{3}")
_ONE_POINT: Final = re.compile(r"[1-9]\d{0,2}\.\d{3}")
_COMMA: Final = re.compile(r"\d*,\d+")
_POINT: Final = re.compile(r"\d*\.\d+")
_WRITTEN: Final = re.compile(rf"\s*[+-]?{_CURRENCY}?\s*(?P<core>[\d.,{GAPS}]*\d)(?:[eE][+-]?\d+)?\s*{_UNIT}?\s*")


#: Signs of currencies, by their codes.
_SIGNS: Final = {"$": "USD", "US$": "USD", "€": "EUR", "£": "GBP", "₿": "BTC"}


def currency(unit: str) -> str:
    """Give a unit as it is compared: of a sign the code."""
    return _SIGNS.get(unit, unit.upper())


class NotANumberError(ValueError):
    """A text that is no number, with what can be done about it."""


@dataclass(frozen=True)
class Separators:
    """What stands in numbers besides digits.

    Parameters
    ----------
    decimal : str
        The decimal sign: a point or a comma.
    thousands : str or None
        What stands between groups of three digits.
    doubtful : str
        Signs of which nobody said what they are, and all that was seen of them is like 1,234: a comma, and a point
        where the file is written as where decimals have commas.
    """

    decimal: str = "."
    thousands: str | None = None
    doubtful: str = ""


@dataclass
class Numbers:
    """Reads the numbers of one column.

    Parameters
    ----------
    separators : Separators
        How they are written.
    units : bool
        Whether a currency before or a unit after the number is taken off.
    blank : bool
        Whether a text of nothing is NaN instead of no number.
    taken : dict of str to None
        The units and currencies that were taken off, in their order.
    """

    separators: Separators = Separators()
    units: bool = False
    blank: bool = False
    taken: dict[str, None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        decimal, thousands = re.escape(self.separators.decimal), self.separators.thousands
        grouped = "" if thousands is None else rf"\d{{1,3}}(?:{re.escape(thousands)}\d{{3}})+|"
        self._pattern = re.compile(
            rf"\s*(?P<sign>[+-]?)(?P<mark>{_CURRENCY}?)\s*(?:(?P<whole>{grouped}\d+)(?:{decimal}(?P<rest>\d*))?"
            rf"|{decimal}(?P<only>\d+))(?P<power>[eE][+-]?\d+)?(?P<gap>\s*)(?P<unit>{_UNIT}?)\s*"
        )

    def unit(self, text: str) -> str | None:
        """Give the unit of a text that is a number, None if it has none."""
        parts = self._pattern.fullmatch(text)
        return currency(parts["unit"] or parts["mark"]) if parts and (parts["unit"] or parts["mark"]) else None

    def __call__(self, text: str) -> float:
        """Give the number.

        Raises
        ------
        ValueError
            If it is none; a NotANumberError where there is something to say beyond that.
        """
        if "." in self.separators.doubtful and "." in text:
            self._refuse_doubtful(text)
        is_point = self.separators.decimal == "."
        if is_point or ("." not in text and text.count(",") <= 1):
            try:
                return plain(text if is_point else text.replace(",", "."))
            except ValueError:
                pass
        if self.blank and not text.strip():
            return float("nan")
        return self._parsed(text)

    def _parsed(self, text: str) -> float:
        _refuse_other_digits(text)
        parts = self._pattern.fullmatch(text)
        if parts is None:
            raise self._fault(text)
        for word in (parts["mark"], parts["unit"]):
            if word:
                self._take(word, parts["gap"])
        whole = (parts["whole"] or "").replace(self.separators.thousands or "", "")
        return float(f"{parts['sign']}{whole}.{parts['rest'] or parts['only'] or ''}{parts['power'] or ''}")

    def _refuse_doubtful(self, text: str) -> None:
        written = _WRITTEN.fullmatch(text)
        if written is not None and _ONE_POINT.fullmatch(written["core"].strip()):
            raise NotANumberError("the point may be for decimals or for thousands: say decimal='.' or thousands='.'")

    def _take(self, unit: str, gap: str) -> None:
        if unit.casefold() in FACTORS:
            raise NotANumberError(f"{unit} is no unit but a factor or a share: write the number out")
        if not self.units:
            raise NotANumberError(f"it may have no {unit}")
        if unit in _DIGITS_BEFORE and not gap:
            raise NotANumberError(f"digits before {unit} may belong to its name")
        self.taken[unit] = None

    def _fault(self, text: str) -> ValueError:
        written = _WRITTEN.fullmatch(text)
        if written is None or not any(sign in written["core"] for sign in (",", ".", *GAPS)):
            return ValueError(text)
        if "," in self.separators.doubtful and _ONE_COMMA.fullmatch(written["core"]):
            return NotANumberError("the comma may be for decimals or for thousands: say decimal=',' or thousands=','")
        return NotANumberError("decimal and thousands say how numbers are written")


def plain(text: str) -> float:
    """Read a number as Python writes it; not as its programs may, where 1_000 is one.

    Raises
    ------
    ValueError
        If it is none; a NotANumberError if its digits are those of another script.
    """
    if "_" in text:
        raise ValueError(text)
    _refuse_other_digits(text)
    return float(text)


def is_of_programs(text: str) -> bool:
    """Tell what Python takes for parts of a number and files have none of: underscores, digits of other scripts."""
    return "_" in text or _has_other_digits(text)


def _has_other_digits(text: str) -> bool:
    return not text.isascii() and any(sign.isdecimal() and not sign.isascii() for sign in text)


def _refuse_other_digits(text: str) -> None:
    """Refuse full-width digits, and all others that merely look as if anybody had checked what they are worth."""
    if _has_other_digits(text):
        raise NotANumberError("its digits must be 0 to 9")


def is_number(text: str) -> bool:
    """Tell whether a text is a number in some writing, with a currency or a unit or without."""
    try:
        plain(text)
    except ValueError:
        return _WRITTEN.fullmatch(text) is not None and not _has_other_digits(text)
    return True


def separators(
    columns: Iterable[Sequence[str]], decimal: str | None, thousands: str | None, *, commas: bool = False
) -> Separators:
    """Find how numbers are written, from samples of columns; what was said stays.

    `commas` says that what separates the values is what separates them where decimals have commas: a point is not
    believed there, either, if all that was seen is like 1.234. A column in which something else stands tells nothing.
    Where two columns contradict each other, a point is taken for the decimal sign, and what does not fit is refused
    when it is read.
    """
    told = _Evidence()
    for column in columns:
        cells = [cell for cell in column if cell.strip()]
        if all(is_number(cell) for cell in cells):
            for cell in cells:
                told.add(cell)
    return told.verdict(decimal, thousands, commas)


@dataclass
class _Evidence:
    decimals: set[str] = field(default_factory=set)
    thousands: set[str] = field(default_factory=set)
    one_comma: bool = False
    one_point: bool = False

    def add(self, cell: str) -> None:
        written = _WRITTEN.fullmatch(cell)
        if written is None:
            return
        core = written["core"].strip()
        gapped = _GAPPED.fullmatch(core)
        if gapped is not None:
            self.thousands.add(gapped["gap"])
            self.decimals |= {gapped["mark"]} - {None}
        elif _ONE_COMMA.fullmatch(core):
            self.one_comma = True
        elif _ONE_POINT.fullmatch(core):
            self.one_point = True
        elif _COMMA_POINT.fullmatch(core) or _MANY_COMMAS.fullmatch(core):
            self.thousands.add(",")
            self.decimals.add(".")
        elif _POINT_COMMA.fullmatch(core) or _MANY_POINTS.fullmatch(core):
            self.thousands.add(".")
            self.decimals.add(",")
        elif _COMMA.fullmatch(core):
            self.decimals.add(",")
        elif _POINT.fullmatch(core):
            self.decimals.add(".")

    def verdict(self, decimal: str | None, thousands: str | None, commas: bool) -> Separators:
        if decimal is None and thousands in {",", "."}:
            decimal = "." if thousands == "," else ","
        if decimal is None:
            if len(self.decimals) > 1:
                return Separators()
            decimal = next(iter(self.decimals), None)
        if thousands is None and len(self.thousands - {decimal}) == 1:
            thousands = next(iter(self.thousands - {decimal}))
        if decimal is None:
            doubts_point = commas and self.one_point and thousands is None
            return Separators(".", thousands, "," * self.one_comma + "." * doubts_point)
        if thousands is None and ((decimal == "." and self.one_comma) or (decimal == "," and self.one_point)):
            thousands = "," if decimal == "." else "."
        return Separators(decimal, thousands)
