"""Data frames of any library, as columns by name; none of the libraries is loaded for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from escala.errors import InputError


def columns(frame: Any, error: type[InputError], wanted: Iterable[str] | None = None) -> dict[str, Any]:
    """Give the columns of a mapping, a frame of pandas or polars (lazy ones too) or an Arrow table; else none.

    Parameters
    ----------
    frame
        What may be a table.
    error : type
        What is raised.
    wanted : iterable of str, optional
        If it has all of these, others of a lazy frame need not be computed.

    Raises
    ------
    InputError
        The class given, if it is a frame whose rows are elsewhere; says how to bring them here.
    """
    if isinstance(frame, Mapping):
        return dict(frame)
    table = in_memory(frame, error, wanted)
    if hasattr(table, "column_names"):  # of an Arrow table, whose `columns` have no names
        return {name: table[name] for name in table.column_names}
    return {name: table[name] for name in getattr(table, "columns", ())}


def in_memory(frame: Any, error: type[InputError], wanted: Iterable[str] | None = None) -> Any:
    """Compute a lazy frame; everything else comes back as it is.

    Raises
    ------
    InputError
        The class given, if it is a frame whose rows are elsewhere; says how to bring them here.
    """
    if hasattr(frame, "collect") and hasattr(frame, "collect_schema"):
        names, chosen = set(frame.collect_schema().names()), list(wanted or ())
        return (frame.select(chosen) if chosen and names.issuperset(chosen) else frame).collect()
    for method in ("compute", "toPandas"):
        if hasattr(frame, method) and hasattr(frame, "columns"):
            message = f"the rows of a {type(frame).__module__}.{type(frame).__name__} are not here: pass its {method}()"
            raise error(message)
    if not hasattr(frame, "columns") and hasattr(frame, "to_arrow_table"):
        return frame.to_arrow_table()
    return frame
