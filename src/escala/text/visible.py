"""Text of others as it is shown to people: what would move the cursor, end the line or turn it round is an escape."""

from __future__ import annotations

import re
from typing import Final

#: Controls of C0 and C1, ends of lines and paragraphs, marks and overrides of the direction, the mark of an encoding.
_HIDDEN: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_HIDDEN_IN_LINES: Final = re.compile(_HIDDEN.pattern.replace("\x00-\x1f", "\x00-\x09\x0b-\x1f"))
_SHORT: Final = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}


def in_line(text: object) -> str:
    """Show what is to stand within a line, such as a symbol: no newline in it begins another row."""
    return _HIDDEN.sub(_escape, str(text))


def in_lines(text: object) -> str:
    """Show whole lines, which were put together of such parts."""
    return _HIDDEN_IN_LINES.sub(_escape, str(text))


def hidden(text: str) -> str | None:
    """Give the first character of a text that would be shown as an escape, as that; None where there is none."""
    found = _HIDDEN.search(text)
    return None if found is None else _escape(found)


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    code = ord(character)
    return _SHORT.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")
