"""What commands share: how they print, and how wrong usage is said."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Collection, Coroutine, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TextIO, TypeVar

from cyclopts import CoercionError, Parameter, Token

from escala.errors import EscalaError, UnknownSymbolError
from escala.text.visible import in_line, in_lines

Result = TypeVar("Result")


def _whole(_: object, tokens: Sequence[Token]) -> int:
    """Read a whole number: of itself, cyclopts takes 1.5 for 2."""
    if not re.fullmatch("[+-]?[0-9]+", tokens[0].value):
        raise CoercionError(token=tokens[0], target_type=int)
    return int(tokens[0].value)


#: An integer: every option that is one has this type.
Whole = Annotated[int, Parameter(converter=_whole)]
#: Options that several commands have.
Database = Annotated[str, Parameter(env_var="ESCALA_DB")]
Symbols = Annotated[list[str] | None, Parameter(name=["--symbols", "--symbol"], consume_multiple=(1, 1_000_000))]
Plot = Annotated[Path | None, Parameter()]
#: A pipe has no width that a table could be fitted to.
_WIDE = 1000
_GAP = 2  # between columns


class UsageError(EscalaError):
    """Options that do not go together; ends with exit code 2."""


def fields_named(given: Mapping[str, float]) -> dict[str, float]:
    """Give what --set sets by the names of fields, which may be written with dashes.

    Raises
    ------
    UsageError
        If two of them are one field.
    """
    found: dict[str, float] = {}
    for written, value in given.items():
        name = written.replace("-", "_")
        if name in found:
            raise UsageError(f"--set.{written} is given twice")
        found[name] = value
    return found


def say(*parts: object, file: TextIO | None = None, end: str = "\n", flush: bool = False) -> None:
    """Print; what text of others, a symbol or a file's name, would do to a terminal is an escape."""
    print(*map(in_lines, parts), file=file, end=end, flush=flush)


def finished(work: Coroutine[Any, Any, Result]) -> Result:
    """Run what waits for a store to its end; --help needs no event loop."""
    import asyncio

    return asyncio.run(work)


def check_known(symbols: Iterable[str] | None, known: Collection[str]) -> None:
    """Refuse a symbol without records.

    Raises
    ------
    UnknownSymbolError
        Names the first, with a suggestion.
    """
    for symbol in symbols or ():
        if symbol not in known:
            raise UnknownSymbolError.among(symbol, known)


def announce_compilation() -> None:
    """Say why the first run takes its time, on a terminal or not: a log that stands still for a minute looks broken."""
    from escala.kernels import jit

    jit.before_compiling = lambda: say("compiling the kernels, once: a few minutes", file=sys.stderr)


@contextlib.contextmanager
def stopped(kept: str) -> Iterator[None]:
    """Say what is left of work that is stopped with Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(str(stop) or kept) from None


def print_table(
    names: Sequence[str], rows: Iterable[Sequence[str]], *, left: Sequence[str] = (), spare: Sequence[str] = ()
) -> None:
    """Print rows of text under the names of their columns, numbers to the right and those of `left` to the left.

    On a terminal that is too narrow for all columns, those of `spare` are left out; what is still too wide the terminal
    itself wraps: no number is folded within its column.
    """
    from rich.console import Console

    table = [list(names), *(list(map(in_line, row)) for row in rows)]
    room = Console().width if sys.stdout.isatty() else _WIDE
    if _width(table) > room:
        kept = [k for k, name in enumerate(names) if name not in spare]
        table = [[row[k] for k in kept] for row in table]
    _print_columns(table, left)


def _width(table: list[list[str]]) -> int:
    return sum(max(map(len, column)) + _GAP for column in zip(*table, strict=True)) - _GAP


def _print_columns(table: list[list[str]], left: Sequence[str]) -> None:
    from rich.console import Console
    from rich.table import Table

    shown = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False)
    for name in table[0]:
        shown.add_column(name, justify="left" if name in left else "right", no_wrap=True)
    for row in table[1:]:
        shown.add_row(*row)
    console = Console(markup=False, highlight=False, width=max(_WIDE, _width(table) + 1))
    with console.capture() as captured:
        console.print(shown)
    say("\n".join(line.rstrip() for line in captured.get().splitlines()))


def print_json(content: Any) -> None:
    """Print content as JSON; what JSON cannot say (inf, NaN) is null."""
    import json

    from escala.files.json import plain

    say(json.dumps(plain(content), indent=2, allow_nan=False))


def check_plot(path: Path | None) -> None:
    """Refuse, before anything is computed, a picture that could not be written."""
    if path is not None:
        from escala import plots

        plots.check_path(path)


def save_plot(figure: Any, path: Path) -> None:
    """Write a picture. Before anything is printed: whoever reads the output may close it."""
    from escala import plots

    plots.save(figure, path)


def tell_plot(path: Path | None, *, json: bool) -> None:
    """Say that a picture was written, unless the output is JSON."""
    if path is not None and not json:
        say(f"picture written to {path}")
