"""The stretches of ``escala.h`` that come from the tables: ``python -m escala.capi.generate`` writes them anew.

Between ``/* generated: NAME */`` and ``/* end of NAME */`` stands what `STRETCHES` writes; all else is for people to
write. What is generated reads as what is not: a line for each member or code, with what it says beside it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from escala import tables
from escala.files import whole
from escala.tables import Code, Quantity
from escala.text import stretches
from escala.text.tables import details

_WIDTH: Final = 120
#: Where an output's codes are not called as it is.
_ENUMERATIONS: Final[Mapping[Quantity, str]] = {
    **{row: "plan_status" for row in (*tables.LEVERAGE_COUNTS, *tables.UNWIND_COUNTS) if row.name == "status"},
    **{row: "plan_action" for row in tables.PLAN_TRACE if row.name == "action"},
}


def enumeration(name: str, rows: Iterable[Code], prefix: str) -> str:
    """Write an enumeration of codes."""
    table = tuple(rows)
    entries = [f"{prefix}{row.name.upper()} = {row.value}{',' if row is not table[-1] else ''}" for row in table]
    return f"enum {name} {{\n{beside(entries, [[row.doc] for row in table])}}};\n"


def columns(name: str, rows: Iterable[Quantity], prefix: str, count: str) -> str:
    """Write an enumeration of columns, from 0, that ends with their number."""
    table = tuple(rows)
    entries = [*(f"{prefix}{row.name.upper()}{' = 0' if row is table[0] else ''}," for row in table), count]
    return f"enum {name} {{\n{beside(entries, [*([_lower(row.doc)] for row in table), []])}}};\n"


def inputs(rows: Iterable[Quantity]) -> str:
    """Write members that are a number for all elements, or one for each."""
    table = tuple(rows)
    return beside([f"escala_input {row.name};" for row in table], [[_lower(row.doc), details(row)] for row in table])


def numbers(rows: Iterable[Quantity]) -> str:
    """Write members that are one number: a switch, a count or a real number."""
    table = tuple(rows)
    types = [("int32_t" if row.values.high == 1 else "int64_t") if row.values.integer else "double" for row in table]
    members = [f"{kind} {row.name};" for kind, row in zip(types, table, strict=True)]
    return beside(members, [[_lower(row.doc), details(row)] for row in table])


def arrays(rows: Iterable[Quantity]) -> str:
    """Write members that point at an array of results, or at nothing where these are not wanted."""
    table = tuple(rows)
    return beside([f"{row.c_type} *{row.name};" for row in table], [[_lower(row.doc), *_code(row)] for row in table])


def _code(row: Quantity) -> list[str]:
    """Name the enumeration of a code."""
    return [f"escala_{_ENUMERATIONS.get(row, row.name)}"] if row.unit == "code" else []


def beside(entries: Sequence[str], remarks: Sequence[Sequence[str]]) -> str:
    """Write lines of C and what they say, in a column of comments beside them; a second part is kept together."""
    left = 4 + max(map(len, entries))
    width = _WIDTH - left - len(" /*  */")
    lines = []
    for entry, remark in zip(entries, remarks, strict=True):
        first, *more = _wrapped([_plain(part) for part in remark], width) or [""]
        start = f"    {entry}"
        lines.append(f"{start:<{left}} /* {first}" if first else start)
        lines += [f"{'':<{left}}  * {line}" for line in more]
        lines[-1] += " */" if first else ""
    return "".join(f"{line}\n" for line in lines)


def _plain(text: str) -> str:
    """Write a formula with the letters that C has."""
    for sign, letters in (("·", "*"), ("−", "-"), ("√C", "sqrt(C)"), ("√", "sqrt")):
        text = text.replace(sign, letters)
    return text


def _wrapped(parts: Sequence[str], width: int) -> list[str]:
    lines: list[str] = []
    for part in parts:
        if lines and len(f"{lines[-1]}; {part}") <= width:
            lines[-1] += f"; {part}"
        else:
            lines = [*lines[:-1], *(f"{line};" for line in lines[-1:]), *textwrap.wrap(part, width - 1)]
    return lines


def _lower(doc: str) -> str:
    """Begin a remark as C's comments begin, but for a formula or a name in capitals."""
    return doc if doc[:2].isupper() else doc[0].lower() + doc[1:]


#: What stands in the stretches of the header.
STRETCHES: Final[Mapping[str, Callable[[], str]]] = {
    "status": lambda: enumeration("escala_status", tables.LIBRARY_STATUS, "ESCALA_"),
    "family": lambda: enumeration("escala_family", (*tables.FAMILIES, *tables.WISHES), "ESCALA_"),
    "fit_status": lambda: enumeration("escala_fit_status", tables.FIT_STATUS, "ESCALA_FIT_"),
    "fit_stat": lambda: columns("escala_fit_stat", tables.FIT_STATS, "ESCALA_FIT_STAT_", "ESCALA_FIT_STATS"),
    "settings": lambda: inputs(tables.ALLOCATION_SETTINGS),
    "groups": lambda: inputs(tables.ALLOCATION_GROUPS),
    "controls": lambda: numbers((*tables.ALLOCATION_CONTROLS, *tables.ALLOCATION_SWITCHES, *tables.ALLOCATION_GOAL)),
    "target": lambda: enumeration("escala_target", tables.ALLOCATION_TARGETS, "ESCALA_TARGET_"),
    "solution": lambda: columns(
        "escala_solution", tables.ALLOCATION_SOLUTION, "ESCALA_SOLUTION_", "ESCALA_SOLUTION_SIZE"
    ),
    "allocation_status": lambda: enumeration("escala_allocation_status", tables.ALLOCATION_STATUS, "ESCALA_"),
    "binding": lambda: enumeration("escala_binding", tables.BINDINGS, "ESCALA_BINDING_"),
    "scenarios": lambda: inputs((*tables.LENDING_ARGUMENTS, *(row for row in tables.LENDING_STRATEGY if row.kernel))),
    "stop": lambda: enumeration("escala_stop", tables.STOPS, "ESCALA_"),
    "outcomes": lambda: arrays((*tables.LENDING_VALUES, *tables.LENDING_COUNTS)),
    "plan_target": lambda: enumeration("escala_plan_target", tables.PLAN_TARGETS, "ESCALA_PLAN_TO_"),
    "plan_status": lambda: enumeration("escala_plan_status", tables.PLAN_STATUS, "ESCALA_PLAN_"),
    "plan_action": lambda: enumeration("escala_plan_action", tables.PLAN_ACTIONS, "ESCALA_ACTION_"),
    "plans": lambda: inputs(tables.PLAN_GIVEN),
    "leverage": lambda: arrays((*tables.LEVERAGE_VALUES, *tables.LEVERAGE_COUNTS)),
    "unwind": lambda: arrays((*tables.UNWIND_VALUES, *tables.UNWIND_COUNTS)),
    "operations": lambda: arrays(tables.PLAN_TRACE),
}


def header(text: str) -> str:
    """Bring the stretches of the header's text up to date.

    Raises
    ------
    ValueError
        If a stretch is missing, or is none of those that can be written.
    """
    written: list[str] = []

    def write(name: str) -> str:
        if name not in STRETCHES:
            raise ValueError(f"escala.h: nothing writes the stretch {name!r}")
        written.append(name)
        return STRETCHES[name]()

    filled = stretches.fill(text, ("/*", "*/"), write)
    missing = sorted(set(STRETCHES) - set(written))
    if missing:
        raise ValueError(f"escala.h: no stretch {', '.join(missing)}")
    return filled


def main() -> None:
    """Write the header that lies beside this file anew."""
    place = Path(__file__).with_name("escala.h")
    whole.write(place, header(place.read_text()).encode())


if __name__ == "__main__":
    main()
