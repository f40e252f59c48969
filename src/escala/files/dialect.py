"""How a file of rows is written: its encoding, what separates values, where the header is, what numbers look like."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeAlias

from escala.arrays import known_word
from escala.errors import InputError
from escala.files.numbers import GAPS, Separators, is_number, separators
from escala.files.times import seconds
from escala.text.numerals import counted

#: Rows of a sample with their places among its lines.
_Rows: TypeAlias = list[tuple[int, list[str]]]
#: Tells whether the name of a column is one that the reader knows.
Known: TypeAlias = Callable[[str], bool]

_DELIMITERS: Final = (",", ";", "\t", "|")
_BESIDE_COMMAS: Final = (";", "\t")  # what separates values where decimals have commas
_WORDS: Final = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "space": " "}
SAMPLE: Final = 65_536  # bytes that are looked at, or more where these are few lines


@dataclass(frozen=True)
class Dialect:
    """What is said about how a file is written; None is found out.

    Parameters
    ----------
    delimiter : str or None
        What separates values: one sign, or "tab".
    decimal : str or None
        The decimal sign: "." or ",".
    thousands : str or None
        What stands between groups of three digits: "," or "." or a space or "'".
    header : bool or sequence of str or None
        True: the first row has the names, whatever it looks like. False: there is no header, and columns are called 1,
        2, …. Names: there is no header, and these are the columns.
    """

    delimiter: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    header: bool | Sequence[str] | None = None

    def checked(self, error: type[InputError]) -> Dialect:
        """Check what was said.

        Raises
        ------
        InputError
            The class given; names the argument and its value.
        """
        delimiter = None if self.delimiter is None else _WORDS.get(self.delimiter, self.delimiter)
        if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n#' or delimiter.isalnum()):
            message = f"delimiter must be one sign such as ';', or 'tab', not {self.delimiter!r}"
            raise error(message, arguments=("delimiter",))
        if not known_word(self.decimal, {None, ".", ","}):
            raise error(f"decimal must be '.' or ',', not {self.decimal!r}", arguments=("decimal",))
        if self.thousands is not None and (len(self.thousands) != 1 or self.thousands not in f".,{GAPS}"):
            message = f"thousands must be ',', '.', a space or an apostrophe, not {self.thousands!r}"
            raise error(message, arguments=("thousands",))
        if self.thousands is not None and self.thousands == self.decimal:
            message = f"decimal and thousands must differ, both are {self.decimal!r}"
            raise error(message, arguments=("decimal", "thousands"))
        return replace(self, delimiter=delimiter, header=_checked_header(self.header, error))


def _checked_header(header: Any, error: type[InputError]) -> bool | tuple[str, ...] | None:
    if header is None or isinstance(header, bool):
        return header
    names = () if isinstance(header, str) else tuple(header)
    if not names or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        message = f"header must be True, False or a list of different names, not {header!r}"
        raise error(message, arguments=("header",))
    return names


@dataclass(frozen=True)
class Layout:
    """How a file is written, told or found.

    Parameters
    ----------
    encoding : str
        The encoding of its text.
    delimiter : str
        What separates values.
    separators : Separators
        How numbers are written.
    names : list of str
        The names of the columns.
    skipped : int
        Lines before the header, or before the first row where there is none.
    has_header : bool
        Whether the first row after them has the names.
    rows : list of list of str
        The first rows.
    notes : tuple of str
        What was found out or left out, in words.
    """

    encoding: str
    delimiter: str
    separators: Separators
    names: list[str]
    skipped: int
    has_header: bool
    rows: list[list[str]]
    notes: tuple[str, ...]

    @property
    def width(self) -> int:
        """Columns, without nameless ones at the end: what delimiters after the last name make."""
        return len(_trimmed(self.names)) or len(self.names)


def encoding(head: bytes) -> str:
    """Tell the encoding of a file by how it begins; UTF-8 where nothing says another."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    even, odd = head[::2], head[1::2]
    if len(head) >= 4 and odd.count(0) > len(odd) // 2 > even.count(0):
        return "utf-16-le"
    if len(head) >= 4 and even.count(0) > len(even) // 2 > odd.count(0):
        return "utf-16-be"
    return "utf-8-sig"


def layout(
    path: Path, head: bytes, is_whole: bool, said: Dialect, known: Known, error: type[InputError], hint: str
) -> Layout:
    """Find how a file is written from how it begins.

    Parameters
    ----------
    path : Path
        The file, for messages.
    head : bytes
        How it begins.
    is_whole : bool
        Whether that is all of it.
    said : Dialect
        What is known already.
    known : callable
        Tells whether the name of a column is one that the reader knows.
    error : type of InputError
        What to raise.
    hint : str
        What helps a file without a header, in words.

    Raises
    ------
    InputError
        The class given, if it is empty, seems to have no header, or may be separated by several signs.
    UnicodeDecodeError
        If it is no text.
    """
    if head.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        raise error(f"{path}: not a CSV file in UTF-8 or UTF-16 but in UTF-32: save it as UTF-8")
    code = encoding(head)
    lines = _lines(head, is_whole, code)
    start, comments, told = _beginning(lines)
    said = said if said.delimiter or told is None else replace(said, delimiter=told)
    body = lines[start:]
    if not any(line.strip() for line in body):
        raise error(f"{path}: the file is empty")
    delimiter = said.delimiter or _delimiter(path, body, said, known, error)
    rows = _rows(body, delimiter)
    notes = [] if delimiter == "," or said.delimiter else [f"values are separated by {_shown(delimiter)}"]
    if not rows:
        raise csv.Error("its first row cannot be split")
    hidden = _rows([comments[-1].lstrip("# ")], delimiter) if comments else []
    names, place, has_header = _header(path, rows, said, hidden, known, error, hint)
    skipped = start + (rows[place][0] if place else 0)
    if place:
        notes.append(f"{counted(place, 'row')} before the header left out")
    if len(comments) > (not has_header and not place):
        notes.append(f"{counted(len(comments), 'comment')} before the first row left out")
    data = [row for _, row in rows[place + has_header :]]
    found = separators(_columns(data, len(names)), said.decimal, said.thousands, commas=delimiter in _BESIDE_COMMAS)
    if (found.decimal, found.thousands) != (said.decimal or ".", said.thousands):
        between = f", thousands by {found.thousands!r}" if found.thousands else ""
        notes.append(f"numbers were read with decimals after {found.decimal!r}{between}")
    return Layout(code, delimiter, found, names, skipped, has_header, data, tuple(notes))


def _lines(head: bytes, whole: bool, code: str) -> list[str]:
    """Give the lines of a sample, without the last where it may have been cut."""
    text = head.decode(code, "strict" if whole else "ignore")
    lines = list(io.StringIO(text, newline=""))
    return lines if whole or len(lines) < 2 else lines[:-1]


def _beginning(lines: Sequence[str]) -> tuple[int, list[str], str | None]:
    """Count the lines before the first row; gives the comments too, and the delimiter that Excel's line names."""
    comments: list[str] = []
    told = None
    for place, line in enumerate(lines):
        text = line.strip()
        if text.lower().startswith("sep=") and len(text) == 5 and place == 0:
            told = text[4]
        elif text.lower() == "sep=" and place == 0:
            told = "\t"
        elif text.startswith("#"):
            comments.append(text)
        elif text:
            return place, comments, told
    return len(lines), comments, told


def _rows(lines: Iterable[str], delimiter: str) -> _Rows:
    """Split lines; as far as they can be."""
    result: _Rows = []
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    before = 0
    try:
        for row in reader:
            if row and not is_comment(row):
                result.append((before, row))
            before = reader.line_num
    except csv.Error:
        pass
    return result


def is_comment(row: Sequence[str]) -> bool:
    """Tell a comment among rows."""
    return row[0].startswith("#")


def _delimiter(path: Path, lines: Sequence[str], said: Dialect, known: Known, error: type[InputError]) -> str:
    """Choose what makes rows of one width; of several, what makes names that are known."""
    fitting: dict[str, int] = {}
    widths: dict[str, int] = {}
    for sign in _DELIMITERS:
        rows = _rows(lines, sign)
        if not rows:
            continue
        place = 0 if isinstance(said.header, tuple) else _place(rows, known)
        names = rows[place][1]
        widths[sign] = len(names)
        if isinstance(said.header, tuple) and len(said.header) != len(_trimmed(names)):
            continue
        if len(names) > 1 and all(_fits(row, len(_trimmed(names)), len(names)) for _, row in rows[place + 1 :]):
            fitting[sign] = sum(map(known, names))
    if not fitting:
        return max(_DELIMITERS, key=lambda sign: widths.get(sign, 0))
    best = [sign for sign in fitting if fitting[sign] == max(fitting.values())]
    if len(best) > 1 and len(lines) > 1:
        both = " or ".join(map(_shown, best))
        raise error(f"{path}: values may be separated by {both}: say delimiter", arguments=("delimiter",))
    return best[0]


def _shown(sign: str) -> str:
    return "tabs" if sign == "\t" else repr(sign)


def _fits(row: Sequence[str], least: int, most: int) -> bool:
    return least <= len(row) <= most or (len(row) > most and len(_trimmed(row)) <= most)


def _trimmed(row: Sequence[str]) -> Sequence[str]:
    """Drop empty values at the end."""
    last = max((place for place, value in enumerate(row, 1) if value.strip()), default=0)
    return row[:last]


def _place(rows: _Rows, known: Known) -> int:
    """Find the row of names: the first, or the first that is as wide as what follows, behind narrower ones."""
    named = next((place for place, (_, row) in enumerate(rows) if _is_header(row, known)), 0)
    if named and not any(known(name.strip()) for name in rows[0][1]):
        return named
    first = len(_trimmed(rows[0][1]))
    widths = Counter(max(len(_trimmed(row)), min(len(row), first)) for _, row in rows[1:])
    usual = max(widths, key=lambda width: widths[width], default=0)
    if usual <= max(first, 1):
        return 0
    place = next(k for k, (_, row) in enumerate(rows) if len(_trimmed(row)) >= usual)
    names, before = rows[place][1], [row for _, row in rows[:place]]
    is_header = not any(map(_is_value, names)) and len(rows) > place + 1
    is_title = all(len(_trimmed(row)) <= 1 for row in before) or any(known(name.strip()) for name in names)
    return place if is_header and is_title else 0


def _is_header(row: Sequence[str], known: Known) -> bool:
    return sum(known(name.strip()) for name in row) >= 2 and not any(map(_is_value, row))


def _header(
    path: Path, rows: _Rows, said: Dialect, hidden: _Rows, known: Known, error: type[InputError], hint: str
) -> tuple[list[str], int, bool]:
    """Give the names, the place of the first row that counts, and whether it has them."""
    width = len(rows[0][1])
    if isinstance(said.header, tuple):
        named = list(said.header)
        if len(named) != width and not _fits(rows[0][1], len(named), len(named)):
            message = f"{path}: header has {len(named)} names, but the first row has {width} values"
            raise error(message, arguments=("header",))
        return named, 0, False
    if said.header is False:
        return [str(place) for place in range(1, width + 1)], 0, False
    place = _place(rows, known)
    names = [name.strip() for name in rows[place][1]]
    if said.header is True or any(map(known, names)) or not any(map(_is_value, names)):
        return names, place, True
    if hidden and len(hidden[0][1]) == len(names) and not any(map(_is_value, hidden[0][1])):
        return [name.strip() for name in hidden[0][1]], place, False
    shown = ", ".join(repr(name) for name in names[:4]) + (", …" if len(names) > 4 else "")
    message = f"{path}: this file seems to have no header, its first row is {shown}: {hint}"
    raise error(message, arguments=("header",))


def _is_value(cell: str) -> bool:
    """Tell a number or a time, which no column is called."""
    text = cell.strip()
    if not text[:1].isascii() or not any(sign.isdigit() for sign in text):
        return False
    try:
        seconds(text)
    except ValueError:
        return is_number(text)
    return True


def _columns(rows: Sequence[Sequence[str]], width: int) -> Iterable[list[str]]:
    for place in range(width):
        yield [row[place] for row in rows if place < len(row)]
