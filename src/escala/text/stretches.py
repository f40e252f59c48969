"""Stretches of a text that are written by a program, between two lines that say so; all else is for people to write."""

from __future__ import annotations

import re
from collections.abc import Callable


def fill(text: str, comment: tuple[str, str], write: Callable[[str], str]) -> str:
    """Write every stretch of a text anew.

    Parameters
    ----------
    text : str
        A stretch stands between the lines ``generated: NAME`` and ``end of NAME``, each a comment.
    comment : (str, str)
        How comments of that language begin and end.
    write : callable
        Gives what a stretch holds, whole lines, by its name; KeyError for a name that it does not know.

    Returns
    -------
    str
        The text with its stretches up to date.
    """
    begin, end = map(re.escape, comment)
    stretch = re.compile(
        rf"(?P<first>^[ ]*{begin} generated: (?P<name>\S+) {end}\n).*?(?P<last>^[ ]*{begin} end of (?P=name) {end}$)",
        re.DOTALL | re.MULTILINE,
    )
    return stretch.sub(lambda found: found["first"] + write(found["name"]) + found["last"], text)
