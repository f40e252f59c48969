"""Groups of symbols from a command's options: labels, or a file of them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from escala.commands.terminal import UsageError
from escala.errors import AllocationError

#: Columns of a file of groups.
_COLUMNS: Final = ("symbol", "group")


def groups(words: list[str]) -> dict[str, tuple[str, ...]] | dict[str, list[str]]:
    """Read the groups of symbols, from SYMBOL=GROUP or from a file.

    Gives the group of each symbol, as a path from the outermost inwards; or the symbols of each group, where a symbol
    has several.

    Raises
    ------
    UsageError
        If a word is neither.
    AllocationError
        If the file lacks a column, or anything puts a symbol into a group twice.
    """
    if len(words) == 1 and "=" not in words[0]:
        path = Path(words[0])
        return _labelled(_rows(path), f"{path}")
    for word in words:
        symbol, equals, label = word.rpartition("=")
        if not (equals and symbol and label):
            raise UsageError(f"--groups takes one file, or SYMBOL=GROUP for some symbols, not {word!r}")
    return _labelled([(symbol, label) for symbol, _, label in (word.rpartition("=") for word in words)], "--groups")


def _rows(path: Path) -> list[tuple[str, str]]:
    """Read a file with the columns symbol and group."""
    from escala.files import csv as csv_file

    def plan(header: list[str]) -> dict[int, csv_file.Column]:
        for name in _COLUMNS:
            if name not in header:
                raise AllocationError(f"{path}: there is no column {name!r}, only {', '.join(header)}")
        return {header.index(name): csv_file.Column(name, "text") for name in _COLUMNS}

    read = csv_file.columns(path, plan, AllocationError, known=_COLUMNS.__contains__).values
    return list(zip(*(map(str, read[name].tolist()) for name in _COLUMNS), strict=True))


def _labelled(pairs: list[tuple[str, str]], source: str) -> dict[str, tuple[str, ...]] | dict[str, list[str]]:
    """Split labels into paths; a symbol without a label has no group."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for symbol, label in pairs:
        path = tuple(label.split("/")) if label else ()
        if not all(path):
            message = f"{source}: the group of {symbol!r} must be a name or names as outer/inner, not {label!r}"
            raise AllocationError(message, arguments=("groups",))
        mine = found.setdefault(symbol, [])
        if path in mine:
            raise AllocationError(f"{source} puts {symbol!r} into {label!r} twice", arguments=("groups",))
        mine.append(path)
    if all(len(mine) == 1 for mine in found.values()):
        return {symbol: mine[0] for symbol, mine in found.items()}
    return _listed(found)


def _listed(found: dict[str, list[tuple[str, ...]]]) -> dict[str, list[str]]:
    """Give the symbols of each group."""
    listed: dict[str, list[str]] = {}
    for symbol, mine in found.items():
        for name in dict.fromkeys("/".join(path[: depth + 1]) for path in mine for depth in range(len(path))):
            listed.setdefault(name, []).append(symbol)
    return listed
