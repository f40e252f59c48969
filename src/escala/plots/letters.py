"""Letters that the font of a picture has none of: written as their codes, and told."""

from __future__ import annotations

import functools
import warnings
from typing import Any


def drawable(text: str) -> str:
    r"""Write letters that no font of the picture has as their codes: ``中`` becomes ``\u4e2d``; warns where it does.

    Which fonts are used is matplotlib's setting ``font.family``: where it names one with these letters they are drawn.
    """
    if text.isascii():
        return text
    import matplotlib

    known = _fonts(tuple(matplotlib.rcParams["font.family"]), tuple(matplotlib.rcParams["font.sans-serif"]))
    strange = {letter for letter in text if letter != " " and not any(_has(font, letter) for font in known)}
    if not strange:
        return text
    written = "".join(
        letter.encode("ascii", "backslashreplace").decode() if letter in strange else letter for letter in text
    )
    warnings.warn(
        f"the font of pictures lacks letters of {text!r}, which becomes {written!r}; "
        "matplotlib.rcParams['font.family'] may name a font that has them",
        stacklevel=2,
    )
    return written


def _has(font: Any, letter: str) -> bool:
    return bool(font.get_char_index(ord(letter)))


@functools.lru_cache(maxsize=8)
def _fonts(families: tuple[str, ...], _generic: tuple[str, ...]) -> list[Any]:
    """Find the fonts that matplotlib looks for a letter in, one after the other."""
    from matplotlib import font_manager

    found = []
    for family in families:
        try:
            path = font_manager.findfont(font_manager.FontProperties(family=family), fallback_to_default=False)
        except ValueError:  # there is no such font: matplotlib passes over it too
            continue
        found.append(font_manager.get_font(path))
    return found or [font_manager.get_font(font_manager.findfont(font_manager.FontProperties()))]
