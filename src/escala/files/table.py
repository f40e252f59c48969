"""Tables as others take them: written to CSV or Parquet, in whole or not at all, or as a data frame."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np

from escala.errors import InputError, MissingExtraError
from escala.files import whole

if TYPE_CHECKING:
    import pandas


#: What spreadsheets take for the beginning of a formula.
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def check(path: Path, what: str, error: type[InputError]) -> None:
    """Refuse, before anything is computed, a file that :func:`write` could not write.

    Raises
    ------
    InputError
        The class given, if the name ends in neither .csv nor .parquet, there is no such directory, or it is one.
    MissingExtraError
        If it ends in .parquet and pyarrow is not installed.
    """
    if path.suffix not in {".csv", ".parquet"}:
        raise error(f"{path}: {what} are written as .csv or .parquet")
    if path.suffix == ".parquet":
        pyarrow()
    if path.is_dir():
        raise error(f"{path} is a folder")
    if not path.absolute().parent.is_dir():
        raise error(f"{path}: there is no directory {path.absolute().parent}")


def pyarrow(instead: str = "write .csv") -> tuple[Any, Any]:
    """Load pyarrow and its Parquet; an error says what to do instead.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtraError(f"Parquet needs pyarrow: install escala[parquet], or {instead}") from None
    return pyarrow, pyarrow.parquet


def dataframe(columns: Mapping[str, Any]) -> pandas.DataFrame:
    """Make a pandas data frame of named columns.

    Raises
    ------
    MissingExtraError
        If pandas is not installed.
    """
    try:
        import pandas
    except ImportError:
        raise MissingExtraError("to_dataframe needs pandas: install escala[frames]") from None
    return pandas.DataFrame(dict(columns))


def write(path: Path, table: Mapping[str, Any], *, excel_safe: bool = False) -> None:
    """Write named columns of equal length; a file that is there stays until the new one is complete.

    Parameters
    ----------
    path : Path
        Ends in .csv or .parquet.
    table : mapping
        The columns.
    excel_safe : bool
        Of CSV: put an apostrophe before text that a spreadsheet would take for a formula.

    Raises
    ------
    MissingExtraError
        If the name ends in .parquet and pyarrow is not installed.
    OSError
        If it cannot be written.
    """
    with whole.replacing(path) as file:
        if path.suffix == ".parquet":
            arrow, parquet = pyarrow()
            parquet.write_table(arrow.table(dict(table)), file)
        else:
            _write_csv(file, table, excel_safe=excel_safe)


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _write_csv(file: BinaryIO, table: Mapping[str, Any], *, excel_safe: bool) -> None:
    text = io.TextIOWrapper(file, newline="", encoding="utf-8")
    writer = csv.writer(text)
    columns = [np.asarray(column).tolist() for column in table.values()]
    if excel_safe:
        columns = [list(map(_harmless, column)) for column in columns]
    writer.writerow(map(_harmless, table) if excel_safe else table)
    writer.writerows(zip(*columns, strict=True))
    text.detach()  # which flushes, and leaves the file open
